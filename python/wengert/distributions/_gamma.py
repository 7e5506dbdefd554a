"""Gamma-distributed numbers, and how they change with their concentration."""

import wengert as wg
from wengert._functions._dims import wide_float
from wengert.autograd import Function

_TERMS = 100_000


def _draw(a):
    """Gamma(a, 1) numbers by Marsaglia and Tsang's rejection from a cubed normal, all elements at once."""
    a = a.to(wide_float(a))
    small = a < 1
    # A number for a < 1 is one for a + 1 times u^(1/a).
    d = wg.where(small, a + 1, a) - 1.0 / 3.0
    c = 1 / (9 * d).sqrt()
    result, waiting = wg.zeros_like(d), wg.ones_like(d, dtype=wg.bool)
    while bool(waiting.any()):
        x = wg.randn_like(d)
        u = 1 - wg.rand_like(d)
        v = (1 + c * x) ** 3
        fits = (v > 0) & (u.log() < 0.5 * x * x + d - d * v + d * v.clamp(min=1e-300).log())
        result = wg.where(waiting & fits, d * v, result)
        waiting = waiting & ~fits
    u = 1 - wg.rand_like(d)
    return wg.where(small, result * (u.log() / a).exp(), result)


def _slope(x, a):
    """dx/da of a Gamma(a, 1) number at a fixed probability: −(∂P/∂a) / density, by P's series in x."""
    x, a = x.to(wide_float(x)), a.to(wide_float(a))
    # Beyond some thousands the Wilson–Hilferty form of the quantile is exact to float32.
    large = a > 1000
    near, at = wg.where(large, 1.0, x), wg.where(large, 1.0, a)
    log_x, psi, term = near.log(), wg.digamma(at + 1), 1 / at
    total, n = wg.zeros_like(near), 0
    while n < _TERMS:
        total = total + term * (log_x - psi)
        n += 1
        psi, term = psi + 1 / (at + n), term * near / (at + n)
        if bool((term.abs() * (log_x.abs() + psi.abs() + 1) <= 1e-16 * total.abs() + 1e-300).all()) and bool(
            (at + n > near).all()
        ):
            break
    exact = -near * total
    z_part = (x / a) ** (1 / 3)
    s = 1 / (9 * a)
    z = (z_part - 1 + s) / s.sqrt()
    wide = z_part**3 + 3 * a * z_part**2 * (s / a - 0.5 * z * s.sqrt() / a)
    return wg.where(large, wide, exact)


class _StandardGamma(Function):
    @staticmethod
    def forward(ctx, concentration):
        drawn = _draw(concentration)
        ctx.save_for_backward(concentration, drawn)
        return drawn.to(concentration.dtype).clamp(min=wg.finfo(concentration.dtype).tiny)

    @staticmethod
    def backward(ctx, grad):
        concentration, drawn = ctx.saved_tensors
        return grad * _slope(drawn, concentration).to(grad.dtype)


def standard_gamma(concentration):
    """A Gamma(concentration, 1) number for each element, with its gradient."""
    return _StandardGamma.apply(concentration)
