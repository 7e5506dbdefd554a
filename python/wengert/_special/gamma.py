"""Incomplete gamma functions and the Hurwitz zeta function.

Numerical Recipes 6.2 (series below a + 1, Lentz's continued fraction above) and Euler and Maclaurin's summation.
"""

import math

from .. import _core
from .._functions._dims import broadcast_sizes
from ..autograd import Function
from ._define import numbers_too, wide, with_out

_STEPS = 100_000


def _series(a, x):
    """P(a, x) / (xᵃ·e⁻ˣ / Γ(a + 1)) = Σ xⁿ / ((a + 1)…(a + n))."""
    term, eps = _core.ones_like(x), _core.finfo(x.dtype).eps / 8
    total = term
    for n in range(1, _STEPS):
        term = term * x / (a + n)
        total = total + term
        if not bool((term > eps * total).any()):
            break
    return total


def _fraction(a, x):
    """Q(a, x) / (xᵃ·e⁻ˣ / Γ(a)), by Lentz's algorithm."""
    eps, tiny = _core.finfo(x.dtype).eps / 2, 1e-300 if x.dtype == _core.float64 else 1e-30
    b = x + 1 - a
    c, d = _core.full_like(x, 1 / tiny), 1 / b
    total = d
    for n in range(1, _STEPS):
        step = -n * (n - a)
        b = b + 2
        d, c = step * d + b, b + step / c
        d = 1 / _core.where(d.abs() < tiny, tiny, d)
        c = _core.where(c.abs() < tiny, tiny, c)
        total = total * c * d
        if not bool(((c * d - 1).abs() > eps).any()):
            break
    return total


def _regularized(a, x, upper):
    """P(a, x), or Q(a, x) if `upper`, with their limits; NaN outside a ≥ 0, x ≥ 0."""
    inner = (a > 0) & (x > 0) & a.isfinite() & x.isfinite()
    low = inner & (x < a + 1)
    high = inner & ~low
    at, near = _core.where(low, a, 1.0), _core.where(low, x, 0.5)
    below = (at * near.log() - near - _core.lgamma(at + 1)).exp() * _series(at, near)
    at, far = _core.where(high, a, 1.0), _core.where(high, x, 3.0)
    above = (at * far.log() - far - _core.lgamma(at)).exp() * _fraction(at, far)
    value = _core.where(low, 1 - below if upper else below, above if upper else 1 - above)
    zero, one = (1.0, 0.0) if upper else (0.0, 1.0)
    value = _core.where((x == 0) | (a == math.inf), zero, value)
    value = _core.where((a == 0) | (x == math.inf), one, value)
    nothing = (
        (a < 0)
        | (x < 0)
        | a.isnan()
        | x.isnan()
        | ((a == 0) & (x == 0))
        | ((a == math.inf) & (x == math.inf))
    )
    return _core.where(nothing, math.nan, value)


def _incomplete(name, a, x, upper):
    for place, (label, value) in enumerate((("input", a), ("other", x)), 1):
        if not isinstance(value, _core.Tensor):
            raise TypeError(
                f"{name}(): argument '{label}' (position {place}) must be Tensor, not {type(value).__name__}"
            )
        if not value.is_floating_point():
            raise NotImplementedError(f"{name}(): expected floating point tensors, but got {value.dtype}")
    dtype = _core.promote_types(a.dtype, x.dtype)
    shape = broadcast_sizes(a.shape, x.shape)
    a, x = a.to(dtype).expand(shape), x.to(dtype).expand(shape)

    class Incomplete(Function):
        @staticmethod
        def forward(ctx, a, x):
            ctx.save_for_backward(a, x)
            return _regularized(wide(a), wide(x), upper).to(dtype)

        @staticmethod
        def backward(ctx, grad):
            a, x = ctx.saved_tensors
            if ctx.needs_input_grad[0]:
                raise NotImplementedError(
                    f"the derivative of {name} by its first argument is not implemented"
                )
            density = ((a - 1) * x.log() - x - _core.lgamma(a)).exp()
            return None, -grad * density if upper else grad * density

    if a.requires_grad or x.requires_grad:
        return Incomplete.apply(a, x)
    return _regularized(wide(a), wide(x), upper).to(dtype)


