"""The Laplace distribution."""

import math

import wengert as wg

from ._location_scale import LocationScale


class Laplace(LocationScale):
    """Density e^(−|x − loc| / scale) / (2 scale).

    Example:
        >>> wg.distributions.Laplace(0.0, 1.0).log_prob(wg.tensor(0.0))
        tensor(-0.6931)
    """

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def stddev(self):
        return math.sqrt(2) * self.scale

    @property
    def variance(self):
        return 2 * self.scale.pow(2)

    def rsample(self, sample_shape=()):
        drawn = self.loc.new_empty(self._extended_shape(sample_shape))
        drawn.uniform_(wg.finfo(self.loc.dtype).eps - 1, 1)
        return self.loc - self.scale * drawn.sign() * (-drawn.abs()).log1p()

    def log_prob(self, value):
        self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value):
        self._validate_sample(value)
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * wg.expm1(-away.abs() / self.scale)

    def icdf(self, value):
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self):
        return 1 + (2 * self.scale).log()
