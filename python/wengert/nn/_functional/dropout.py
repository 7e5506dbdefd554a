"""Dropout of elements and of channels."""

import functools
import math

from wengert import _core


def _check_p(p):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


@functools.lru_cache(maxsize=64)
def _factor(p, dtype):
    """What kept elements are multiplied by, rounded as the dtype does."""
    return _core.ones((), dtype=dtype).div(1 - p).item() if p < 1.0 else 0.0


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, zero each element with probability p and divide the others by 1 − p.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.dropout(wg.ones(3), training=False)
        tensor([1., 1., 1.])
    """
    _check_p(p)
    if not isinstance(input, _core.Tensor):
        raise TypeError(
            f"dropout(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if p == 0.0 or not training or input.numel() == 0:
        return input
    if not input.is_floating_point():
        if p == 1.0:
            nothing = _core.zeros_like(input)
            return input.mul_(nothing) if inplace else input * nothing
        raise RuntimeError(
            f"dropout: result type Float can't be cast to the desired output type {input.dtype}; make the input float"
        )
    kept, factor = _core._kept(input, 1 - p), _factor(p, input.dtype)
    return input._dropped_(kept, factor) if inplace else _core.dropped(input, kept, factor)


def _drop_channels(input, p, training, inplace, lead):
    _check_p(p)
    if p == 0.0 or not training or input.numel() == 0:
        return input
    scale = input.new_zeros(*input.shape[:lead], *([1] * (input.ndim - lead)))
    if p < 1.0:
        scale.bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of an input (N, C, L) or (C, L)."""
    return _drop_channels(input, p, training, inplace, 1 if input.ndim == 2 else 2)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of an input (N, C, H, W)."""
    return _drop_channels(input, p, training, inplace, 2)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of an input (N, C, D, H, W) or (C, D, H, W)."""
    return _drop_channels(input, p, training, inplace, 1 if input.ndim == 4 else 2)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps selu's mean and variance: dropped elements take selu's lower limit."""
    return _alpha_dropout(input, p, training, inplace, input.shape)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout of whole channels of an input (N, C, …)."""
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _alpha_dropout(input, p, training, inplace, (*input.shape[:2], *([1] * (input.ndim - 2))))


def _alpha_dropout(input, p, training, inplace, shape):
    _check_p(p)
    if p == 0.0 or not training or input.numel() == 0:
        return input
    if p == 1.0:
        return input.mul_(0.0) if inplace else input * 0.0
    alpha = 1.7580993408473766
    a = 1.0 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
    keep = _core.empty_like(input) if shape == input.shape else input.new_empty(*shape)
    keep.bernoulli_(1 - p)
    shift = (keep - 1).mul_(alpha * a).add_(alpha * a * p)
    keep.mul_(a)
    return input.mul_(keep).add_(shift) if inplace else input * keep + shift
