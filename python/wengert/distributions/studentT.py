"""Student's t-distribution."""

import math

import wengert as wg

from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .utils import broadcast_all, standard_normal


class StudentT(Distribution):
    """loc + scale · x / sqrt(χ² / df), x standard normal.

    Example:
        >>> wg.distributions.StudentT(3.0).variance
        tensor(3.)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df, validate_args=validate_args)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self):
        return wg.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self):
        return self.loc

    @property
    def variance(self):
        finite = self.scale.pow(2) * self.df / (self.df - 2)
        return wg.where(self.df > 2, finite, wg.where(self.df > 1, math.inf, math.nan).to(finite.dtype))

    def rsample(self, sample_shape=()):
        x = standard_normal(self._extended_shape(sample_shape), self.df)
        return self.loc + self.scale * x * (self._chi2.rsample(sample_shape) / self.df).rsqrt()

    def _log_normaliser(self):
        return (
            self.scale.log()
            + 0.5 * self.df.log()
            + 0.5 * math.log(math.pi)
            + wg.lgamma(0.5 * self.df)
            - wg.lgamma(0.5 * (self.df + 1.0))
        )

    def log_prob(self, value):
        self._validate_sample(value)
        y = (value - self.loc) / self.scale
        return -0.5 * (self.df + 1.0) * (y**2 / self.df).log1p() - self._log_normaliser()

    def entropy(self):
        half = 0.5 * (self.df + 1)
        return half * (wg.digamma(half) - wg.digamma(0.5 * self.df)) + self._log_normaliser()
