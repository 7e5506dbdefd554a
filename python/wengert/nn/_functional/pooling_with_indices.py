"""Maxima of windows with their positions, under names of their own; `return_indices` is there for torch's sake."""

from wengert._core import max_pool1d, max_pool2d, max_pool3d

from .pooling import adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d


def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Values and positions of `max_pool1d`.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.max_pool1d_with_indices(wg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Values and positions of `max_pool2d`."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Values and positions of `max_pool3d`."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """Values and positions of :func:`adaptive_max_pool1d`."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """Values and positions of :func:`adaptive_max_pool2d`."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """Values and positions of :func:`adaptive_max_pool3d`."""
    return adaptive_max_pool3d(input, output_size, True)
