"""The Cauchy distribution's absolute values."""

import math

import wengert as wg

from . import constraints
from .cauchy import Cauchy
from .transformed_distribution import TransformedDistribution
from .transforms import AbsTransform


class HalfCauchy(TransformedDistribution):
    """|x| of a Cauchy-distributed x of median 0 and half-width `scale`.

    Example:
        >>> wg.distributions.HalfCauchy(1.0).cdf(wg.tensor(1.0))
        tensor(0.5000)
    """

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, scale, validate_args=None):
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args)
        if self._validate_args and not bool((self.scale > 0).all()):
            raise ValueError(f"HalfCauchy: expected scale > 0, but got {self.scale}")

    @property
    def scale(self):
        """The half-width."""
        return self.base_dist.scale

    @property
    def mean(self):
        return wg.full_like(self.scale.detach(), math.inf)

    @property
    def mode(self):
        return wg.zeros_like(self.scale)

    @property
    def variance(self):
        return self.base_dist.variance

    def log_prob(self, value):
        self._validate_sample(value)
        value = wg.as_tensor(value, dtype=self.scale.dtype, device=self.scale.device)
        return wg.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value):
        self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value):
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self):
        return self.base_dist.entropy() - math.log(2)
