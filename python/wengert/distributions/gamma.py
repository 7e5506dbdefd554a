"""The gamma distribution."""

import wengert as wg

from . import constraints
from ._gamma import standard_gamma
from .distribution import Distribution
from .utils import broadcast_all


class Gamma(Distribution):
    """Density ∝ x^(concentration − 1) · e^(−rate · x).

    Example:
        >>> wg.distributions.Gamma(2.0, 4.0).mean
        tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def mode(self):
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self):
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape=()):
        return standard_gamma(self.concentration.expand(self._extended_shape(sample_shape))) / self.rate

    def log_prob(self, value):
        self._validate_sample(value)
        return (
            wg.xlogy(self.concentration, self.rate)
            + wg.xlogy(self.concentration - 1, value)
            - self.rate * value
            - wg.lgamma(self.concentration)
        )

    def entropy(self):
        a = self.concentration
        return a - self.rate.log() + wg.lgamma(a) + (1.0 - a) * wg.digamma(a)
