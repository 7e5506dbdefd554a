"""Padding layers."""

from .. import functional as F
from .module import Module


class _Pad(Module):
    _dims = 0
    _mode = "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self._dims)

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """(N, C, L) with (left, right) places of `value` around it."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """(N, C, H, W) with (left, right, top, bottom) places of `value` around it."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """(N, C, D, H, W) with (left, right, top, bottom, front, back) places of `value` around it."""

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """(N, C, L) with (left, right) zeros around it."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """(N, C, H, W) with (left, right, top, bottom) zeros around it.

    Example:
        >>> import wengert as wg
        >>> wg.nn.ZeroPad2d((1, 0, 0, 0))(wg.ones(1, 1, 1, 2))
        tensor([[[[0., 1., 1.]]]])
    """

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """(N, C, D, H, W) with (left, right, top, bottom, front, back) zeros around it."""

    _dims = 3


class _ReflectionPad(_Pad):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """(N, C, L) mirrored at its ends."""

    _dims = 1


class ReflectionPad2d(_ReflectionPad):
    """(N, C, H, W) mirrored at its borders."""

    _dims = 2


class ReflectionPad3d(_ReflectionPad):
    """(N, C, D, H, W) mirrored at its borders."""

    _dims = 3


class _ReplicationPad(_Pad):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """(N, C, L) with its end values repeated."""

    _dims = 1


class ReplicationPad2d(_ReplicationPad):
    """(N, C, H, W) with its border values repeated."""

    _dims = 2


class ReplicationPad3d(_ReplicationPad):
    """(N, C, D, H, W) with its border values repeated."""

    _dims = 3


class _CircularPad(_Pad):
    _mode = "circular"


class CircularPad1d(_CircularPad):
    """(N, C, L) as one period of a longer signal."""

    _dims = 1


class CircularPad2d(_CircularPad):
    """(N, C, H, W) as one tile of a larger plane."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """(N, C, D, H, W) as one block of a larger space."""

    _dims = 3
