"""Activation functions. Most are rows of the elementwise table; this adds torch's options and names."""

from wengert import _core
from wengert._core import relu, sigmoid, tanh, where
from wengert._functions._dims import wide_float


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
    """x limited to [min_val, max_val]; unlike clamp's, the gradient is 0 at the limits themselves."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _finish(input, _core.hardtanh(input, min_val, max_val), inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where positive, negative_slope · x elsewhere."""
    return _finish(input, _core.leaky_relu(input, negative_slope), inplace)


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
    return _finish(input, _core.elu(input, alpha), inplace)


def selu(input, inplace=False):
    """elu with the scale and alpha that keep mean 0 and variance 1."""
    return _finish(input, _core.selu(input), inplace)


def celu(input, alpha=1.0, inplace=False):
    """max(x, 0) + min(0, alpha · (e^(x/alpha) − 1))."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _finish(input, _core.celu(input, alpha), inplace)


def silu(input, inplace=False):
    """x · sigmoid(x)."""
    return _finish(input, _core.silu(input), inplace)


def mish(input, inplace=False):
    """x · tanh(softplus(x))."""
    return _finish(input, _core.mish(input), inplace)


def gelu(input, *, approximate="none", out=None):
    """x · Φ(x) with the normal distribution's Φ; `approximate='tanh'` uses the tanh form."""
    if approximate == "none":
        return _core.gelu(input) if out is None else _core.gelu(input, out=out)
    if approximate == "tanh":
        return _core.gelu_tanh(input) if out is None else _core.gelu_tanh(input, out=out)
    raise RuntimeError("approximate argument must be either none or tanh.")


def softplus(input, beta=1.0, threshold=20.0, *, out=None):
    """log(1 + e^(beta · x)) / beta, and x itself where beta · x > threshold."""
    return _core.softplus(input, beta, threshold, out=out)


def logsigmoid(input, *, out=None):
    """log(sigmoid(x)) without overflow."""
    return _core.logsigmoid(input, out=out)


def softsign(input):
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def tanhshrink(input):
    """x − tanh(x)."""
    return input - tanh(input)


def softshrink(input, lambd=0.5, *, out=None):
    """x moved towards 0 by `lambd`, and 0 within it."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _core.softshrink(input, lambd, out=out)


def hardshrink(input, lambd=0.5, *, out=None):
    """x where |x| > lambd, 0 elsewhere."""
    return _core.hardshrink(input, lambd, out=out)


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, `value` elsewhere."""
    return _finish(input, _core.threshold(input, threshold, value), inplace)


def hardsigmoid(input, inplace=False):
    """x/6 + 1/2 limited to [0, 1]."""
    return _finish(input, _core.hardsigmoid(input), inplace)


def hardswish(input, inplace=False):
    """x · hardsigmoid(x)."""
    return _finish(input, _core.hardswish(input), inplace)


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


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """x where positive, slope · x elsewhere: in training slopes are drawn from [lower, upper], else the middle.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.rrelu(wg.tensor([-2.0, 2.0]), 0.25, 0.75)
        tensor([-1.,  2.])
    """
    if lower > upper:
        raise RuntimeError(
            f"Lower bound should be less than or equal to the upper bound, but got [{lower}, {upper}]"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    below = input.detach() <= 0
    # One number for each element that is not positive, in float64 where there is one.
    drawn = input.new_empty(int(below.sum()), dtype=wide_float(input)).uniform_(lower, upper)
    slopes = _core.ones_like(input.detach()).masked_scatter_(below, drawn.to(input.dtype))
    return input.mul_(slopes) if inplace else input * slopes


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample of the Gumbel-softmax distribution of unnormalised log-probabilities: their shape.

    Args:
        tau: the temperature.
        hard: a one-hot vector, with the gradient of the soft one.
    """
    if eps != 1e-10:
        import warnings

        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -_core.empty_like(logits).exponential_().log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    one = _core.zeros_like(soft.detach()).scatter_(dim, soft.detach().argmax(dim, keepdim=True), 1.0)
    return one + (soft - soft.detach())
