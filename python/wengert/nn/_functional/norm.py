"""Normalisation."""

import math

from wengert import _core
from wengert.autograd.grad_mode import no_grad


def _affine(output, weight, bias):
    if weight is not None:
        output = output * weight
    return output if bias is None else output + bias


def _normalised_dims(input, normalized_shape):
    """How many trailing dimensions `normalized_shape` names."""
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        listed = ", ".join(["*", *map(str, shape)])
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{listed}], "
            f"but got input of size{list(input.shape)}"
        )
    return len(shape)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 over the last dimensions `normalized_shape`, then · weight + bias.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.layer_norm(wg.tensor([[1.0, 3.0]]), (2,))
        tensor([[-1.0000,  1.0000]])
    """
    ndims = _normalised_dims(input, normalized_shape)
    if any(isinstance(t, _core.Tensor) and t.dtype != input.dtype for t in (weight, bias)):
        return _affine(_core._layer_norm(input, ndims, eps), weight, bias)
    return _core._layer_norm(input, ndims, eps, weight, bias)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Division by the root mean square over the last dimensions `normalized_shape`, then · weight.

    Args:
        eps: added to the mean square; if left out, the smallest number that changes 1 in this dtype.

    Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019).

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.rms_norm(wg.tensor([[1.0, 7.0]]), (2,))
        tensor([[0.2000, 1.4000]])
    """
    ndims = _normalised_dims(input, normalized_shape)
    if eps is None:
        eps = _core.finfo(input.dtype).eps if input.is_floating_point() else 0.0
    if isinstance(weight, _core.Tensor) and weight.dtype != input.dtype:
        return _affine(_core._rms_norm(input, ndims, eps), weight, None)
    return _core._rms_norm(input, ndims, eps, weight)


def _channels(tensor, ndim):
    return tensor.reshape(1, -1, *([1] * (ndim - 2)))


def _normalised(input, groups, weight, bias, eps):
    """The result of a normalisation of channels, with the means and variances."""
    affine = (weight, bias)
    if all(isinstance(t, _core.Tensor) and t.dtype == input.dtype for t in affine):
        return _core._channel_norm(input, groups, eps, weight, bias)
    output, mean, var = _core._channel_norm(input, groups, eps)
    return _affine(output, *(None if t is None else _channels(t, input.ndim) for t in affine)), mean, var


def _follow(running_mean, running_var, mean, var, count, momentum):
    """Move the running statistics towards those of `count` elements, whose variance is with n."""
    with no_grad():
        running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
        running_var.mul_(1 - momentum).add_(var * (count / (count - 1)), alpha=momentum)


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Mean 0 and variance 1 in each channel (dimension 1), then · weight + bias.

    In training the batch's own statistics are used and the running ones move towards them by
    `momentum` (the variance with n − 1); otherwise the running statistics are used.
    """
    count = math.prod((*input.shape[:1], *input.shape[2:]))
    if training and count <= 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape}"
        )
    if training and (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    channels = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, t in channels.items():
        # Before anything is written.
        if t is None and not training and name.startswith("running"):
            raise RuntimeError(f"batch_norm: {name} must be defined in evaluation mode")
        if t is not None and input.ndim > 1 and t.numel() != input.shape[1]:
            raise RuntimeError(f"batch_norm: {name} should contain {input.shape[1]} elements not {t.numel()}")
    if training:
        output, mean, var = _normalised(input, 0, weight, bias, eps)
        if running_mean is not None:
            _follow(running_mean, running_var, mean, var, count, momentum)
        return output
    mean, var = _channels(running_mean, input.ndim), _channels(running_var, input.ndim)
    scale = (var + eps).rsqrt()
    if weight is not None:
        scale = scale * _channels(weight, input.ndim)
    bias = None if bias is None else _channels(bias, input.ndim)
    wide = input.dtype in (_core.float32, _core.float64)
    if not wide or any(t is not None and t.dtype != input.dtype for t in (mean, scale, bias)):
        # A difference first: a half would round the shift below more than the result.
        return _affine((input - mean) * scale, None, bias)
    # One pass over the input, which is much larger than what the channels have.
    shift = -mean * scale if bias is None else bias - mean * scale
    return _core.addcmul(shift, input, scale)


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
    """Mean 0 and variance 1 in each channel of each example (N, C, …), then · weight + bias.

    Running statistics, if given, move towards the means of the examples' by `momentum`; without
    `use_input_stats` they are used instead.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    count = math.prod(input.shape[2:])
    if count <= 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    output, mean, var = _normalised(input, input.shape[1], weight, bias, eps)
    if running_mean is not None:
        _follow(running_mean, running_var, mean.mean(0), var.mean(0), count, momentum)
    return output


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 in each of `num_groups` groups of channels of each example."""
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, "
            f"but got input of shape {list(input.shape)} and num_groups={num_groups}"
        )
    return _normalised(input, num_groups, weight, bias, eps)[0]


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha · mean of x² over `size` neighbouring channels)^beta of (N, C, …).

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.local_response_norm(wg.ones(1, 1, 1), 1, alpha=3.0, beta=0.5)
        tensor([[[0.5000]]])
    """
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if input.numel() == 0:
        return input
    means = _window_sums(input * input, size // 2, (size - 1) // 2) / size
    return input / (means * alpha + k).pow(beta)


def _window_sums(x, before, after):
    """Sums over each channel and so many before and after it."""
    border = [(0, 0)] * x.ndim
    border[1] = (before, after)
    return _core._pad(x, border, 0.0).unfold(1, before + after + 1, 1).sum(-1)


def cross_map_lrn2d(input, size, alpha, beta, k):
    """x / (k + alpha / size · sum of x² over neighbouring channels)^beta of (N, C, H, W), as PyTorch sums.

    The neighbours are the (size − 1) // 2 channels on either side, and for channels farther from it channel 0.
    """
    if input.ndim != 4:
        raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
    squares, reach = input * input, (size + 1) // 2
    behind = _core.arange(input.shape[1], device=input.device) >= reach
    sums = _window_sums(squares, reach - 1, reach - 1)
    sums = sums + squares[:, :1] * behind.to(input.dtype).reshape(-1, 1, 1)
    return input * (sums * (alpha / size) + k).pow(-beta)
