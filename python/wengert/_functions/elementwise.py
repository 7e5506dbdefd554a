"""Pointwise functions composed from rows of the table."""

from .. import _core
from ._compose import composed, results
from .reductions import to_float

_PI = 3.141592653589793
_frexp = results("frexp", "mantissa", "exponent")


def _alias(target, *names):
    """Further names of a row that the core binds: function, method and in-place form."""
    function = getattr(_core, target)

    def call(input, *args, **kwargs):
        return function(input, *args, **kwargs)

    call.__name__ = names[0]
    call.__doc__ = f"""Another name of :func:`{target}`.

    Example:
        >>> wg.{names[0]} is not None
        True
    """
    composed(inplace=True, aliases=names[1:])(call)


for _target, *_names in (
    ("abs", "absolute"),
    ("acos", "arccos"),
    ("acosh", "arccosh"),
    ("asin", "arcsin"),
    ("asinh", "arcsinh"),
    ("atan", "arctan"),
    ("atanh", "arctanh"),
    ("atan2", "arctan2"),
    ("trunc", "fix"),
    ("neg", "negative"),
    ("sign", "sgn"),
    ("mul", "multiply"),
    ("sub", "subtract"),
    ("div", "divide", "true_divide"),
    ("gt", "greater"),
    ("ge", "greater_equal"),
    ("lt", "less"),
    ("le", "less_equal"),
    ("ne", "not_equal"),
):
    _alias(_target, *_names)


@composed(inplace=True, out=True)
def clip(input, min=None, max=None):
    """Another name of :func:`clamp`.

    Example:
        >>> wg.clip(wg.tensor([-1, 5]), 0, 3)
        tensor([0, 3])
    """
    return _core.clamp(input, min, max)


@composed(inplace=True, out=True)
def clamp_min(input, min):
    """At least `min`.

    Example:
        >>> wg.clamp_min(wg.tensor([-1, 5]), 0)
        tensor([0, 5])
    """
    return _core.clamp(input, min=min)


@composed(inplace=True, out=True)
def clamp_max(input, max):
    """At most `max`.

    Example:
        >>> wg.clamp_max(wg.tensor([-1, 5]), 0)
        tensor([-1,  0])
    """
    return _core.clamp(input, max=max)


@composed()
def positive(input):
    """The input itself; bools are refused.

    Example:
        >>> wg.positive(wg.tensor([1]))
        tensor([1])
    """
    if input.dtype == _core.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@composed(inplace=True, out=True)
def frac(input):
    """The part behind the point, with the input's sign.

    Example:
        >>> wg.frac(wg.tensor([1.5, -1.5]))
        tensor([ 0.5000, -0.5000])
    """
    return input - input.trunc()


@composed(inplace=True, out=True)
def deg2rad(input):
    """Degrees to radians.

    Example:
        >>> wg.deg2rad(wg.tensor([180.]))
        tensor([3.1416])
    """
    return to_float(input) * (_PI / 180.0)


@composed(inplace=True, out=True)
def rad2deg(input):
    """Radians to degrees.

    Example:
        >>> wg.rad2deg(wg.tensor([3.14159265]))
        tensor([180.])
    """
    return to_float(input) * (180.0 / _PI)


@composed(inplace=True, out=True)
def sinc(input):
    """sin(πx)/(πx), 1 at 0.

    Example:
        >>> wg.sinc(wg.tensor([0., 0.5]))
        tensor([1.0000, 0.6366])
    """
    x = to_float(input) * _PI
    zero = x == 0
    # At 0 the series 1 - x²/6 carries value and both derivatives.
    inner = x.masked_fill(zero, 1.0)
    return _core.where(zero, 1.0 - x * x * (1.0 / 6.0), inner.sin() / inner)


@composed(inplace=True, out=True)
def logit(input, eps=None):
    """log(x / (1 - x)); with `eps`, x is clamped to [eps, 1 - eps] first.

    Example:
        >>> wg.logit(wg.tensor([0.5]))
        tensor([0.])
    """
    x = to_float(input)
    if eps is not None:
        x = x.clamp(eps, 1.0 - eps)
    return (x / (1.0 - x)).log()


@composed(inplace=True, out=True)
def xlogy(input, other):
    """x·log(y), 0 where x is 0 and y is not NaN.

    Example:
        >>> wg.xlogy(wg.tensor([0., 1.]), wg.tensor([0., 1.]))
        tensor([0., 0.])
    """
    x, y = _pair(input, other)
    # x is 0 there: log 1 keeps the value 0, and the gradient to x, log y, is PyTorch's 0 too.
    keep = (x == 0) & ~y.isnan()
    return x * _core.where(keep, _core.ones_like(y), y).log()


def _pair(a, b):
    """Two operands, at least one a tensor, as tensors of a float type that both promote to."""
    dtype = _core.result_type(a, b)
    if not dtype.is_floating_point:
        dtype = _core.get_default_dtype()
    return tuple(
        x.to(dtype) if isinstance(x, _core.Tensor) else _core.full((), x, dtype=dtype) for x in (a, b)
    )


@composed(inplace=True, out=True)
def ldexp(input, other):
    """input · 2**other.

    Example:
        >>> wg.ldexp(wg.tensor([1.]), wg.tensor([3]))
        tensor([8.])
    """
    return input * _core.pow(2.0, other)


