"""Transform, which all invertible functions are, and its inverse."""

import wengert as wg

from . import constraints


def _same(a, b):
    """Whether two parameters are equal, be they tensors, numbers or transforms."""
    if isinstance(a, wg.Tensor) and isinstance(b, wg.Tensor):
        return wg.equal(a, b)
    return bool((wg.as_tensor(a) == wg.as_tensor(b)).all()) if isinstance(a, wg.Tensor) else a == b


class Transform:
    """x ↦ y; subclasses define `_call`, `_inverse` and `log_abs_det_jacobian`.

    Args:
        cache_size: 1 keeps the last pair, so that the inverse of a just computed y is x itself.
    """

    bijective = True
    sign = 1
    domain = constraints.real
    codomain = constraints.real

    def __init__(self, cache_size=0):
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._pair = (None, None)

    def __call__(self, x):
        if self._cache_size and x is self._pair[0]:
            return self._pair[1]
        y = self._call(x)
        if self._cache_size:
            self._pair = (x, y)
        return y

    def _inv_call(self, y):
        if self._cache_size and y is self._pair[1]:
            return self._pair[0]
        x = self._inverse(y)
        if self._cache_size:
            self._pair = (x, y)
        return x

    @property
    def inv(self):
        """The inverse transform."""
        if "_inv" not in self.__dict__:
            self._inv = _Inverse(self)
        return self._inv

    def _call(self, x):
        raise NotImplementedError(f"{type(self).__name__} does not define _call()")

    def _inverse(self, y):
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x, y):
        """log |dy/dx|."""
        raise NotImplementedError(f"{type(self).__name__} does not define log_abs_det_jacobian()")

    def forward_shape(self, shape):
        """The shape of y for one of x."""
        return shape

    def inverse_shape(self, shape):
        """The shape of x for one of y."""
        return shape

    def _parameters(self):
        return {k: v for k, v in self.__dict__.items() if k not in ("_cache_size", "_inv", "_pair")}

    def __eq__(self, other):
        if type(self) is not type(other):
            return False
        ours, theirs = self._parameters(), other._parameters()
        return all(_same(ours[name], theirs[name]) for name in ours)

    def __hash__(self):
        return hash(type(self))

    def __repr__(self):
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """y ↦ x."""

    def __init__(self, transform):
        super().__init__()
        self._of = transform

    bijective = property(lambda self: self._of.bijective)
    sign = property(lambda self: self._of.sign)
    domain = property(lambda self: self._of.codomain)
    codomain = property(lambda self: self._of.domain)
    inv = property(lambda self: self._of)

    def __call__(self, y):
        return self._of._inv_call(y)

    def _inv_call(self, x):
        return self._of(x)

    def log_abs_det_jacobian(self, y, x):
        return -self._of.log_abs_det_jacobian(x, y)

    def __repr__(self):
        return f"_InverseTransform({self._of!r})"
