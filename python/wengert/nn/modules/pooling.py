"""Pooling layers."""

from .. import functional as F
from .._functional.conv import each
from .module import Module


class _MaxPool(Module):
    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _args(self):
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Largest value of each window of (N, C, L)."""

    def forward(self, input):
        return F.max_pool1d(input, *self._args())


class MaxPool2d(_MaxPool):
    """Largest value of each window of (N, C, H, W).

    Example:
        >>> import wengert as wg
        >>> wg.nn.MaxPool2d(2)(wg.zeros(1, 1, 4, 4)).shape
        torch.Size([1, 1, 2, 2])
    """

    def forward(self, input):
        return F.max_pool2d(input, *self._args())


class MaxPool3d(_MaxPool):
    """Largest value of each window of (N, C, D, H, W)."""

    def forward(self, input):
        return F.max_pool3d(input, *self._args())


class _AvgPool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def _args(self):
        return self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Mean of each window of (N, C, L)."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        stride = kernel_size if stride is None else stride
        super().__init__(_one(kernel_size), _one(stride), _one(padding), ceil_mode, count_include_pad)

    def forward(self, input):
        return F.avg_pool1d(input, *self._args())


class _DividedAvgPool(_AvgPool):
    def __init__(
        self,
        kernel_size,
        stride=None,
        padding=0,
        ceil_mode=False,
        count_include_pad=True,
        divisor_override=None,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override


class AvgPool2d(_DividedAvgPool):
    """Mean of each window of (N, C, H, W)."""

    def forward(self, input):
        return F.avg_pool2d(input, *self._args(), self.divisor_override)


class AvgPool3d(_DividedAvgPool):
    """Mean of each window of (N, C, D, H, W)."""

    def forward(self, input):
        return F.avg_pool3d(input, *self._args(), self.divisor_override)


class _LPPool(Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(Σ x^p)^(1/p) of each window of (N, C, L), p being `norm_type`."""

    def forward(self, input):
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPool):
    """(Σ x^p)^(1/p) of each window of (N, C, H, W), p being `norm_type`."""

    def forward(self, input):
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPool):
    """(Σ x^p)^(1/p) of each window of (N, C, D, H, W), p being `norm_type`."""

    def forward(self, input):
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _FractionalMaxPool(Module):
    _dims = 0

    def __init__(
        self,
        kernel_size,
        output_size=None,
        output_ratio=None,
        return_indices=False,
        _random_samples=None,
    ):
        super().__init__()
        name, n = type(self).__name__, self._dims
        self.kernel_size = each("kernel_size", kernel_size, n)
        if min(self.kernel_size) <= 0:
            raise ValueError(f"{name}: kernel_size must be greater than 0, but got {kernel_size}")
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError(f"{name}: only one of output_size and output_ratio may be specified")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else each("output_size", output_size, n)
        self.output_ratio = None if output_ratio is None else each("output_ratio", output_ratio, n)
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1 (got {output_ratio})")

    def _args(self):
        sizes = self.output_size, self.output_ratio
        return self.kernel_size, *sizes, self.return_indices, self._random_samples


class FractionalMaxPool2d(_FractionalMaxPool):
    """Largest values of `output_size` windows, or of a share `output_ratio` of the size, of (N, C, H, W); they
    overlap, at places that are drawn anew each time.

    Raises:
        ValueError: unless one of `output_size` and `output_ratio` is given, the latter between 0 and 1.

    Graham, "Fractional Max-Pooling" (2014), https://arxiv.org/abs/1412.6071.

    Example:
        >>> import wengert as wg
        >>> wg.nn.FractionalMaxPool2d(2, output_ratio=0.7)(wg.zeros(1, 1, 10, 20)).shape
        torch.Size([1, 1, 7, 14])
    """

    _dims = 2

    def forward(self, input):
        return F.fractional_max_pool2d(input, *self._args())


class FractionalMaxPool3d(_FractionalMaxPool):
    """Largest values of windows at drawn places of (N, C, D, H, W); see :class:`FractionalMaxPool2d`."""

    _dims = 3

    def forward(self, input):
        return F.fractional_max_pool3d(input, *self._args())


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of the windows that divide (N, C, L) into `output_size` parts."""

    def forward(self, input):
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of the windows that divide (N, C, H, W) into `output_size` parts."""

    def forward(self, input):
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of the windows that divide (N, C, D, H, W) into `output_size` parts."""

    def forward(self, input):
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(Module):
    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Largest values of the windows that divide (N, C, L) into `output_size` parts."""

    def forward(self, input):
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Largest values of the windows that divide (N, C, H, W) into `output_size` parts."""

    def forward(self, input):
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Largest values of the windows that divide (N, C, D, H, W) into `output_size` parts."""

    def forward(self, input):
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


def _one(value):
    return value if isinstance(value, (tuple, list)) else (value,)
