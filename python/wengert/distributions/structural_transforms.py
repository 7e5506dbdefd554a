"""Transforms of shapes and of parts, and those that a distribution function makes."""

import math

import wengert as wg

from . import constraints
from ._transform import Transform
from .utils import sum_rightmost


class ReshapeTransform(Transform):
    """The last dims, of `in_shape`, as `out_shape`.

    Raises:
        ValueError: for shapes of different numbers of elements.

    Example:
        >>> wg.distributions.ReshapeTransform((4,), (2, 2))(wg.ones(3, 4)).shape
        torch.Size([3, 2, 2])
    """

    def __init__(self, in_shape, out_shape, cache_size=0):
        self.in_shape, self.out_shape = wg.Size(in_shape), wg.Size(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size)

    @property
    def domain(self):
        return constraints.independent(constraints.real, len(self.in_shape))

    @property
    def codomain(self):
        return constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x):
        return x.reshape(x.shape[: x.ndim - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y):
        return y.reshape(y.shape[: y.ndim - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x, y):
        return x.new_zeros(x.shape[: x.ndim - len(self.in_shape)])

    @staticmethod
    def _other(shape, old, new):
        if len(shape) < len(old):
            raise ValueError("Too few dimensions on input")
        cut = len(shape) - len(old)
        if tuple(shape[cut:]) != tuple(old):
            raise ValueError(f"Shape mismatch: expected {shape[cut:]} but got {old}")
        return wg.Size(shape[:cut]) + new

    def forward_shape(self, shape):
        return self._other(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape):
        return self._other(shape, self.out_shape, self.in_shape)


class CumulativeDistributionTransform(Transform):
    """Numbers to their probabilities under a distribution of one-dimensional events.

    Example:
        >>> D = wg.distributions
        >>> D.CumulativeDistributionTransform(D.Normal(0.0, 1.0))(wg.tensor(0.0))
        tensor(0.5000)
    """

    codomain = constraints.unit_interval

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self):
        return self.distribution.support

    def _call(self, x):
        return self.distribution.cdf(x)

    def _inverse(self, y):
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        return self.distribution.log_prob(x)


class CatTransform(Transform):
    """Each of several transforms on its part of `dim`, parts of the given lengths (1 each by default).

    Example:
        >>> D = wg.distributions
        >>> D.CatTransform([D.ExpTransform(), D.AffineTransform(0.0, 2.0)], lengths=[1, 2])(wg.ones(3))
        tensor([2.7183, 2.0000, 2.0000])
    """

    def __init__(self, tseq, dim=0, lengths=None, cache_size=0):
        super().__init__(cache_size)
        self.transforms = list(tseq)
        if not all(isinstance(t, Transform) for t in self.transforms):
            raise AssertionError("CatTransform: every part must be a Transform")
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError("CatTransform: one length for each transform is wanted")
        self.dim = dim

    @property
    def bijective(self):
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self):
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self):
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def _parts(self, x):
        if x.shape[self.dim] != sum(self.lengths):
            raise AssertionError(
                f"CatTransform: {sum(self.lengths)} elements along dim {self.dim} are wanted"
            )
        return x.split(self.lengths, self.dim)

    def _call(self, x):
        return wg.cat([t(part) for t, part in zip(self.transforms, self._parts(x), strict=True)], self.dim)

    def _inverse(self, y):
        return wg.cat(
            [t.inv(part) for t, part in zip(self.transforms, self._parts(y), strict=True)], self.dim
        )

    def log_abs_det_jacobian(self, x, y):
        widest = max(t.domain.event_dim for t in self.transforms)
        steps = [
            sum_rightmost(t.log_abs_det_jacobian(a, b), widest - t.domain.event_dim)
            for t, a, b in zip(self.transforms, self._parts(x), self._parts(y), strict=True)
        ]
        dim = (self.dim - x.ndim if self.dim >= 0 else self.dim) + widest
        return wg.cat(steps, dim) if dim < 0 else sum(steps)


class StackTransform(Transform):
    """Each of several transforms on its slice of `dim`.

    Example:
        >>> D = wg.distributions
        >>> D.StackTransform([D.ExpTransform(), D.AffineTransform(0.0, 2.0)])(wg.ones(2))
        tensor([2.7183, 2.0000])
    """

    def __init__(self, tseq, dim=0, cache_size=0):
        super().__init__(cache_size)
        self.transforms = list(tseq)
        if not all(isinstance(t, Transform) for t in self.transforms):
            raise AssertionError("StackTransform: every part must be a Transform")
        self.dim = dim

    @property
    def bijective(self):
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self):
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @property
    def codomain(self):
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def _slices(self, x):
        if x.shape[self.dim] != len(self.transforms):
            raise AssertionError(
                f"StackTransform: {len(self.transforms)} slices along dim {self.dim} are wanted"
            )
        return x.unbind(self.dim)

    def _call(self, x):
        return wg.stack([t(part) for t, part in zip(self.transforms, self._slices(x), strict=True)], self.dim)

    def _inverse(self, y):
        return wg.stack(
            [t.inv(part) for t, part in zip(self.transforms, self._slices(y), strict=True)], self.dim
        )

    def log_abs_det_jacobian(self, x, y):
        pairs = zip(self.transforms, self._slices(x), self._slices(y), strict=True)
        return wg.stack([t.log_abs_det_jacobian(a, b) for t, a, b in pairs], self.dim)
