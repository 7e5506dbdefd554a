"""Functions and modules compute on their inputs' device, whichever the default one is, and give the CPU's numbers.

The suites that are parametrised over devices hold most functions to that: here is what they do not call.
"""

import copy
import inspect
import math
import sys
import warnings
from pathlib import Path

import pytest
import wengert as wg
from wengert.distributions._gamma import _slope

sys.path += [str(Path(__file__).parents[1] / name) for name in ("functions", "nn")]
from test_modules_parity import CASES as MODULES
from torch_parity import leaves

F = wg.nn.functional


def moved(value, device):
    """Tensors as leaves on the device."""
    if isinstance(value, wg.Tensor):
        return value.detach().to(device).requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(moved(v, device) for v in value)
    return value


def check(here, there):
    here, there = leaves(here), leaves(there)
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        if not isinstance(a, wg.Tensor):
            assert a == b
            continue
        assert b.is_gpu, f"the result is on {b.device}"
        wg.testing.assert_close(
            b.detach().cpu(), a.detach(), rtol=1e-3, atol=1e-4, equal_nan=True, check_device=False
        )


def both_ways(function, args, kwargs=None):
    """Values and gradients of function on the CPU and on the GPU are the same."""
    results = []
    for device in ("cpu", "gpu"):
        mine = moved(list(args), device)
        named = {k: moved(v, device) for k, v in (kwargs or {}).items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = function(*mine, **named)
        roots = [t for t in leaves(out) if isinstance(t, wg.Tensor) and t.requires_grad]
        inputs = [t for t in leaves(mine) if isinstance(t, wg.Tensor) and t.requires_grad]
        grads = ()
        if roots and inputs:
            total = sum((t * t).sum() for t in roots)
            grads = wg.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
        results.append((out, list(grads)))
    (here, here_grads), (there, there_grads) = results
    check(here, there)
    check(here_grads, there_grads)


WITH_DEVICE = [c for c in MODULES if "device" in inspect.signature(getattr(wg.nn, c[0])).parameters]


@pytest.mark.parametrize("case", WITH_DEVICE, ids=lambda c: c[0])
def test_module_made_there(case):
    name, args, kwargs, shapes = case
    module = getattr(wg.nn, name)(*args, **kwargs, device="gpu")
    assert all(t.is_gpu for t in (*module.parameters(), *module.buffers()))
    assert module(*[wg.randn(shape, device="gpu") for shape in shapes]).is_gpu


def f(*size):
    return wg.randn(size).requires_grad_()


def i(high, *size):
    return wg.randint(high, size)


def signs(*size):
    return wg.randint(2, size) * 2.0 - 1


FUNCTIONAL = {
    "affine_grid": lambda: both_ways(F.affine_grid, [f(2, 2, 3), (2, 1, 3, 4), False]),
    "grid_sample": lambda: [
        both_ways(F.grid_sample, [f(1, 2, 4, 5), wg.rand(1, 3, 3, 2) * 2.4 - 1.2, mode, padding, False])
        for mode in ("bilinear", "nearest", "bicubic")
        for padding in ("zeros", "border", "reflection")
    ],
    "max_unpool2d": lambda: both_ways(
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), [f(1, 2, 4, 4)]
    ),
    "ctc_loss": lambda: both_ways(
        F.ctc_loss, [f(6, 2, 4).log_softmax(2), wg.tensor([[1, 2, 2], [3, 1, 0]]), [6, 5], [3, 2]]
    ),
    "embedding_bag": lambda: [
        both_ways(
            lambda x, w, o, m=m: F.embedding_bag(x, w, o, mode=m), [i(5, 7), f(5, 3), wg.tensor([0, 3])]
        )
        for m in ("sum", "mean", "max")
    ],
    "embedding_bag of rows": lambda: both_ways(F.embedding_bag, [i(5, 3, 4), f(5, 3)]),
    "embedding with max_norm": lambda: both_ways(
        lambda x, w: F.embedding(x, w.detach().clone(), max_norm=1.0), [i(5, 3), f(5, 3)]
    ),
    "one_hot": lambda: both_ways(F.one_hot, [i(5, 2, 3)]),
    "pdist": lambda: both_ways(F.pdist, [f(5, 3)]),
    "normalize": lambda: both_ways(F.normalize, [f(5, 3)]),
    "attention": lambda: both_ways(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [f(2, 4, 8)] * 3
    ),
    "gumbel_softmax": lambda: on_gpu(F.gumbel_softmax(f(3, 4).to("gpu"), hard=True)),
    "interpolate area": lambda: both_ways(lambda x: F.interpolate(x, (2, 3), mode="area"), [f(1, 2, 5, 7)]),
    "multi_margin_loss": lambda: both_ways(F.multi_margin_loss, [f(4, 5), i(5, 4)]),
    "multilabel_margin_loss": lambda: both_ways(
        F.multilabel_margin_loss, [f(2, 4), wg.tensor([[3, 0, -1, 1], [1, -1, 0, 0]])]
    ),
    "multilabel_soft_margin_loss": lambda: both_ways(
        F.multilabel_soft_margin_loss, [f(2, 4), i(2, 2, 4).float()]
    ),
    "triplet_margin_loss": lambda: both_ways(F.triplet_margin_loss, [f(4, 3), f(4, 3), f(4, 3)]),
    "cosine_embedding_loss": lambda: both_ways(F.cosine_embedding_loss, [f(4, 3), f(4, 3), signs(4)]),
    "margin_ranking_loss": lambda: both_ways(F.margin_ranking_loss, [f(4), f(4), signs(4)]),
    "hinge_embedding_loss": lambda: both_ways(F.hinge_embedding_loss, [f(4), signs(4)]),
    "soft_margin_loss": lambda: both_ways(F.soft_margin_loss, [f(4), signs(4)]),
    "poisson_nll_loss": lambda: both_ways(F.poisson_nll_loss, [f(4), i(5, 4).float()]),
    "gaussian_nll_loss": lambda: both_ways(F.gaussian_nll_loss, [f(4), f(4), wg.rand(4) + 0.1]),
    "kl_div": lambda: both_ways(F.kl_div, [f(3, 4).log_softmax(1), f(3, 4).softmax(1)]),
    "huber_loss": lambda: both_ways(F.huber_loss, [f(4), f(4)]),
    "smooth_l1_loss": lambda: both_ways(F.smooth_l1_loss, [f(4), f(4)]),
    "l1_loss": lambda: both_ways(F.l1_loss, [f(4), f(4)]),
    "mse_loss": lambda: both_ways(F.mse_loss, [f(4), f(4)]),
    "multinomial": lambda: [
        on_gpu(wg.multinomial(wg.rand(3, 5, device="gpu"), 4, replacement)) for replacement in (True, False)
    ],
    "fill_diagonal_": lambda: both_ways(lambda x: x.detach().clone().fill_diagonal_(2.0), [f(3, 4)]),
    "map_": lambda: both_ways(lambda x, y: x.clone().map_(y, lambda a, b: a + b), [wg.ones(3), wg.ones(3)]),
    "init": lambda: [
        on_gpu(init(wg.empty(4, 3, device="gpu")))
        for init in (
            wg.nn.init.orthogonal_,
            wg.nn.init.eye_,
            wg.nn.init.kaiming_uniform_,
            wg.nn.init.trunc_normal_,
            lambda x: wg.nn.init.sparse_(x, 0.5),
        )
    ],
    "jacobian": lambda: both_ways(lambda x: wg.autograd.functional.jacobian(wg.exp, x), [wg.rand(3)]),
    "isin of numbers": lambda: both_ways(lambda x: wg.isin(x, 2), [i(4, 5)]),
    "pad_sequence": lambda: both_ways(lambda *x: wg.nn.utils.rnn.pad_sequence(x), [f(3, 2), f(1, 2)]),
    "clip_grad_norm_": lambda: clip(),
}


