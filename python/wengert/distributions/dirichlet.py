"""The Dirichlet distribution."""

import wengert as wg

from . import constraints
from ._gamma import standard_gamma
from .distribution import Distribution


class Dirichlet(Distribution):
    """Vectors of probabilities, density ∝ Π xᵢ^(concentrationᵢ − 1).

    Example:
        >>> wg.distributions.Dirichlet(wg.tensor([1.0, 3.0])).mean
        tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self):
        above = (self.concentration - 1).clamp(min=0.0)
        mode = above / above.sum(-1, True)
        flat = (self.concentration < 1).all(-1, keepdim=True)
        first = wg.nn.functional.one_hot(self.concentration.argmax(-1), above.shape[-1]).to(mode.dtype)
        return wg.where(flat, first, mode)

    @property
    def variance(self):
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape=()):
        drawn = standard_gamma(self.concentration.expand(self._extended_shape(sample_shape)))
        return drawn / drawn.sum(-1, True)

    def log_prob(self, value):
        self._validate_sample(value)
        a = self.concentration
        return wg.xlogy(a - 1.0, value).sum(-1) + wg.lgamma(a.sum(-1)) - wg.lgamma(a).sum(-1)

    def entropy(self):
        a, k = self.concentration, self.concentration.shape[-1]
        total = a.sum(-1)
        return (
            wg.lgamma(a).sum(-1)
            - wg.lgamma(total)
            - (k - total) * wg.digamma(total)
            - ((a - 1.0) * wg.digamma(a)).sum(-1)
        )
