"""Fused batch normalisation, modules without initial values and orthogonal weights: as torch's."""

import copy
import io

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=5)

CONVOLUTIONS = {
    "Conv1d": (lambda nn: nn.Conv1d(2, 3, 2), (2, 2, 6)),
    "Conv2d": (lambda nn: nn.Conv2d(4, 6, 3, groups=2, bias=False), (1, 4, 5, 5)),
    "Conv3d": (lambda nn: nn.Conv3d(2, 3, 2), (1, 2, 3, 3, 3)),
    "ConvTranspose1d": (lambda nn: nn.ConvTranspose1d(2, 3, 2, stride=2), (2, 2, 6)),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(2, 3, 2, bias=False), (1, 2, 4, 4)),
}


def trained(lib, norm):
    """Statistics, scale and shift as after a training."""
    for i, name in enumerate(("running_mean", "running_var", "weight", "bias")):
        tensor = getattr(norm, name)
        if tensor is not None:
            tensor.data.copy_(data(lib, *tensor.shape, seed=i, low=0.5))
    return norm.eval()


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions(kind, affine):
    def program(lib):
        make, shape = CONVOLUTIONS[kind]
        conv = make(lib.nn).eval()
        norm = trained(lib, getattr(lib.nn, f"BatchNorm{kind[-2:]}")(conv.out_channels, affine=affine))
        fused = lib.nn.utils.fuse_conv_bn_eval(conv, norm, "Transpose" in kind)
        x = data(lib, *shape)
        assert lib.allclose(fused(x), norm(conv(x)), atol=1e-5)
        needs = [p.requires_grad for p in fused.parameters()]
        return [fused(x), dict(fused.state_dict()), repr(fused), needs, fused is conv]

    both(program)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("features", [1, 3])
def test_linear(features, bias):
    def program(lib):
        linear = lib.nn.Linear(2, 3, bias=bias).eval()
        fused = lib.nn.utils.fuse_linear_bn_eval(linear, trained(lib, lib.nn.BatchNorm1d(features)))
        needs = [p.requires_grad for p in fused.parameters()]
        return [fused.weight, fused.bias, needs, type(fused.bias).__name__, dict(linear.state_dict())]

    both(program)


def test_weights_of_half_precision_keep_their_dtype():
    def program(lib):
        weight, ones = data(lib, 3, 2, 1).half(), lib.ones(3)
        fused = lib.nn.utils.fuse_conv_bn_weights(weight, None, ones, ones * 3, 1.0, None, None)
        return [list(fused), [p.requires_grad for p in fused]]

    both(program, 1e-3)


def reassigned(nn, change, **options):
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3), **options)
    layer.weight = change(layer.weight.detach())
    return layer.weight


@pytest.mark.parametrize(
    "bad",
    [
        lambda nn: nn.utils.fuse_conv_bn_eval(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3).eval()),
        lambda nn: nn.utils.fuse_conv_bn_eval(nn.Conv1d(2, 3, 2).eval(), nn.BatchNorm1d(3)),
        lambda nn: nn.utils.fuse_conv_bn_eval(
            nn.Conv1d(2, 3, 2).eval(), nn.BatchNorm1d(3, track_running_stats=False).eval()
        ),
        lambda nn: nn.utils.fuse_linear_bn_eval(nn.Linear(2, 3).eval(), nn.BatchNorm1d(2).eval()),
        lambda nn: nn.utils.fuse_linear_bn_eval(nn.Linear(2, 3), nn.BatchNorm1d(3).eval()),
        lambda nn: nn.utils.fuse_linear_bn_eval(
            nn.Linear(2, 3).eval(), nn.BatchNorm1d(3, track_running_stats=False).eval()
        ),
        lambda nn: nn.utils.skip_init(nn.ReLU),
        lambda nn: nn.utils.skip_init(dict),
        lambda nn: nn.utils.parametrizations.orthogonal(nn.Linear(2, 3), "wieght"),
        lambda nn: nn.utils.parametrizations.orthogonal(nn.Linear(2, 3), "bias"),
        lambda nn: nn.utils.parametrizations.orthogonal(nn.Linear(2, 3), orthogonal_map="swirl"),
        lambda nn: reassigned(nn, lambda w: w, use_trivialization=False),
        lambda nn: reassigned(nn, lambda w: w[:2]),
    ],
)
def test_refusals(bad):
    ours, theirs = both(lambda lib: bad(lib.nn))
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


