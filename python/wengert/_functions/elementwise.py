"""Pointwise functions composed from rows of the table."""

from .. import _core
from ._compose import composed, results
from ._dims import integer, wide_float
from .reductions import constant_of, to_float, widen

_frexp = results("frexp", "mantissa", "exponent")


_BINARY = ("mul", "sub", "div", "atan2", "gt", "ge", "lt", "le", "ne")


def _alias(target, *names):
    """Further names of a row that the core binds: function, method and in-place form."""
    function = getattr(_core, target)

    def call(input, *args, **kwargs):
        return function(input, *args, **kwargs)

    arguments = "x, x" if target in _BINARY else "x"
    call.__name__ = call.__qualname__ = names[0]
    call.__doc__ = f"""Another name of :func:`{target}`.

    Example:
        >>> x = wg.tensor([1.0])
        >>> wg.equal(wg.{names[0]}({arguments}), wg.{target}({arguments}))
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


@composed(inplace=True, out="cast")
def ldexp(input, other):
    """input · 2**other.

    Example:
        >>> wg.ldexp(wg.tensor([1.]), wg.tensor([3]))
        tensor([8.])
    """
    if not isinstance(other, _core.Tensor):
        raise TypeError(f"ldexp(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
    dtype = _core.result_type(to_float(input), other)
    # A power beyond the range may still give a product within it, so it comes in three parts.
    wide = wide_float(input)
    bound = 6000 if wide == _core.float64 else 380
    exponent = other.to(wide).clamp(-bound, bound)
    third = (exponent.detach() / 3).trunc()
    part = _core.pow(2.0, third)
    return (input.to(wide) * part * part * _core.pow(2.0, exponent - 2 * third)).to(dtype)


@composed(inplace=True, out=True)
def float_power(input, exponent):
    """A power computed in float64.

    Example:
        >>> wg.float_power(wg.tensor([2]), 3)
        tensor([8.], dtype=torch.float64)
    """
    wide = [x.to(_core.float64) if isinstance(x, _core.Tensor) else x for x in (input, exponent)]
    return _core.pow(*wide)


@composed(method=False, over=True)
def rsub(input, other, *, alpha=1):
    """other - alpha · input.

    Example:
        >>> wg.rsub(wg.tensor([1]), 5)
        tensor([4])
    """
    return _core.rsub(input if alpha == 1 else alpha * input, other)


@composed(inplace=True, out="cast")
def mvlgamma(input, p):
    """The multivariate log-gamma function of dimension p.

    Example:
        >>> wg.mvlgamma(wg.tensor([3.]), 1)
        tensor([0.6931])
    """
    if input.dtype == _core.bool:
        raise RuntimeError("mvlgamma: The input tensor may not be a boolean tensor.")
    x = to_float(input)
    steps = _core.arange(p, dtype=x.dtype, device=x.device) / 2.0
    return (x.unsqueeze(-1) - steps).lgamma().sum(-1) + p * (p - 1) / 4.0 * 1.1447298858494002


@composed(out=True)
def frexp(input):
    """(mantissa, exponent) with input = mantissa · 2**exponent and ½ ≤ |mantissa| < 1.

    Example:
        >>> wg.frexp(wg.tensor([8.])).exponent
        tensor([4], dtype=torch.int32)
    """
    if not input.is_floating_point():
        raise RuntimeError(f"torch.frexp() only supports floating-point dtypes, got {input.dtype}")
    ordinary = input.isfinite() & (input != 0)
    x = input.detach().to(wide_float(input)).abs().masked_fill(~ordinary, 1.0)
    exponent = x.log2().floor() + 1
    # log2 rounds near powers of two: correct by one either way.
    mantissa = ldexp(x, -exponent)
    exponent = exponent + (mantissa >= 1).to(x.dtype) - (mantissa < 0.5).to(x.dtype)
    exponent = exponent.masked_fill(~ordinary, 0.0)
    scaled = ldexp(input.to(x.dtype), -exponent).to(input.dtype)
    return _frexp(_core.where(ordinary, scaled, input), exponent.to(_core.int32))


@composed(inplace=True, out=True, over=True)
def round(input, *, decimals=0):
    """Rounded to `decimals` places after the point, before it if negative; halves go to the even neighbour.

    Example:
        >>> wg.round(wg.tensor([1.2345, 25.]), decimals=2)
        tensor([ 1.2300, 25.0000])
    """
    if type(decimals) is not int:
        decimals = integer("decimals", decimals)
    if decimals == 0:
        return _core.round(input)
    if not input.is_floating_point():
        raise NotImplementedError(f"round(): decimals are for floating point tensors, but got {input.dtype}")
    scale = 10.0 ** abs(decimals) if abs(decimals) <= 308 else float("inf")
    x = widen(input.detach())
    rounded = _core.round(x * scale) / scale if decimals > 0 else _core.round(x / scale) * scale
    return constant_of(input, rounded.to(input.dtype))


@composed(inplace=True, out="cast", over=True)
def logit(input, eps=None):
    """log(x / (1 - x)), with x held between `eps` and 1 - `eps` if `eps` is given.

    Example:
        >>> wg.logit(wg.tensor([0., 0.5]), eps=0.5)
        tensor([0., 0.])
    """
    if eps is None:
        return _core.logit(input)
    if isinstance(eps, bool) or not hasattr(eps, "__float__"):
        raise TypeError(f"logit(): argument 'eps' must be float, not {type(eps).__name__}")
    if eps < 0:
        return _core.logit(input)
    x = to_float(input)
    low, high = eps, 1.0 - eps
    return _core.logit(_core.where(x < low, low, _core.where(x > high, high, x)))
