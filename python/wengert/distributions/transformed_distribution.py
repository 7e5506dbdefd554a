"""Distributions of transformed values."""

import wengert as wg

from .distribution import Distribution
from .independent import Independent
from .transforms import Transform
from .utils import sum_rightmost


class TransformedDistribution(Distribution):
    """y = f(x) for x of `base_distribution` and a transform, or several in turn.

    Example:
        >>> D = wg.distributions
        >>> log_normal = D.TransformedDistribution(D.Normal(0.0, 1.0), D.ExpTransform())
        >>> log_normal.log_prob(wg.tensor(1.0))
        tensor(-0.9189)
    """

    def __init__(self, base_distribution, transforms, validate_args=None):
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        wide = max((t.domain.event_dim for t in self.transforms), default=0)
        if len(base_shape) < wide:
            raise ValueError(
                "base_distribution needs to have shape with size at least "
                f"{wide}, but got {tuple(base_shape)}."
            )
        scaled = [t for t in self.transforms if hasattr(getattr(t, "scale", None), "shape")]
        shape = wg.broadcast_shapes(
            base_shape,
            *(t.scale.shape for t in scaled),
            *(t.loc.shape for t in scaled if hasattr(t.loc, "shape")),
        )
        event_dim = max(len(base_distribution.event_shape), wide)
        if tuple(shape) != tuple(base_shape):
            kept = len(shape) - len(base_distribution.event_shape)
            base_distribution = base_distribution.expand(shape[:kept])
        missing = event_dim - len(base_distribution.event_shape)
        self.base_dist = Independent(base_distribution, missing) if missing else base_distribution
        for transform in self.transforms:
            shape = wg.Size(transform.forward_shape(shape))
            event_dim += transform.codomain.event_dim - transform.domain.event_dim
        cut = len(shape) - event_dim
        super().__init__(shape[:cut], shape[cut:], validate_args)

    @property
    def has_rsample(self):
        return self.base_dist.has_rsample

    @property
    def support(self):
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        missing = len(self._event_shape) - support.event_dim
        if missing > 0:
            from .constraints import independent

            support = independent(support, missing)
        return support

    def sample(self, sample_shape=()):
        with wg.no_grad():
            x = self.base_dist.sample(sample_shape)
            for transform in self.transforms:
                x = transform(x)
            return x

    def rsample(self, sample_shape=()):
        x = self.base_dist.rsample(sample_shape)
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value):
        self._validate_sample(value)
        event_dim, y, total = len(self._event_shape), value, 0.0
        for transform in reversed(self.transforms):
            x = transform._inv_call(y)
            step = transform.log_abs_det_jacobian(x, y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            total = total - sum_rightmost(step, event_dim - transform.domain.event_dim)
            y = x
        return total + sum_rightmost(self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape))

    def _sign(self):
        sign = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return sign

    def cdf(self, value):
        for transform in reversed(self.transforms):
            value = transform._inv_call(value)
        below = self.base_dist.cdf(value)
        sign = self._sign()
        return sign * (below - 0.5) + 0.5

    def icdf(self, value):
        value = self._sign() * (value - 0.5) + 0.5
        value = self.base_dist.icdf(value)
        for transform in self.transforms:
            value = transform(value)
        return value
