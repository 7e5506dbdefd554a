"""The generalized Pareto distribution."""

import math

import wengert as wg

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all


class GeneralizedPareto(Distribution):
    """What exceeds a threshold `loc`: survival (1 + k·(x − loc) / scale)^(−1/k), exponential for concentration k = 0.

    Example:
        >>> wg.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
        tensor(2.)
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self):
        bounded = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, wg.where(self.concentration < 0, bounded, math.inf))

    def _split(self):
        """(whether k counts as 0, a k that may be divided by)."""
        flat = wg.isclose(self.concentration, wg.zeros_like(self.concentration))
        return flat, wg.where(flat, 1.0, self.concentration)

    def rsample(self, sample_shape=()):
        u = wg.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.icdf(u)

    def log_prob(self, value):
        self._validate_sample(value)
        z, (flat, k) = (value - self.loc) / self.scale, self._split()
        return wg.where(flat, -z, -(1 + 1 / k) * (k * z).log1p()) - self.scale.log()

    def log_survival_function(self, value):
        """The logarithm of the probability of more than `value`."""
        self._validate_sample(value)
        z, (flat, k) = (value - self.loc) / self.scale, self._split()
        return wg.where(flat, -z, -(k * z).log1p() / k)

    def log_cdf(self, value):
        """The logarithm of :meth:`cdf`."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value):
        return self.log_cdf(value).exp()

    def icdf(self, value):
        flat, k = self._split()
        log_rest = (-value).log1p()
        return self.loc + self.scale * wg.where(flat, -log_rest, wg.expm1(-k * log_rest) / k)

    @property
    def mean(self):
        k = self.concentration
        return wg.where(k < 1, self.loc + self.scale / (1 - k), math.inf)

    @property
    def variance(self):
        k = self.concentration
        return wg.where(k < 0.5, self.scale**2 / ((1 - k) ** 2 * (1 - 2 * k)), math.inf)

    @property
    def mode(self):
        return self.loc

    def entropy(self):
        return self.scale.log() + self.concentration + 1
