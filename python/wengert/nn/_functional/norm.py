"""Normalisation and dropout."""

import math

from wengert import _core
from wengert.autograd.grad_mode import no_grad


def _affine(output, weight, bias):
    if weight is not None:
        output = output * weight
    return output if bias is None else output + bias


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 over the last dimensions `normalized_shape`, then · weight + bias.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.layer_norm(wg.tensor([[1.0, 3.0]]), (2,))
        tensor([[-1.0000,  1.0000]])
    """
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        listed = ", ".join(["*", *map(str, shape)])
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{listed}], "
            f"but got input of size{list(input.shape)}"
        )
    return _affine(_core._layer_norm(input, len(shape), eps), weight, bias)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Division by the root mean square over the last dimensions `normalized_shape`, then · weight."""
    dims = tuple(range(-len(tuple(normalized_shape)), 0))
    if eps is None:
        eps = _core.finfo(input.dtype).eps
    return _affine(input * ((input * input).mean(dims, keepdim=True) + eps).rsqrt(), weight, None)


def _channels(tensor, ndim):
    return tensor.reshape(1, -1, *([1] * (ndim - 2)))


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Mean 0 and variance 1 in each channel (dimension 1), then · weight + bias.

    In training the batch's own statistics are used and the running ones move towards them by
    `momentum` (the variance with n − 1); otherwise the running statistics are used.
    """
    dims = (0, *range(2, input.ndim))
    if training or running_mean is None:
        count = math.prod(input.shape[d] for d in dims)
        if training and count <= 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {input.shape}"
            )
        mean = input.mean(dims, keepdim=True)
        centred = input - mean
        var = (centred * centred).mean(dims, keepdim=True)
        if training and running_mean is not None:
            with no_grad():
                running_mean.mul_(1 - momentum).add_(mean.reshape(-1), alpha=momentum)
                unbiased = var.reshape(-1) * (count / (count - 1))
                running_var.mul_(1 - momentum).add_(unbiased, alpha=momentum)
    else:
        centred = input - _channels(running_mean, input.ndim)
        var = _channels(running_var, input.ndim)
    weight = None if weight is None else _channels(weight, input.ndim)
    bias = None if bias is None else _channels(bias, input.ndim)
    return _affine(centred * (var + eps).rsqrt(), weight, bias)


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    """Mean 0 and variance 1 in each channel of each example."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is not None:
        raise ValueError("instance_norm(): running statistics with use_input_stats=True are not supported")
    return group_norm(input, input.shape[1], weight, bias, eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 in each of `num_groups` groups of channels of each example."""
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, "
            f"but got input of shape {list(input.shape)} and num_groups={num_groups}"
        )
    output = _core._layer_norm(input.reshape(input.shape[0], num_groups, -1), 1, eps).reshape(input.shape)
    weight = None if weight is None else _channels(weight, input.ndim)
    bias = None if bias is None else _channels(bias, input.ndim)
    return _affine(output, weight, bias)


def _check_p(p):
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, zero each element with probability p and divide the others by 1 − p.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.dropout(wg.ones(3), training=False)
        tensor([1., 1., 1.])
    """
    _check_p(p)
    if p == 0.0 or not training or input.numel() == 0:
        return input
    if p == 1.0:
        scale = _core.zeros_like(input)
    else:
        scale = _core.empty_like(input).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale


def _drop_channels(input, p, training, inplace, lead):
    _check_p(p)
    if p == 0.0 or not training or input.numel() == 0:
        return input
    scale = _core.zeros(*input.shape[:lead], *([1] * (input.ndim - lead)), dtype=input.dtype)
    if p < 1.0:
        scale.bernoulli_(1 - p).div_(1 - p)
    return input.mul_(scale) if inplace else input * scale


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of an input (N, C, L) or (C, L)."""
    return _drop_channels(input, p, training, inplace, 1 if input.ndim == 2 else 2)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of an input (N, C, H, W)."""
    return _drop_channels(input, p, training, inplace, 2)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps selu's mean and variance: dropped elements take selu's lower limit."""
    _check_p(p)
    if p == 0.0 or not training or input.numel() == 0:
        return input
    if p == 1.0:
        return input.mul_(0.0) if inplace else input * 0.0
    alpha = 1.7580993408473766
    a = 1.0 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
    keep = _core.empty_like(input).bernoulli_(1 - p)
    shift = (keep - 1).mul_(alpha * a).add_(alpha * a * p)
    keep.mul_(a)
    return input.mul_(keep).add_(shift) if inplace else input * keep + shift