def on_gpu(result):
    assert result.is_gpu and math.isfinite(result.float().sum().item())


def clip():
    p = wg.nn.Parameter(wg.zeros(2, device="gpu"))
    p.grad = wg.tensor([3.0, 4.0], device="gpu")
    assert wg.nn.utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(5.0)
    assert p.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-5)


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional(name):
    wg.manual_seed(0)
    FUNCTIONAL[name]()


def of(*values):
    return wg.tensor(values, device="gpu")


def parametrized(wrap):
    wg.manual_seed(0)
    layer = wrap(wg.nn.Linear(4, 3)).eval()
    return lambda x: layer.to(x.device)(x)


class Cube(wg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @wg.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x


FURTHER = {
    "checkpoint": lambda: both_ways(
        lambda x: wg.utils.checkpoint.checkpoint(wg.sigmoid, x, use_reentrant=False), [f(3)]
    ),
    "reentrant checkpoint": lambda: both_ways(
        lambda x: wg.utils.checkpoint.checkpoint(wg.sigmoid, x, use_reentrant=True), [f(3)]
    ),
    "a function of one's own": lambda: both_ways(Cube.apply, [f(3)]),
    "hessian": lambda: both_ways(
        lambda x: wg.autograd.functional.hessian(lambda v: v.exp().sum(), x), [wg.rand(3)]
    ),
    "vjp": lambda: both_ways(lambda x: wg.autograd.functional.vjp(wg.exp, x, wg.ones_like(x)), [wg.rand(3)]),
    "weight_norm": lambda: both_ways(parametrized(wg.nn.utils.parametrizations.weight_norm), [f(2, 4)]),
    "spectral_norm": lambda: both_ways(parametrized(wg.nn.utils.parametrizations.spectral_norm), [f(2, 4)]),
    "old spectral_norm": lambda: both_ways(parametrized(wg.nn.utils.spectral_norm), [f(2, 4)]),
    "slope of Gamma numbers": lambda: gamma_slope(),
    "EmbeddingBag": lambda: both_ways(embedded(wg.nn.EmbeddingBag(5, 3)), [i(5, 2, 4)]),
    "Embedding": lambda: both_ways(embedded(wg.nn.Embedding(5, 3, padding_idx=0)), [i(5, 2, 4)]),
    "searchsorted for a number": lambda: both_ways(wg.searchsorted, [wg.tensor([1.0, 3.0]), 2.0]),
    "quantile of numbers": lambda: both_ways(lambda x: x.quantile(0.3, dim=0), [f(5, 2)]),
    "LazyLinear": lambda: on_gpu(wg.nn.LazyLinear(3).to("gpu")(wg.ones(2, 4, device="gpu"))),
    "LazyConv2d": lambda: on_gpu(wg.nn.LazyConv2d(3, 2, device="gpu")(wg.ones(1, 2, 4, 4, device="gpu"))),
    "like": lambda: [
        on_gpu(make(wg.ones(2, device="gpu")))
        for make in (wg.zeros_like, wg.ones_like, wg.rand_like, wg.randn_like, wg.bernoulli)
    ],
    "GradScaler": lambda: scaled(),
    "x.new": lambda: on_gpu(wg.ones(2, device="gpu").new([1.0, 2.0])),
    "deepcopy": lambda: both_ways(copy.deepcopy, [f(3)]),
}


def scaled():
    p = wg.nn.Parameter(wg.ones(2, device="gpu"))
    optimizer, scaler = wg.optim.SGD([p], lr=1.0), wg.amp.GradScaler("gpu", init_scale=4.0)
    with pytest.warns(UserWarning, match="own dtypes"), wg.autocast("gpu"):
        loss = p.sum()
    scaler.scale(loss).backward()
    assert p.grad.tolist() == [4.0, 4.0]
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.0, 0.0]


