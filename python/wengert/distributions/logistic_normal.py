"""The logistic-normal distribution."""

from . import constraints
from .normal import Normal
from .transformed_distribution import TransformedDistribution
from .transforms import StickBreakingTransform


class LogisticNormal(TransformedDistribution):
    """Probabilities of n + 1 outcomes from n normal numbers, by breaking a stick.

    Args:
        loc, scale: of the normal numbers, (…, n).

    Example:
        >>> wg.distributions.LogisticNormal(wg.zeros(2), wg.ones(2)).event_shape
        torch.Size([3])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex

    def __init__(self, loc, scale, validate_args=None):
        base = Normal(loc, scale, validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self):
        """The normal numbers' mean."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self):
        """The normal numbers' standard deviation."""
        return self.base_dist.base_dist.scale