@with_out
def gammainc(input, other):
    """The regularized lower incomplete gamma function P(input, other) = ∫₀ˣ tᵃ⁻¹·e⁻ᵗ dt / Γ(a).

    Accurate to 10⁻¹² relatively for `input` up to a thousand, and to 10⁻¹¹ up to some thousands.
    It has a derivative by `other` alone.

    Raises:
        NotImplementedError: for integers, and in `backward` where `input` requires a gradient.

    Example:
        >>> wg.special.gammainc(wg.tensor([1., 2.]), wg.tensor([1., 1.]))
        tensor([0.6321, 0.2642])
    """
    return _incomplete("gammainc", input, other, False)


@with_out
def gammaincc(input, other):
    """The regularized upper incomplete gamma function Q(input, other) = 1 − P(input, other).

    As :func:`gammainc`, and exact where Q is small.

    Raises:
        NotImplementedError: for integers, and in `backward` where `input` requires a gradient.

    Example:
        >>> wg.special.gammaincc(wg.tensor([1., 2.]), wg.tensor([1., 1.]))
        tensor([0.3679, 0.7358])
    """
    return _incomplete("gammaincc", input, other, True)


# B₂ⱼ / (2j)! of the Bernoulli numbers.
_BERNOULLI = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)
_SUMMED = 12


def _zeta(x, q):
    """Σ (k + q)⁻ˣ: the first terms, then the integral of the rest and its corrections."""
    total = 0.0
    for k in range(_SUMMED):
        total = total + (q + k).pow(-x)
    end = q + _SUMMED
    last = end.pow(-x)
    total = total + last * end / (x - 1) + last / 2
    factor = last * x / end
    for j, b in enumerate(_BERNOULLI):
        total = total + b * factor
        factor = factor * (x + 2 * j + 1) * (x + 2 * j + 2) / (end * end)
    return total


@with_out
def zeta(input, other):
    """The Hurwitz zeta function Σ (k + other)^(−input) over k = 0, 1, …; `other` 1 gives Riemann's.

    Infinite for `input` 1 and for `other` 0, −1, …; NaN for `input` below 1, and for other negative `other`
    with an `input` that is no integer. One of the two may be a number. It has a derivative by `other` alone.

    Raises:
        NotImplementedError: in `backward`, where `input` requires a gradient.

    Example:
        >>> wg.special.zeta(2.0, wg.tensor([1., 2.]))
        tensor([1.6449, 0.6449])
    """
    x, q = numbers_too("zeta", input, other)
    shape = broadcast_sizes(x.shape, q.shape)
    x, q = x.expand(shape), q.expand(shape)

    class Zeta(Function):
        @staticmethod
        def forward(ctx, x, q):
            ctx.save_for_backward(x, q)
            return _zeta_everywhere(wide(x), wide(q)).to(x.dtype)

        @staticmethod
        def backward(ctx, grad):
            x, q = ctx.saved_tensors
            if ctx.needs_input_grad[0]:
                raise NotImplementedError("the derivative of zeta by its first argument is not implemented")
            return None, grad * -x * zeta(x + 1, q)

    if x.requires_grad or q.requires_grad:
        return Zeta.apply(x, q)
    return _zeta_everywhere(wide(x), wide(q)).to(x.dtype)


def _zeta_everywhere(x, q):
    whole = q == q.floor()
    # Below 0 the first terms reach the positive numbers, which the rest of the sum wants.
    shift = (-q).ceil().clamp(min=0, max=1000)
    fits = (x > 1) & ~((q <= 0) & whole) & ((q > 0) | (x == x.floor()))
    power, start = _core.where(fits, x, 2.0), _core.where(fits, q, 1.0)
    shift = _core.where(fits, shift, 0.0)
    total = _zeta(power, start + shift)
    for k in range(int(shift.max()) if shift.numel() else 0):
        at = _core.where(k < shift, start + k, 1.0)
        total = total + _core.where(k < shift, at.pow(-power), 0.0)
    value = _core.where((q <= 0) & whole, math.inf, _core.where(fits, total, math.nan))
    return _core.where(x < 1, math.nan, _core.where(x == 1, math.inf, value)) + _core.where(x.isnan(), x, 0.0)
