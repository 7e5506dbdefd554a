"""The normal distribution's absolute values."""

import math

import wengert as wg

from . import constraints
from .distribution import Distribution
from .normal import Normal
from .utils import broadcast_all


class HalfNormal(Distribution):
    """|x| of a normal x of mean 0.

    Example:
        >>> wg.distributions.HalfNormal(1.0).mean
        tensor(0.7979)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        (scale,) = broadcast_all(scale)
        self._base = Normal(wg.zeros_like(scale), scale, validate_args)
        super().__init__(scale.shape, validate_args=validate_args)

    @property
    def scale(self):
        """The normal distribution's standard deviation."""
        return self._base.scale

    @property
    def mean(self):
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def mode(self):
        return wg.zeros_like(self.scale)

    @property
    def variance(self):
        return self.scale.pow(2) * (1 - 2 / math.pi)

    def rsample(self, sample_shape=()):
        return self._base.rsample(sample_shape).abs()

    def log_prob(self, value):
        self._validate_sample(value)
        return wg.where(value >= 0, self._base.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value):
        self._validate_sample(value)
        return 2 * self._base.cdf(value) - 1

    def icdf(self, value):
        return self._base.icdf((value + 1) / 2)

    def entropy(self):
        return self._base.entropy() - math.log(2)
