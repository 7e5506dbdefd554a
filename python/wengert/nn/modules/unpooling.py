"""Layers that put maxima back in their places."""

from .. import functional as F
from .conv import _tuple
from .module import Module


class _MaxUnpool(Module):
    _dims = 0

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = _tuple(kernel_size, self._dims)
        self.stride = _tuple(kernel_size if stride is None else stride, self._dims)
        self.padding = _tuple(padding, self._dims)

    def forward(self, input, indices, output_size=None):
        unpool = getattr(F, f"max_unpool{self._dims}d")
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The inverse of MaxPool1d, zero but for the maxima."""

    _dims = 1


class MaxUnpool2d(_MaxUnpool):
    """The inverse of MaxPool2d, zero but for the maxima.

    Example:
        >>> import wengert as wg
        >>> pool = wg.nn.MaxPool2d(2, return_indices=True)
        >>> wg.nn.MaxUnpool2d(2)(*pool(wg.ones(1, 1, 4, 4))).sum()
        tensor(4.)
    """

    _dims = 2


class MaxUnpool3d(_MaxUnpool):
    """The inverse of MaxPool3d, zero but for the maxima."""

    _dims = 3
