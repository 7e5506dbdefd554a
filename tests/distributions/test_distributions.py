"""Distributions against torch's: densities, moments, samples where the stream is PyTorch's, divergences, refusals."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import wengert as wg

sys.path.append(str(Path(__file__).parents[1] / "nn"))
from nn_compare import both, data, torch


def of(lib, *values):
    return lib.tensor(values, dtype=lib.float64).requires_grad_()


def square(lib):
    return lib.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=lib.float64)


# name: (parameters, constructor, values)
CASES = {
    "Normal": ("loc scale", lambda D, a, b: D.Normal(a, b), (0.3, -2.0)),
    "LogNormal": ("loc scale", lambda D, a, b: D.LogNormal(a, b), (0.3, 2.0)),
    "HalfNormal": ("scale", lambda D, a: D.HalfNormal(a), (0.3, 2.0)),
    "Uniform": ("low high", lambda D, a, b: D.Uniform(a - 3, a + b), (0.1, 0.4)),
    "Exponential": ("scale", lambda D, a: D.Exponential(a), (0.3, 2.0)),
    "Laplace": ("loc scale", lambda D, a, b: D.Laplace(a, b), (0.3, -2.0)),
    "Cauchy": ("loc scale", lambda D, a, b: D.Cauchy(a, b), (0.3, -2.0)),
    "Gumbel": ("loc scale", lambda D, a, b: D.Gumbel(a, b), (0.3, -2.0)),
    "StudentT": ("df loc scale", lambda D, a, b, c: D.StudentT(a, b, c), (0.3, -2.0)),
    "Gamma": ("df scale", lambda D, a, b: D.Gamma(a, b), (0.3, 2.0)),
    "Chi2": ("df", lambda D, a: D.Chi2(a), (0.3, 2.0)),
    "Beta": ("df scale", lambda D, a, b: D.Beta(a, b), (0.3, 0.8)),
    "Dirichlet": ("df", lambda D, a: D.Dirichlet(a), (0.3, 0.7)),
    "Bernoulli": ("probs", lambda D, a: D.Bernoulli(a), (0.0, 1.0)),
    "Bernoulli of logits": ("loc", lambda D, a: D.Bernoulli(logits=a), (0.0, 1.0)),
    "Binomial": ("probs", lambda D, a: D.Binomial(5, a), (2.0, 5.0)),
    "Binomial of logits": ("loc", lambda D, a: D.Binomial(5, logits=a), (2.0, 5.0)),
    "Geometric": ("probs", lambda D, a: D.Geometric(a), (0.0, 3.0)),
    "Geometric of logits": ("loc", lambda D, a: D.Geometric(logits=a), (0.0, 3.0)),
    "Poisson": ("scale", lambda D, a: D.Poisson(a), (0.0, 3.0)),
    "Categorical": ("probs", lambda D, a: D.Categorical(a), (1.0, 0.0)),
    "Categorical of logits": ("loc", lambda D, a: D.Categorical(logits=a), (1.0, 0.0)),
    "OneHotCategorical": ("probs", lambda D, a: D.OneHotCategorical(a), (0.0, 1.0)),
    "Multinomial": ("probs", lambda D, a: D.Multinomial(3, a), (1.0, 2.0)),
    "RelaxedBernoulli": ("probs", lambda D, a: D.RelaxedBernoulli(a[0].detach(), a), (0.2, 0.7)),
    "RelaxedOneHotCategorical": (
        "probs",
        lambda D, a: D.RelaxedOneHotCategorical(a[0].detach(), a),
        (0.3, 0.7),
    ),
    "Independent": ("loc scale", lambda D, a, b: D.Independent(D.Normal(a, b), 1), (0.3, -2.0)),
    "tanh of normal": (
        "loc scale",
        lambda D, a, b: D.TransformedDistribution(D.Normal(a, b), D.TanhTransform()),
        (0.3, -0.8),
    ),
    "chain": (
        "loc scale",
        lambda D, a, b: D.TransformedDistribution(
            D.Independent(D.Normal(a, b), 1),
            [
                D.ExpTransform(),
                D.AffineTransform(1.0, b.detach()),
                D.SoftplusTransform(),
                D.PowerTransform(2.0),
            ],
        ),
        (9.3, 14.0),
    ),
    "logistic": (
        "loc",
        lambda D, a: D.TransformedDistribution(
            D.Uniform(a * 0, a * 0 + 1), [D.SigmoidTransform().inv, D.AffineTransform(a, 2.0)]
        ),
        (0.4, -2.0),
    ),
    "Pareto": ("scale df", lambda D, a, b: D.Pareto(a, b + 2), (2.3, 2.9)),
    "Weibull": ("scale df", lambda D, a, b: D.Weibull(a, b), (0.3, 2.0)),
    "HalfCauchy": ("scale", lambda D, a: D.HalfCauchy(a), (0.3, 2.0)),
    "InverseGamma": ("df scale", lambda D, a, b: D.InverseGamma(a, b), (0.3, 2.0)),
    "Kumaraswamy": ("df scale", lambda D, a, b: D.Kumaraswamy(a, b), (0.3, 0.8)),
    "FisherSnedecor": ("df scale", lambda D, a, b: D.FisherSnedecor(a, b + 4), (0.3, 2.0)),
    "NegativeBinomial": ("df probs", lambda D, a, b: D.NegativeBinomial(a, b), (0.0, 3.0)),
    "NegativeBinomial of logits": ("loc", lambda D, a: D.NegativeBinomial(4, logits=a), (0.0, 3.0)),
    "VonMises": ("loc scale", lambda D, a, b: D.VonMises(a, b), (0.3, -2.0)),
    "ContinuousBernoulli": ("probs", lambda D, a: D.ContinuousBernoulli(a), (0.2, 0.7)),
    "ContinuousBernoulli of logits": ("loc", lambda D, a: D.ContinuousBernoulli(logits=a * 1e-3), (0.2, 0.7)),
    "LogisticNormal": ("loc scale", lambda D, a, b: D.LogisticNormal(a, b), (0.3, 0.5, 0.2)),
    "mixture": (
        "probs loc scale",
        lambda D, p, a, b: D.MixtureSameFamily(D.Categorical(p), D.Normal(a, b)),
        (0.3, -1.0),
    ),
}
PARAMETERS = {
    "loc": (0.5, -1.0),
    "scale": (0.8, 2.0),
    "low": (0.5, -1.0),
    "high": (4.0, 3.0),
    "df": (3.5, 0.7),
    "probs": (0.3, 0.6),
}
SAME_STREAM = set(CASES) - {
    "StudentT", "Gamma", "Chi2", "Beta", "Dirichlet", "InverseGamma", "FisherSnedecor", "NegativeBinomial",
    "NegativeBinomial of logits"
}  # fmt: skip


def made(lib, name):
    parameters, construct, values = CASES[name]
    tensors = [of(lib, *PARAMETERS[p]) for p in parameters.split()]
    return construct(lib.distributions, *tensors), tensors, lib.tensor(values, dtype=lib.float64)


def asked(distribution, what, value):
    thing = getattr(distribution, what)
    if what in ("cdf", "log_prob"):
        return thing(value)
    if what == "icdf":
        return thing(value.clamp(0.1, 0.9))
    return thing() if callable(thing) else thing


@pytest.mark.parametrize(
    "what", ["log_prob", "entropy", "mean", "variance", "stddev", "mode", "cdf", "icdf", "perplexity"]
)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name, what):
    def program(lib):
        distribution, tensors, value = made(lib, name)
        result = asked(distribution, what, value)
        if not result.is_floating_point() or not result.requires_grad:
            return result.detach()
        result.sum().backward()
        return [result, *(t.grad if t.grad is not None else lib.zeros_like(t) for t in tensors)]

    if (name, what) == ("Kumaraswamy", "mode"):
        return  # PyTorch's formula has a factor of the wrong sign; test_the_mode_of_kumaraswamy looks at the density.
    # What torch leaves out, we may leave out or have.
    distribution, _, value = made(torch, name)
    try:
        asked(distribution, what, value)
    except (NotImplementedError, AttributeError):
        return
    both(program, 1e-7)


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_reprs(name):
    def program(lib):
        distribution, _, value = made(lib, name)
        wide = distribution.expand((4, *distribution.batch_shape))
        shapes = [
            tuple(x)
            for d in (distribution, wide)
            for x in (d.batch_shape, d.event_shape, d.sample().shape, d.sample((3, 2)).shape)
        ]
        return [shapes, wide.log_prob(value), distribution.has_rsample, distribution.sample().requires_grad]

    both(program, 1e-7)
    if name not in ("mixture", "chain", "logistic", "tanh of normal"):
        both(lambda lib: repr(made(lib, name)[0]).replace("Relaxed", ""))


@pytest.mark.parametrize("name", sorted(SAME_STREAM))
def test_samples_are_torchs(name):
    def program(lib):
        distribution, tensors, _ = made(lib, name)
        seen = [distribution.sample(), distribution.sample((3,)), lib.rand(1)]
        if distribution.has_rsample:
            drawn = distribution.rsample((2,))
            drawn.sum().backward()
            seen += [drawn, *(t.grad if t.grad is not None else lib.zeros_like(t) for t in tensors)]
        return seen

    both(program, 1e-6)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"Cauchy", "Categorical", "Categorical of logits"}))
def test_moments_of_samples(name):
    distribution, _, _ = made(wg, name)
    if name.startswith("Relaxed") or name in (
        "tanh of normal", "chain", "logistic", "HalfCauchy", "LogisticNormal", "VonMises"
    ):  # fmt: skip
        return
    if name == "InverseGamma":
        distribution = wg.distributions.InverseGamma(wg.tensor([9.0, 7.0]), 0.5)
    if name == "StudentT":
        distribution = wg.distributions.StudentT(wg.tensor([9.0, 7.0]), 0.5, 2.0)
    wg.manual_seed(1)
    n = 20_000
    drawn = distribution.sample((n,)).double()
    mean, variance = distribution.mean.detach().double(), distribution.variance.detach().double()
    assert ((drawn.mean(0) - mean).abs() < 6 * (variance / n).sqrt()).all()
    # Of these variances rare large numbers are most.
    assert (
        name in ("LogNormal", "FisherSnedecor", "Pareto")
        or ((drawn.var(0) / variance - 1).abs() < 0.35).all()
    )


@pytest.mark.parametrize("a", [0.05, 0.5, 1.0, 3.7, 40.0, 900.0, 3000.0])
def test_how_gamma_numbers_move_with_their_concentration(a):
    """Against torch's own derivative, at the distribution's quantiles."""
    from wengert.distributions._gamma import _slope

    x = np.quantile(np.random.default_rng(0).gamma(a, size=4000), [0.01, 0.2, 0.5, 0.8, 0.99])
    theirs = torch._standard_gamma_grad(torch.full((5,), a, dtype=torch.float64), torch.tensor(x))
    ours = _slope(wg.tensor(x.tolist(), dtype=wg.float64), wg.full((5,), a, dtype=wg.float64))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-3)


def test_gamma_samples_carry_gradients():
    a, b = wg.tensor([2.0], requires_grad=True), wg.tensor([4.0], requires_grad=True)
    wg.manual_seed(0)
    wg.distributions.Gamma(a, b).rsample((20_000,)).mean().backward()
    # The mean is a / b.
    assert a.grad.item() == pytest.approx(0.25, rel=0.05) and b.grad.item() == pytest.approx(-0.125, rel=0.05)


def test_multivariate_normals():
    def program(lib):
        MVN = lib.distributions.MultivariateNormal
        seen = []
        for name, matrix in (
            ("covariance_matrix", square(lib)),
            ("precision_matrix", square(lib).inverse()),
            ("scale_tril", lib.linalg.cholesky(square(lib))),
        ):
            loc, matrix = of(lib, 1.0, -1.0), matrix.requires_grad_()
            d = MVN(loc, **{name: matrix})
            x = lib.tensor([[0.3, 0.4], [2.0, -1.0]], dtype=lib.float64)
            (d.log_prob(x).sum() + d.entropy()).backward()
            seen += [repr(d), d.log_prob(x), d.entropy(), d.mean, d.variance, loc.grad, matrix.grad]
            seen += [d.covariance_matrix, d.precision_matrix, d.scale_tril]
            seen += [d.sample((3,)), d.rsample(), d.expand((4,)).log_prob(x[0])]
        return seen

    both(program, 1e-7)


KL = ["Normal", "LogNormal", "HalfNormal", "Uniform", "Exponential", "Laplace", "Cauchy", "Gamma", "Beta"]
KL += ["Dirichlet", "Bernoulli", "Bernoulli of logits", "Binomial", "Geometric", "Poisson", "Categorical"]
KL += ["Categorical of logits", "OneHotCategorical", "Independent", "mixture", "Gumbel and Normal"]


@pytest.mark.parametrize("name", KL)
def test_divergences(name):
    def program(lib):
        D = lib.distributions
        if name == "Gumbel and Normal":
            return D.kl_divergence(D.Poisson(of(lib, 1.0)), D.Normal(0.0, 1.0))
        p, tensors, _ = made(lib, name)
        parameters, construct, _ = CASES[name]
        q = construct(D, *(of(lib, *[0.9 * x for x in PARAMETERS[n]]) for n in parameters.split()))
        result = D.kl_divergence(p, q)
        result.sum().backward()
        return [result, *(t.grad for t in tensors)]

    both(program, 1e-7)


def test_more_divergences():
    def program(lib):
        D = lib.distributions
        loc = of(lib, 1.0, -1.0)
        a = D.MultivariateNormal(loc, square(lib))
        b = D.MultivariateNormal(loc * 0, lib.eye(2, dtype=lib.float64))
        impossible = D.Categorical(lib.tensor([0.5, 0.5])), D.Categorical(lib.tensor([1.0, 0.0]))
        sure = D.Bernoulli(lib.tensor([0.0, 1.0])), D.Bernoulli(lib.tensor([1.0, 1.0]))
        return [
            D.kl_divergence(a, b),
            D.kl_divergence(D.Uniform(lib.zeros(1), 1.0), D.Normal(lib.zeros(1), 1.0)),
            D.kl_divergence(*impossible),
            D.kl_divergence(*impossible[::-1]),
            D.kl_divergence(*sure),
            D.kl_divergence(D.Chi2(lib.tensor(2.0)), D.Gamma(lib.tensor(1.0), 2.0)),
        ]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda D, t: D.Normal(0.0, -1.0),
        lambda D, t: D.Normal(t([0.0, math.nan]), 1.0),
        lambda D, t: D.Normal(t([0.0] * 2), t([1.0] * 3)),
        lambda D, t: D.Normal("a", 1.0),
        lambda D, t: D.Normal(0.0, 1.0).log_prob(0.5),
        lambda D, t: D.Normal(t([0.0] * 2), 1.0).log_prob(t([0.0] * 3)),
        lambda D, t: D.Uniform(1.0, 0.0),
        lambda D, t: D.Uniform(0.0, 1.0).log_prob(t(3.0)),
        lambda D, t: D.Categorical(),
        lambda D, t: D.Categorical(t([0.5, 0.5]), logits=t([0.5, 0.5])),
        lambda D, t: D.Categorical(t([-1.0, 2.0])),
        lambda D, t: D.Categorical(t(0.5)),
        lambda D, t: D.Categorical(t([0.5, 0.5])).log_prob(t(2.0)),
        lambda D, t: D.Bernoulli(1.5),
        lambda D, t: D.Bernoulli(0.5).log_prob(t(0.5)),
        lambda D, t: D.Bernoulli(0.5).rsample(),
        lambda D, t: D.Gamma(0.0, 1.0),
        lambda D, t: D.Dirichlet(t(1.0)),
        lambda D, t: D.MultivariateNormal(t([0.0] * 2)),
        lambda D, t: D.MultivariateNormal(t([0.0] * 2), t([[1.0, 2.0], [2.0, 1.0]])),
        lambda D, t: D.Independent(D.Normal(0.0, 1.0), 1),
        lambda D, t: D.MixtureSameFamily(D.Categorical(t([1.0] * 3)), D.Normal(t([0.0] * 2), 1.0)),
        lambda D, t: D.Multinomial(3, t([0.5, 0.5])).log_prob(t([3.0, 4.0])),
        lambda D, t: D.TransformedDistribution(D.Normal(0.0, 1.0), [3]),
        lambda D, t: D.Poisson(2.0).entropy(),
    ],
)
def test_refusals(bad):
    _, theirs = both(lambda lib: bad(lib.distributions, lib.tensor))
    assert isinstance(theirs, Exception), "torch accepts this"


def test_unchecked_parameters_and_subclasses():
    def program(lib):
        D = lib.distributions

        class Shifted(D.Normal):
            def log_prob(self, value):
                return super().log_prob(value - 1)

        unchecked = D.Normal(0.0, -1.0, validate_args=False)
        return [unchecked.mean, Shifted(0.0, 1.0).log_prob(lib.tensor(1.0)), Shifted(0.0, 1.0).sample((2,))]

    both(program)


@pytest.mark.parametrize("expand", [True, False])
def test_supports(expand):
    def program(lib):
        D, p = lib.distributions, lib.tensor([[0.2, 0.8], [0.5, 0.5]])
        each = D.Categorical(p), D.OneHotCategorical(p), D.Bernoulli(p), D.Binomial(3, p)
        return [d.enumerate_support(expand) for d in each]

    both(program)


def test_generalized_pareto():
    # In float64 PyTorch's own dtypes clash.
    def program(lib):
        loc, scale, k = (
            lib.tensor(v, requires_grad=True) for v in ([0.5, -1.0, 0.0], [0.8, 2.0, 1.0], [0.3, -0.2, 0.0])
        )
        d = lib.distributions.GeneralizedPareto(loc, scale, k)
        x = lib.tensor([0.9, 0.3, 2.0])
        (d.log_prob(x).sum() + d.entropy().sum()).backward()
        seen = [
            d.log_prob(x),
            d.cdf(x),
            d.icdf(lib.tensor([0.1, 0.5, 0.9])),
            d.log_survival_function(x),
            d.log_cdf(x),
        ]
        seen += [d.mean, d.variance, d.mode, d.entropy(), loc.grad, scale.grad, k.grad, repr(d)]
        return [*seen, d.sample((4,)), d.rsample((2,)), d.expand((2, 3)).log_prob(x)]

    both(program, 1e-5)


def test_the_mode_of_kumaraswamy():
    d = wg.distributions.Kumaraswamy(wg.tensor([3.0, 0.5, 2.0]), wg.tensor([2.0, 3.0, 1.0]))
    x = wg.linspace(0.001, 0.999, 999).unsqueeze(1)
    assert abs(d.mode[0].item() - x[d.log_prob(x)[:, 0].argmax()].item()) < 1e-3
    assert d.mode[1].isnan() and d.mode[2] == 1


def test_low_rank_normals():
    def program(lib):
        loc = data(lib, 2, 3, dtype="float64", grad=True)
        factor = data(lib, 3, 2, seed=1, dtype="float64", grad=True)
        diagonal = data(lib, 3, seed=2, low=0.5, high=2.0, dtype="float64", grad=True)
        d = lib.distributions.LowRankMultivariateNormal(loc, factor, diagonal)
        x = data(lib, 4, 2, 3, seed=3, dtype="float64")
        (d.log_prob(x).sum() + d.entropy().sum()).backward()
        seen = [d.log_prob(x), d.entropy(), d.mean, d.variance, d.covariance_matrix, d.precision_matrix]
        seen += [d.scale_tril, loc.grad, factor.grad, diagonal.grad, repr(d), d.expand((3, 2)).log_prob(x[0])]
        return [*seen, d.sample((3,)), d.rsample()]

    both(program, 1e-7)


def test_wishart():
    def program(lib):
        seen = []
        for name, matrix in (
            ("covariance_matrix", square(lib)),
            ("precision_matrix", square(lib).inverse()),
            ("scale_tril", lib.linalg.cholesky(square(lib))),
        ):
            df, matrix = of(lib, 3.5, 5.0), matrix.requires_grad_()
            d = lib.distributions.Wishart(df, **{name: matrix})
            x = lib.stack([square(lib), 3 * lib.eye(2, dtype=lib.float64)])
            (d.log_prob(x).sum() + d.entropy().sum()).backward()
            seen += [repr(d), d.log_prob(x), d.entropy(), d.mean, d.variance, d.mode, df.grad]
            # What stands above the diagonal of a triangular factor has no gradient here.
            seen += [matrix.grad.tril() if name == "scale_tril" else matrix.grad]
            seen += [d.covariance_matrix, d.precision_matrix, d.scale_tril, d.expand((3, 2)).log_prob(x)]
            seen += [tuple(d.sample((3,)).shape), d.rsample().requires_grad]
        return seen

    both(program, 1e-7)
    d = wg.distributions.Wishart(wg.tensor(5.0), wg.tensor([[2.0, 0.5], [0.5, 1.0]]))
    drawn = d.sample((20_000,))
    assert ((drawn.mean(0) - d.mean).abs() < 6 * (d.variance / 20_000).sqrt()).all()
    assert ((drawn.var(0) / d.variance - 1).abs() < 0.1).all()


def test_correlation_matrices():
    def program(lib):
        c = of(lib, 0.7, 2.5)
        d = lib.distributions.LKJCholesky(3, c)
        x = lib.linalg.cholesky(
            lib.tensor([[1.0, 0.3, -0.2], [0.3, 1.0, 0.5], [-0.2, 0.5, 1.0]], dtype=lib.float64)
        )
        d.log_prob(x).sum().backward()
        seen = [d.log_prob(x), c.grad, repr(d), tuple(d.sample((4,)).shape), d.has_rsample]
        return [*seen, d.expand((3, 2)).log_prob(x), tuple(d.expand((3, 2)).sample().shape)]

    both(program, 1e-7)
    d = wg.distributions.LKJCholesky(3, wg.tensor(2.0))
    drawn = d.sample((20_000,))
    assert d.support.check(drawn).all()
    correlations = (drawn @ drawn.mT)[:, [1, 2, 2], [0, 0, 1]]
    # (r + 1) / 2 of each correlation is Beta(c + (n - 2) / 2, the same)-distributed: variance 1 / (2c + n - 1).
    assert (correlations.mean(0).abs() < 0.02).all() and ((correlations.var(0) - 1 / 6).abs() < 0.01).all()


@pytest.mark.parametrize("name", ["Pareto", "ContinuousBernoulli", "LowRankMultivariateNormal", "mixed"])
def test_further_divergences(name):
    def program(lib):
        D = lib.distributions
        if name == "Pareto":
            a, b = of(lib, 1.0, 2.0), of(lib, 3.0, 2.5)
            p, q, tensors = D.Pareto(a, b), D.Pareto(a * lib.tensor([0.8, 1.2]), b * 0.9), [a, b]
        elif name == "ContinuousBernoulli":
            a = of(lib, 0.3, 0.5)
            p, q, tensors = D.ContinuousBernoulli(a), D.ContinuousBernoulli(a * 0.9), [a]
        else:
            a = data(lib, 3, 2, dtype="float64", grad=True)
            zero, one = lib.zeros(3, dtype=lib.float64), lib.ones(3, dtype=lib.float64)
            p, tensors = D.LowRankMultivariateNormal(zero, a, one), [a]
            q = D.MultivariateNormal(zero + 1, 2 * lib.eye(3, dtype=lib.float64))
            if name != "mixed":
                q = D.LowRankMultivariateNormal(zero + 1, a * 0.5, one * 2)
        result = D.kl_divergence(p, q)
        back = [D.kl_divergence(q, p)] if name == "mixed" else []
        result[result.isfinite()].sum().backward()
        return [result, *back, *(t.grad for t in tensors)]

    both(program, 1e-7)


def test_extremes_of_counts_and_angles():
    def program(lib):
        D, zero = lib.distributions, lib.tensor([0.0, 1.0])
        nothing = D.NegativeBinomial(lib.zeros(2), probs=lib.tensor([0.3, 0.3]))
        angles = D.VonMises(lib.tensor([3.0, 0.0]), lib.tensor([1e-7, 500.0]))
        spread = D.VonMises(0.0, lib.tensor([0.1, 5.0])).variance
        half = D.ContinuousBernoulli(lib.tensor([0.5, 0.4995, 0.0, 1.0]))
        seen = [nothing.log_prob(zero), angles.sample((50,)), spread, half.mean, half.variance]
        return [
            *seen,
            half.log_prob(lib.full((4,), 0.3)),
            half.cdf(lib.full((4,), 0.3)),
            half.icdf(lib.full((4,), 0.3)),
        ]

    both(program, 1e-5)


def test_exponential_families():
    def program(lib):
        class Waiting(lib.distributions.ExponentialFamily):
            arg_constraints = {}
            _mean_carrier_measure = 0

            def __init__(self, rate):
                self.rate = rate
                super().__init__(rate.shape, validate_args=False)

            @property
            def _natural_params(self):
                return (-self.rate,)

            def _log_normalizer(self, x):
                return -(-x).log()

        return Waiting(lib.tensor([0.5, 2.0])).entropy()

    both(program)


def test_names_are_torchs():
    import torch.distributions

    for name in wg.distributions.__all__:
        assert hasattr(torch.distributions, name), name
    with pytest.raises(AttributeError, match=r"no distributions.Normals yet"):
        _ = wg.distributions.Normals
