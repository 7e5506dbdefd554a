"""The F distribution."""

import math

import wengert as wg

from . import constraints
from .distribution import Distribution
from .gamma import Gamma
from .utils import broadcast_all


class FisherSnedecor(Distribution):
    """(x₁ / df1) / (x₂ / df2) of chi-square numbers x₁ and x₂ with df1 and df2 degrees of freedom.

    Example:
        >>> wg.distributions.FisherSnedecor(2.0, 4.0).mean
        tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1, df2, validate_args=None):
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1 = Gamma(self.df1 * 0.5, self.df1, validate_args)
        self._gamma2 = Gamma(self.df2 * 0.5, self.df2, validate_args)
        super().__init__(self.df1.shape, validate_args=validate_args)

    @property
    def mean(self):
        df2 = wg.where(self.df2 > 2, self.df2, math.nan)
        return df2 / (df2 - 2)

    @property
    def mode(self):
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return wg.where(self.df1 > 2, mode, math.nan)

    @property
    def variance(self):
        df1, df2 = self.df1, wg.where(self.df2 > 4, self.df2, math.nan)
        return 2 * df2.pow(2) * (df1 + df2 - 2) / (df1 * (df2 - 2).pow(2) * (df2 - 4))

    def rsample(self, sample_shape=()):
        tiny = wg.finfo(self.df1.dtype).tiny
        over, under = self._gamma1.rsample(sample_shape), self._gamma2.rsample(sample_shape)
        return (over / under.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value):
        self._validate_sample(value)
        a, b, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        scale = wg.lgamma(a + b) - wg.lgamma(a) - wg.lgamma(b) + a * ratio.log()
        return scale + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
