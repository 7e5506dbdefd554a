"""The Cauchy distribution."""

import math

import wengert as wg
from wengert._functions._dims import wide_float

from ._location_scale import LocationScale


def _standard(shape, like):
    """tan(π · (u − ½)) of uniform u, drawn in float64 where there is one."""
    drawn = like.new_empty(shape, dtype=wide_float(like)).uniform_()
    return ((drawn - 0.5) * math.pi).tan().to(like.dtype)


class Cauchy(LocationScale):
    """Median `loc`, half-width at half-maximum `scale`; it has no mean.

    Example:
        >>> wg.distributions.Cauchy(0.0, 1.0).cdf(wg.tensor(1.0))
        tensor(0.7500)
    """

    @property
    def mean(self):
        return wg.full_like(self.loc.detach(), math.nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        return wg.full_like(self.loc.detach(), math.inf)

    def rsample(self, sample_shape=()):
        return self.loc + _standard(self._extended_shape(sample_shape), self.loc) * self.scale

    def log_prob(self, value):
        self._validate_sample(value)
        return -math.log(math.pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def cdf(self, value):
        self._validate_sample(value)
        return wg.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value):
        return wg.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self):
        return math.log(4 * math.pi) + self.scale.log()
