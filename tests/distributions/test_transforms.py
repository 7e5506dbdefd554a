"""Constraints and transforms of distributions against torch's."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import wengert as wg

sys.path.append(str(Path(__file__).parents[1] / "nn"))
from nn_compare import both, data


def test_constraints():
    def program(lib):
        c = lib.distributions.constraints
        x = lib.tensor([[-1.0, 0.0, 0.5], [1.0, 2.0, math.nan]])
        elementwise = [c.real, c.positive, c.nonnegative, c.unit_interval, c.boolean, c.nonnegative_integer]
        elementwise += [
            c.interval(0, 1),
            c.integer_interval(0, 1),
            c.half_open_interval(0, 1),
            c.less_than(1),
        ]
        elementwise += [c.greater_than_eq(0), c.positive_integer, c.real_vector, c.simplex, c.one_hot]
        matrices = lib.stack([lib.eye(2), lib.ones(2, 2), -lib.eye(2)])
        seen = [constraint.check(x) for constraint in elementwise]
        return [*seen, c.lower_cholesky.check(matrices), c.positive_definite.check(matrices[:2])]

    both(program)


@pytest.mark.parametrize(
    "make",
    [
        lambda D: D.ExpTransform(),
        lambda D: D.TanhTransform(),
        lambda D: D.SigmoidTransform(),
        lambda D: D.SoftplusTransform(),
        lambda D: D.PowerTransform(2.0),
        lambda D: D.AffineTransform(1.0, -2.0),
        lambda D: D.AffineTransform(1.0, -2.0, event_dim=1),
        lambda D: D.ComposeTransform([D.AffineTransform(1.0, 2.0), D.ExpTransform()]),
        lambda D: D.IndependentTransform(D.ExpTransform(), 1),
        lambda D: D.ExpTransform().inv,
        lambda D: D.ReshapeTransform((3,), (3, 1)),
        lambda D: D.CumulativeDistributionTransform(D.Normal(0.5, 2.0)),
        lambda D: D.StackTransform([D.ExpTransform(), D.AffineTransform(0.5, 2.0), D.TanhTransform()], dim=1),
        lambda D: D.CatTransform([D.ExpTransform(), D.AffineTransform(0.5, 2.0)], dim=-1, lengths=[1, 2]),
        lambda D: D.StickBreakingTransform(),
        lambda D: D.CorrCholeskyTransform(),
    ],
)
def test_transforms(make):
    def program(lib):
        t, x = make(lib.distributions), data(lib, 2, 3, low=0.2, high=1.5, dtype="float64")
        y = t(x)
        return [y, t.inv(y), t.log_abs_det_jacobian(x, y), t.inv.inv is t or t.inv.inv(x), t.bijective]

    ours, _ = both(program, 1e-7)
    np.testing.assert_allclose(ours[1].numpy(), data(wg, 2, 3, low=0.2, high=1.5, dtype="float64").numpy())


@pytest.mark.parametrize("name", ["LowerCholeskyTransform", "PositiveDefiniteTransform"])
def test_transforms_of_matrices(name):
    def program(lib):
        t, x = getattr(lib.distributions, name)(), data(lib, 2, 3, 3, dtype="float64").tril()
        return [t(x), t.inv(t(x)), t.domain.event_dim, t.codomain.event_dim, t.bijective]

    ours, _ = both(program, 1e-7)
    np.testing.assert_allclose(ours[1].numpy(), data(wg, 2, 3, 3, dtype="float64").tril().numpy())


def test_shapes_of_transforms():
    def program(lib):
        D = lib.distributions
        made = [D.ReshapeTransform((2, 3), (6,)), D.StickBreakingTransform(), D.CorrCholeskyTransform()]
        shapes = [tuple(t.forward_shape((4, 2, 3))) for t in made]
        shapes += [tuple(made[0].inverse_shape((4, 6))), tuple(made[1].inverse_shape((4, 6)))]
        reshaped = D.TransformedDistribution(
            D.Normal(lib.zeros(4, 6), 1.0), [D.ReshapeTransform((6,), (2, 3))]
        )
        shapes += [
            tuple(reshaped.batch_shape),
            tuple(reshaped.event_shape),
            tuple(reshaped.sample((5,)).shape),
        ]
        return [*shapes, reshaped.log_prob(data(lib, 4, 2, 3))]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda D, t: D.ReshapeTransform((2, 3), (5,)),
        lambda D, t: D.ReshapeTransform((2, 3), (6,)).forward_shape((4,)),
        lambda D, t: D.ReshapeTransform((2, 3), (6,)).forward_shape((3, 2)),
        lambda D, t: D.CorrCholeskyTransform()(t([1.0, 2.0])),
        lambda D, t: D.CorrCholeskyTransform().inverse_shape((2, 3)),
        lambda D, t: D.StickBreakingTransform().forward_shape(()),
        lambda D, t: D.CatTransform([D.ExpTransform()], lengths=[1, 2]),
        lambda D, t: D.StackTransform([3]),
        lambda D, t: D.biject_to(D.constraints.boolean),
        lambda D, t: D.biject_to(D.constraints.lower_cholesky),
        lambda D, t: D.biject_to.register(int, None)(3),
        lambda D, t: D.constraints.dependent.check(t(1.0)),
        lambda D, t: D.Pareto(1.0, -1.0),
        lambda D, t: D.Weibull(1.0, -1.0),
        lambda D, t: D.HalfCauchy(-1.0),
        lambda D, t: D.InverseGamma(-1.0, 1.0),
        lambda D, t: D.Kumaraswamy(-1.0, 1.0),
        lambda D, t: D.FisherSnedecor(0.0, 1.0),
        lambda D, t: D.NegativeBinomial(1.0),
        lambda D, t: D.NegativeBinomial(1.0, probs=1.0),
        lambda D, t: D.NegativeBinomial(1.0, probs=0.5).log_prob(t(0.5)),
        lambda D, t: D.VonMises(0.0, -1.0),
        lambda D, t: D.VonMises(0.0, 1.0).rsample(),
        lambda D, t: D.ContinuousBernoulli(),
        lambda D, t: D.ContinuousBernoulli(1.5, validate_args=True),
        lambda D, t: D.GeneralizedPareto(0.0, -1.0, 0.5),
        lambda D, t: D.LowRankMultivariateNormal(t(0.0), t([[1.0]]), t([1.0])),
        lambda D, t: D.LowRankMultivariateNormal(t([0.0, 1.0]), t([[1.0]]), t([1.0, 1.0])),
        lambda D, t: D.LowRankMultivariateNormal(t([0.0, 1.0]), t([[1.0], [1.0]]), t([1.0, -1.0])),
        lambda D, t: D.ExponentialFamily().entropy(),
        lambda D, t: D.Wishart(t(0.5), t([[1.0, 0.0], [0.0, 1.0]])),
        lambda D, t: D.Wishart(t(3.0)),
        lambda D, t: D.Wishart(t(3.0), t([[1.0, 2.0], [2.0, 1.0]])),
        lambda D, t: D.LKJCholesky(1),
        lambda D, t: D.LKJCholesky(3, -1.0),
    ],
)
def test_more_refusals(bad):
    _, theirs = both(lambda lib: bad(lib.distributions, lib.tensor))
    assert isinstance(theirs, Exception), "torch accepts this"


REGISTERED = {
    "real": lambda c: c.real,
    "positive": lambda c: c.positive,
    "greater_than": lambda c: c.greater_than(-2.0),
    "greater_than_eq": lambda c: c.greater_than_eq(3.0),
    "less_than": lambda c: c.less_than(1.0),
    "unit_interval": lambda c: c.unit_interval,
    "interval": lambda c: c.interval(-1.0, 3.0),
    "half_open_interval": lambda c: c.half_open_interval(-1.0, 3.0),
    "simplex": lambda c: c.simplex,
    "real_vector": lambda c: c.real_vector,
    "corr_cholesky": lambda c: c.corr_cholesky,
    "cat": lambda c: c.cat([c.positive, c.interval(-1.0, 1.0)], dim=-1, lengths=[2, 1]),
    "stack": lambda c: c.stack([c.positive, c.real, c.less_than(0.0)], dim=1),
}


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_transforms_onto_constraints(name, registry):
    def program(lib):
        constraint = REGISTERED[name](lib.distributions.constraints)
        t, x = getattr(lib.distributions, registry)(constraint), data(lib, 2, 3, dtype="float64")
        assert bool(constraint.check(t(x)).all())
        # IndependentTransform and the identity print in words of our own.
        shown = "" if name == "real_vector" else repr(t)
        return [t(x), t.inv(t(x)), shown]

    both(program, 1e-7)


def test_transforms_onto_matrices():
    def program(lib):
        D, x = lib.distributions, data(lib, 2, 3, 3, dtype="float64")
        c = D.constraints
        kinds = [c.lower_cholesky, c.positive_definite, c.positive_semidefinite]
        return [D.transform_to(kind)(x) for kind in kinds]

    both(program, 1e-7)


def test_a_registered_constraint():
    def program(lib):
        D = lib.distributions

        class Even(D.constraints.Constraint):
            def check(self, value):
                return value % 2 == 0

        @D.transform_to.register(Even)
        def even(constraint):
            return D.AffineTransform(0, 2)

        return [D.transform_to(Even())(lib.ones(2)), D.constraints.is_dependent(D.constraints.dependent)]

    both(program)


def test_constraints_of_matrices():
    def program(lib):
        c = lib.distributions.constraints
        x = lib.stack([lib.eye(3), lib.ones(3, 3), -lib.eye(3), lib.ones(3, 3).tril(), lib.ones(3, 3).triu()])
        kinds = [c.lower_triangular, c.square, c.symmetric, c.positive_semidefinite, c.corr_cholesky]
        parts = c.cat([c.positive, c.real], dim=-1, lengths=[1, 2]), c.stack([c.positive] * 3, dim=-1)
        return [
            *(kind.check(x) for kind in kinds),
            *(kind.check(x) for kind in parts),
            c.square.check(x[:, :2]),
        ]

    both(program)


def test_equal_transforms():
    D = wg.distributions
    scale = wg.tensor([1.0, 2.0])
    assert (
        D.AffineTransform(0.0, scale)
        == D.AffineTransform(0.0, scale.clone())
        != D.AffineTransform(1.0, scale)
    )
    assert (
        D.ExpTransform() == D.ExpTransform() != D.TanhTransform()
        and D.ExpTransform().inv == D.ExpTransform().inv
    )
    shifted = [
        D.TransformedDistribution(D.Normal(scale * 0, s), D.AffineTransform(0.0, scale)) for s in (1, 2.0)
    ]
    assert D.kl_divergence(*shifted).equal(D.kl_divergence(*(d.base_dist for d in shifted)))
    with pytest.raises(NotImplementedError):
        D.kl_divergence(shifted[0], D.TransformedDistribution(D.Normal(scale * 0, 1.0), D.ExpTransform()))


def test_cached_transforms_give_the_value_itself():
    t = wg.distributions.TanhTransform(cache_size=1)
    x = wg.tensor(30.0)
    assert t.inv(t(x)) is x and not math.isfinite(wg.distributions.TanhTransform().inv(t(x)).item())