@composed(inplace=True, out=True)
def float_power(input, exponent):
    """A power computed in float64.

    Example:
        >>> wg.float_power(wg.tensor([2]), 3)
        tensor([8.], dtype=torch.float64)
    """
    wide = [x.to(_core.float64) if isinstance(x, _core.Tensor) else x for x in (input, exponent)]
    return _core.pow(*wide)


@composed(out=True)
def heaviside(input, values):
    """0 below zero, 1 above, `values` at zero.

    Example:
        >>> wg.heaviside(wg.tensor([-1., 0., 2.]), wg.tensor(0.5))
        tensor([0.0000, 0.5000, 1.0000])
    """
    if input.dtype != values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    step = (input > 0).to(input.dtype)
    return _core.where(input == 0, values, step)


@composed(inplace=True, out=True)
def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """NaN, +inf and -inf replaced: by 0 and the dtype's extremes unless given.

    Example:
        >>> wg.nan_to_num(wg.tensor([float("nan"), 1.]))
        tensor([0., 1.])
    """
    if not input.is_floating_point():
        return input.clone()
    limits = _core.finfo(input.dtype)
    infinite = input.isinf()
    x = input.masked_fill(input.isnan(), 0.0 if nan is None else nan)
    x = x.masked_fill(infinite & (input > 0), limits.max if posinf is None else posinf)
    return x.masked_fill(infinite & (input < 0), limits.min if neginf is None else neginf)


@composed(out=True)
def isposinf(input):
    """Where the input is +inf.

    Example:
        >>> wg.isposinf(wg.tensor([float("inf"), 1.]))
        tensor([ True, False])
    """
    return input.isinf() & (input > 0)


@composed(out=True)
def isneginf(input):
    """Where the input is -inf.

    Example:
        >>> wg.isneginf(wg.tensor([-float("inf"), 1.]))
        tensor([ True, False])
    """
    return input.isinf() & (input < 0)


@composed(inplace=True, out=True)
def lerp(input, end, weight):
    """input + weight·(end - input), exact at both ends.

    Example:
        >>> wg.lerp(wg.tensor([0.]), wg.tensor([10.]), 0.25)
        tensor([2.5000])
    """
    gap = end - input
    if isinstance(weight, _core.Tensor):
        return _core.where(weight.abs() < 0.5, input + weight * gap, end - gap * (1 - weight))
    return input + weight * gap if abs(weight) < 0.5 else end - gap * (1 - weight)


@composed(inplace=True, out=True)
def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value · tensor1 · tensor2.

    Example:
        >>> wg.addcmul(wg.tensor([1.]), wg.tensor([2.]), wg.tensor([3.]), value=0.5)
        tensor([4.])
    """
    return input + (tensor1 * tensor2 if value == 1 else value * tensor1 * tensor2)


@composed(inplace=True, out=True)
def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value · tensor1 / tensor2, for floats.

    Example:
        >>> wg.addcdiv(wg.tensor([1.]), wg.tensor([2.]), wg.tensor([4.]))
        tensor([1.5000])
    """
    if not (tensor1.is_floating_point() or tensor2.is_floating_point()):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported; use (input + value * torch.trunc("
            "tensor1 / tensor2)) or convert to float"
        )
    return input + (tensor1 / tensor2 if value == 1 else value * tensor1 / tensor2)


@composed(method=False, out=True)
def rsub(input, other, *, alpha=1):
    """other - alpha · input.

    Example:
        >>> wg.rsub(wg.tensor([1]), 5)
        tensor([4])
    """
    return other - (input if alpha == 1 else alpha * input)


@composed(inplace=True)
def mvlgamma(input, p):
    """The multivariate log-gamma function of dimension p.

    Example:
        >>> wg.mvlgamma(wg.tensor([3.]), 1)
        tensor([0.6931])
    """
    x = to_float(input)
    total = x.new_full((), p * (p - 1) / 4.0 * 1.1447298858494002)
    for i in range(p):
        total = total + (x - i / 2.0).lgamma()
    return total


@composed()
def frexp(input):
    """(mantissa, exponent) with input = mantissa · 2**exponent and ½ ≤ |mantissa| < 1.

    Example:
        >>> wg.frexp(wg.tensor([8.])).exponent
        tensor([4], dtype=torch.int32)
    """
    if not input.is_floating_point():
        raise RuntimeError(f"torch.frexp() only supports floating-point dtypes, got {input.dtype}")
    ordinary = input.isfinite() & (input != 0)
    x = input.detach().to(_core.float64).abs().masked_fill(~ordinary, 1.0)
    exponent = x.log2().floor() + 1
    # log2 rounds near powers of two: correct by one either way.
    mantissa = x * _core.pow(2.0, -exponent)
    exponent = exponent + (mantissa >= 1).to(x.dtype) - (mantissa < 0.5).to(x.dtype)
    exponent = exponent.masked_fill(~ordinary, 0.0)
    scaled = (input.to(_core.float64) * _core.pow(2.0, -exponent)).to(input.dtype)
    return _frexp(_core.where(ordinary, scaled, input), exponent.to(_core.int32))