@pytest.mark.host("each device draws its own random numbers")
def test_nothing_is_drawn_for_what_is_not_initialised():
    def program(lib):
        lib.manual_seed(4)
        made = lib.nn.utils.skip_init(lib.nn.Linear, 3, 2, bias=False, dtype=lib.float64)
        other = lib.nn.utils.skip_init(lib.nn.BatchNorm1d, num_features=3, device="cpu")
        kinds = [[str(p.device), type(p).__name__, p.requires_grad, p.is_leaf] for p in made.parameters()]
        sizes = [
            tuple(made.weight.shape),
            [tuple(b.shape) for b in other.buffers()],
            made.weight.dtype == lib.float64,
        ]
        return [repr(made), kinds, sizes, lib.rand(3)]

    both(program)


MAPS = [None, "matrix_exp", "cayley", "householder"]
SHAPES = [(4, 4), (5, 3), (3, 5), (2, 4, 3), (1, 1), (3, 1)]


def holder(lib, weight):
    class Holder(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = lib.nn.Parameter(weight)

    return Holder()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("trivial", [False, True])
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.host("each device draws its own random numbers")
def test_orthogonal(kind, trivial, shape):
    def program(lib):
        lib.manual_seed(0)
        module = holder(lib, data(lib, *shape, dtype="float64"))
        orthogonal = lib.nn.utils.parametrizations.orthogonal
        seen = [orthogonal(module, "weight", kind, use_trivialization=trivial) is module, repr(module)]
        seen += [dict(module.state_dict()), module.weight]
        optimizer = lib.optim.SGD(module.parameters(), lr=0.1)
        for step in range(2):
            optimizer.zero_grad()
            (module.weight * data(lib, *shape, seed=3 + step, dtype="float64")).sum().backward()
            optimizer.step()
        seen += [module.weight, dict(module.state_dict())]
        w = module.weight.detach()
        w = w if shape[-2] >= shape[-1] else w.mT
        assert trivial or kind is not None or lib.allclose(w.mT @ w, lib.eye(w.shape[-1], dtype=lib.float64))
        try:
            for given in (data(lib, *shape, seed=8, dtype="float64"), w if w.shape == shape else w.mT):
                module.weight = given
                seen += [module.weight, dict(module.state_dict())]
        except NotImplementedError as error:
            seen.append(type(error).__name__)
        return seen

    both(program, 1e-8)


@pytest.mark.host("each device draws its own random numbers")
def test_an_orthogonal_layer_in_float32():
    def program(lib):
        lib.manual_seed(0)
        layer = lib.nn.utils.parametrizations.orthogonal(lib.nn.Linear(6, 4))
        layer(data(lib, 3, 6)).square().sum().backward()
        return [repr(layer), layer.weight, [p.grad for p in layer.parameters()], copy.deepcopy(layer).weight]

    both(program, 1e-4)


def test_an_orthogonal_state_goes_round():
    make = wg.nn.utils.parametrizations.orthogonal
    layer, other, file = make(wg.nn.Linear(3, 3)), make(wg.nn.Linear(3, 3)), io.BytesIO()
    wg.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(wg.load(file))
    assert other.weight.equal(layer.weight)


@pytest.mark.parametrize("kind", MAPS)
def test_orthogonal_gradients(kind):
    module = holder(wg, data(wg, 4, 3, dtype="float64"))
    wg.nn.utils.parametrizations.orthogonal(module, "weight", kind)
    form = module.parametrizations.weight[0]
    x = data(wg, 4, 3, dtype="float64") * 0.5
    x.diagonal().fill_(1.0)

    def below(x):
        """The map changes with what stands below the diagonal, on which the signs stand."""
        return form(x.tril(-1) + wg.eye(4, 3, dtype=wg.float64))

    assert wg.autograd.gradcheck(below, (x.requires_grad_(),))
