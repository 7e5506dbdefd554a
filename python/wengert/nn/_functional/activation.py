"""Activation functions. Those that are rows of the elementwise table are the rows themselves."""

import math

from wengert import _core
from wengert._core import relu, sigmoid, tanh, where

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _finish(input, output, inplace):
    return input.copy_(output) if inplace else output


def _relu(input, inplace=False):
    """max(x, 0), elementwise.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.relu(wg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return input.relu_() if inplace else relu(input)


def relu6(input, inplace=False):
    """min(max(x, 0), 6), elementwise."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x limited to [min_val, max_val]; the gradient is 0 at the limits themselves."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    inside = (input > min_val) & (input < max_val)
    return _finish(input, where(inside, input, input.detach().clamp(min_val, max_val)), inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where positive, negative_slope · x elsewhere."""
    return _finish(input, where(input > 0, input, input * negative_slope), inplace)


def prelu(input, weight):
    """x where positive, weight · x elsewhere; `weight` has one element or one for each channel."""
    if weight.numel() != 1:
        if input.ndim < 2 or input.shape[1] != weight.numel():
            channels = input.shape[1] if input.ndim > 1 else 1
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. "
                f"Found parameter numbers = {weight.numel()} and channel size = {channels}."
            )
        weight = weight.reshape(1, -1, *([1] * (input.ndim - 2)))
    return where(input > 0, input, input * weight)


def elu(input, alpha=1.0, inplace=False):
    """x where positive, alpha · (eˣ − 1) elsewhere."""
    # The exponential sees only the negative part, so its gradient never overflows into 0 · inf.
    return _finish(input, where(input > 0, input, _negative_part(input).expm1() * alpha), inplace)


def selu(input, inplace=False):
    """elu with the scale and alpha that keep mean 0 and variance 1."""
    positive = input * _SELU_SCALE
    negative = _negative_part(input).expm1() * (_SELU_ALPHA * _SELU_SCALE)
    return _finish(input, where(input > 0, positive, negative), inplace)


def celu(input, alpha=1.0, inplace=False):
    """max(x, 0) + min(0, alpha · (e^(x/alpha) − 1))."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _finish(input, where(input > 0, input, (_negative_part(input) / alpha).expm1() * alpha), inplace)


def _negative_part(input):
    return where(input > 0, 0.0, input)


def silu(input, inplace=False):
    """x · sigmoid(x)."""
    return _finish(input, input * sigmoid(input), inplace)


def mish(input, inplace=False):
    """x · tanh(softplus(x))."""
    return _finish(input, input * tanh(softplus(input)), inplace)


def gelu(input, approximate="none"):
    """x · Φ(x) with the normal distribution's Φ; `approximate='tanh'` uses the tanh form."""
    if approximate == "none":
        return input * 0.5 * (1.0 + (input * (1.0 / math.sqrt(2.0))).erf())
    if approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * math.sqrt(2.0 / math.pi)
        return input * 0.5 * (1.0 + tanh(inner))
    raise RuntimeError("approximate argument must be either none or tanh.")


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + e^(beta · x)) / beta, and x itself where beta · x > threshold."""
    scaled = input * beta
    linear = scaled > threshold
    return where(linear, input, where(linear, 0.0, scaled).exp().log1p() / beta)


def logsigmoid(input):
    """log(sigmoid(x)) without overflow."""
    negative = input < 0
    # Each side sees only its own part, so neither overflows and the gradient at 0 is 1/2.
    below = where(negative, input, 0.0)
    above = where(negative, 0.0, input)
    return where(negative, below - below.exp().log1p(), -(-above).exp().log1p())


def softsign(input):
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def tanhshrink(input):
    """x − tanh(x)."""
    return input - tanh(input)


def softshrink(input, lambd=0.5):
    """x moved towards 0 by `lambd`, and 0 within it."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return where(input > lambd, input - lambd, where(input < -lambd, input + lambd, input * 0))


def hardshrink(input, lambd=0.5):
    """x where |x| > lambd, 0 elsewhere."""
    return where((input > lambd) | (input < -lambd), input, 0.0)


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, `value` elsewhere."""
    return _finish(input, where(input > threshold, input, value), inplace)


def hardsigmoid(input, inplace=False):
    """x/6 + 1/2 limited to [0, 1]."""
    inside = (input > -3) & (input < 3)
    limits = (input.detach() > 0).to(input.dtype)
    return _finish(input, where(inside, input / 6 + 0.5, limits), inplace)


def hardswish(input, inplace=False):
    """x · hardsigmoid(x)."""
    middle = input * (input + 3) / 6
    return _finish(input, where(input <= -3, 0.0, where(input >= 3, input, middle)), inplace)


def glu(input, dim=-1):
    """First half of `dim` times the sigmoid of the second half."""
    size = input.shape[dim]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    first, second = input.split(size // 2, dim)
    return first * sigmoid(second)


def _softmax_dim(name, ndim, stacklevel):
    import warnings

    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """eˣ divided by its sum over `dim`.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.softmax(wg.zeros(2, 4), dim=1)[0]
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    if dim is None:
        dim = _softmax_dim("softmax", input.ndim, _stacklevel)
    return _core.softmax(input if dtype is None else input.to(dtype), dim)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """softmax of −x."""
    if dim is None:
        dim = _softmax_dim("softmin", input.ndim, _stacklevel)
    return softmax(-input, dim, dtype=dtype)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """Logarithm of the softmax over `dim`, computed without overflow."""
    if dim is None:
        dim = _softmax_dim("log_softmax", input.ndim, _stacklevel)
    return _core.log_softmax(input if dtype is None else input.to(dtype), dim)
