"""Bessel functions of orders 0 and 1, from Chebyshev series in x² up to 8 and Hankel's expansion beyond.

Accurate to some 10⁻¹⁶ of the amplitude √(2 / πx) in float64, and so relatively but near zeros, up to where x·10⁻¹⁶
is small; NaN at infinity, as in PyTorch. Abramowitz and Stegun, "Handbook of mathematical functions", 9.1 and 9.2.
"""

import math

from .. import _core
from . import series
from ._define import special
from .modified_bessel import _over
from .series import chebyshev

_HALF_TURNS = math.sqrt(0.5)


def _inside(x):
    """|x| held to 8, as the variable of the series in x²."""
    near = x.abs().clamp(max=8)
    return near, near * near / 32 - 1


def _waves(x, order, p, q):
    """(J, Y) beyond 8, by their phase x − (order / 2 + 1 / 4)·π, whose sine and cosine are those of x turned."""
    x = _core.where(x.abs() > 8, x.abs(), 8.0)
    z = 128 / (x * x) - 1
    p, q = chebyshev(p, z), chebyshev(q, z) / x
    sine, cosine = x.sin(), x.cos()
    first, second = (cosine + sine) * _HALF_TURNS, (sine - cosine) * _HALF_TURNS
    cosine, sine = (first, second) if order == 0 else (second, -first)
    size = (2 / (math.pi * x)).sqrt()
    return size * (p * cosine - q * sine), size * (p * sine + q * cosine)


def _j0(x):
    _, t = _inside(x)
    far, _ = _waves(x, 0, series.P0_FAR, series.Q0_FAR)
    return _core.where(x.abs() > 8, far, chebyshev(series.J0_NEAR, t) + x * 0)


def _j1(x):
    near, t = _inside(x)
    far, _ = _waves(x, 1, series.P1_FAR, series.Q1_FAR)
    return _core.where(x.abs() > 8, far, chebyshev(series.J1_NEAR, t) * near + x * 0) * _core.copysign(
        1.0 + x * 0, x
    )


def _second(x, near, far):
    """Y from its value up to 8 and beyond: −∞ at 0, NaN below."""
    value = _core.where(x > 8, far, near) + x * 0
    value = _core.where(x == 0, -float("inf"), value)
    return _core.where(x < 0, float("nan"), value)


def _y0(x):
    near, t = _inside(x)
    logarithm = 2 / math.pi * _core.where(near > 0, near, 1.0).log()
    close = chebyshev(series.Y0_NEAR, t) + logarithm * chebyshev(series.J0_NEAR, t)
    return _second(x, close, _waves(x, 0, series.P0_FAR, series.Q0_FAR)[1])


def _y1(x):
    near, t = _inside(x)
    positive = _core.where(near > 0, near, 1.0)
    logarithm = positive.log() * chebyshev(series.J1_NEAR, t) * near
    close = chebyshev(series.Y1_NEAR, t) * near + 2 / math.pi * (logarithm - 1 / positive)
    return _second(x, close, _waves(x, 1, series.P1_FAR, series.Q1_FAR)[1])


@special(lambda x: -bessel_j1(x))
def bessel_j0(x):
    """The Bessel function of the first kind, J₀.

    Example:
        >>> wg.special.bessel_j0(wg.tensor([0., 1.]))
        tensor([1.0000, 0.7652])
    """
    return _j0(x)


@special(lambda x: bessel_j0(x) - _over(bessel_j1(x), x, 0.5))
def bessel_j1(x):
    """The Bessel function of the first kind of order 1, J₁.

    Example:
        >>> wg.special.bessel_j1(wg.tensor([0., 1.]))
        tensor([0.0000, 0.4401])
    """
    return _j1(x)


@special(lambda x: -bessel_y1(x))
def bessel_y0(x):
    """The Bessel function of the second kind, Y₀: −∞ at 0, NaN below.

    Example:
        >>> wg.special.bessel_y0(wg.tensor([1., 2.]))
        tensor([0.0883, 0.5104])
    """
    return _y0(x)


@special(lambda x: bessel_y0(x) - bessel_y1(x) / x)
def bessel_y1(x):
    """The Bessel function of the second kind of order 1, Y₁: −∞ at 0, NaN below.

    Example:
        >>> wg.special.bessel_y1(wg.tensor([1., 2.]))
        tensor([-0.7812, -0.1070])
    """
    return _y1(x)


def _spherical_slope(x):
    """cos(x) / x − sin(x) / x², by its first terms where those cancel."""
    small = x.abs() < 0.05
    far = _core.where(small, 1.0, x)
    square = x * x
    near = -x / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54)))
    return _core.where(small, near, (far.cos() - far.sin() / far) / far)


@special(_spherical_slope)
def spherical_bessel_j0(x):
    """The spherical Bessel function sin(x) / x, 1 at 0.

    Example:
        >>> wg.special.spherical_bessel_j0(wg.tensor([0., 1.]))
        tensor([1.0000, 0.8415])
    """
    value = x.sin() / _core.where(x == 0, 1.0, x)
    return _core.where(x == 0, 1.0, _core.where(x.isinf(), 0.0, value))