def embedded(layer):
    return lambda x: layer.to(x.device)(x)


def gamma_slope():
    a = wg.tensor([0.3, 2.0, 50.0], device="gpu", requires_grad=True)
    drawn = wg.distributions.Gamma(a, 1.0).rsample()
    (slope,) = wg.autograd.grad(drawn.sum(), a)
    here = _slope(drawn.detach().cpu().double(), a.detach().cpu().double())
    wg.testing.assert_close(slope.cpu(), here.float(), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", FURTHER)
def test_further(name):
    wg.manual_seed(0)
    FURTHER[name]()


D = wg.distributions
DISTRIBUTIONS = {
    "Bernoulli": lambda: D.Bernoulli(of(0.3, 0.8)),
    "Beta": lambda: D.Beta(of(0.5, 2.0), of(1.0, 3.0)),
    "Binomial": lambda: D.Binomial(4, of(0.3, 0.8)),
    "Categorical": lambda: D.Categorical(of(0.2, 0.3, 0.5)),
    "Cauchy": lambda: D.Cauchy(of(0.0), of(1.0)),
    "Dirichlet": lambda: D.Dirichlet(of(0.5, 2.0, 1.0)),
    "Exponential": lambda: D.Exponential(of(0.5)),
    "Gamma": lambda: D.Gamma(of(0.5, 3.0), 1.0),
    "Geometric": lambda: D.Geometric(of(0.3)),
    "Gumbel": lambda: D.Gumbel(of(0.0), of(1.0)),
    "HalfNormal": lambda: D.HalfNormal(of(1.0)),
    "Laplace": lambda: D.Laplace(of(0.0), of(1.0)),
    "LogNormal": lambda: D.LogNormal(of(0.0), of(1.0)),
    "Multinomial": lambda: D.Multinomial(4, of(0.2, 0.3, 0.5)),
    "MultivariateNormal": lambda: D.MultivariateNormal(of(0.0, 1.0), wg.eye(2, device="gpu")),
    "Normal": lambda: D.Normal(of(0.0, 1.0), 2.0),
    "OneHotCategorical": lambda: D.OneHotCategorical(of(0.2, 0.3, 0.5)),
    "Poisson": lambda: D.Poisson(of(0.5, 3.0)),
    "RelaxedBernoulli": lambda: D.RelaxedBernoulli(of(0.5), of(0.3)),
    "RelaxedOneHotCategorical": lambda: D.RelaxedOneHotCategorical(of(0.5), of(0.2, 0.3, 0.5)),
    "StudentT": lambda: D.StudentT(of(3.0)),
    "Uniform": lambda: D.Uniform(of(0.0), of(2.0)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distribution(name):
    distribution = DISTRIBUTIONS[name]()
    drawn = distribution.sample((3,))
    on_gpu(drawn)
    on_gpu(distribution.log_prob(drawn))
