"""The Gumbel distribution."""

import math

import wengert as wg

from ._location_scale import LocationScale

_EULER = 0.57721566490153286060


class Gumbel(LocationScale):
    """Maxima: distribution function e^(−e^(−(x − loc) / scale)).

    Example:
        >>> wg.distributions.Gumbel(0.0, 1.0).mean
        tensor(0.5772)
    """

    @property
    def mean(self):
        return self.loc + self.scale * _EULER

    @property
    def mode(self):
        return self.loc

    @property
    def stddev(self):
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self):
        return self.stddev.pow(2)

    def rsample(self, sample_shape=()):
        info = wg.finfo(self.loc.dtype)
        drawn = self.loc.new_empty(self._extended_shape(sample_shape)).uniform_()
        return self.icdf(info.tiny + drawn * (1 - info.eps - info.tiny))

    def log_prob(self, value):
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def cdf(self, value):
        self._validate_sample(value)
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value):
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self):
        return self.scale.log() + (1 + _EULER)
