"""Modified Bessel functions of orders 0 and 1, from Chebyshev series; derivatives by their recurrences.

Accurate to some units in float64's last place, relatively. Abramowitz and Stegun, "Handbook of mathematical
functions", 9.6.
"""

from .. import _core
from . import series
from ._define import special
from .series import chebyshev


def _scaled(x, near, far):
    """Series over [0, 8], and in 8 / x beyond, of |x|."""
    x = x.abs()
    inside = x <= 8
    close = chebyshev(near, _core.where(inside, x, 0.0) / 4 - 1)
    distant = _core.where(inside, 8.0, x)
    return _core.where(inside, close, chebyshev(far, 16 / distant - 1) / distant.sqrt())


def _i0e(x):
    return _scaled(x, series.I0_NEAR, series.I0_FAR)


def _i1e(x):
    value = _scaled(x, series.I1_NEAR, series.I1_FAR)
    return _core.where(x.abs() <= 8, value * x, _core.copysign(value, x))


def _over(value, x, limit):
    """value / x, and `limit` where x is 0."""
    return _core.where(x == 0, limit, value / _core.where(x == 0, 1.0, x))


@special(lambda x: i1(x))
def i0(x):
    """The modified Bessel function of the first kind, I₀.

    Example:
        >>> wg.special.i0(wg.tensor([0., 1.]))
        tensor([1.0000, 1.2661])
    """
    return _i0e(x) * x.abs().exp()


@special(lambda x: i1e(x) - x.sign() * i0e(x))
def i0e(x):
    """e^(−|x|)·I₀(x).

    Example:
        >>> wg.special.i0e(wg.tensor([0., 1.]))
        tensor([1.0000, 0.4658])
    """
    return _i0e(x)


@special(lambda x: i0(x) - _over(i1(x), x, 0.5))
def i1(x):
    """The modified Bessel function of the first kind of order 1, I₁.

    Example:
        >>> wg.special.i1(wg.tensor([0., 1.]))
        tensor([0.0000, 0.5652])
    """
    return _i1e(x) * x.abs().exp()


@special(lambda x: i0e(x) - x.sign() * i1e(x) - _over(i1e(x), x, 0.5))
def i1e(x):
    """e^(−|x|)·I₁(x).

    Example:
        >>> wg.special.i1e(wg.tensor([0., 1.]))
        tensor([0.0000, 0.2079])
    """
    return _i1e(x)


def _second_kind(x, near, far, scaled):
    """K by a series in x² up to 2 with I's logarithm, and in 2 / x beyond; `near` says how, of x in (0, 2]."""
    inside = x <= 2
    close = _core.where(inside & (x > 0), x, 1.0)
    distant = _core.where(inside, 2.0, x)
    low, high = near(close), chebyshev(far, 4 / distant - 1) / distant.sqrt()
    low = low * close.exp() if scaled else low
    high = high if scaled else high * (-distant).exp()
    value = _core.where(inside, low, high)
    value = _core.where(x == 0, float("inf"), value)
    value = _core.where(x == float("inf"), 0.0, value)
    return _core.where((x < 0) | x.isnan(), float("nan"), value)


def _k0_near(x):
    return chebyshev(series.K0_NEAR, x * x / 2 - 1) - (x / 2).log() * _i0e(x) * x.exp()


def _k1_near(x):
    return chebyshev(series.K1_NEAR, x * x / 2 - 1) / x + (x / 2).log() * _i1e(x) * x.exp()


@special(lambda x: -modified_bessel_k1(x))
def modified_bessel_k0(x):
    """The modified Bessel function of the second kind, K₀: infinite at 0, NaN below.

    Example:
        >>> wg.special.modified_bessel_k0(wg.tensor([1., 2.]))
        tensor([0.4210, 0.1139])
    """
    return _second_kind(x, _k0_near, series.K0_FAR, False)


@special(lambda x: -modified_bessel_k0(x) - modified_bessel_k1(x) / x)
def modified_bessel_k1(x):
    """The modified Bessel function of the second kind of order 1, K₁: infinite at 0, NaN below.

    Example:
        >>> wg.special.modified_bessel_k1(wg.tensor([1., 2.]))
        tensor([0.6019, 0.1399])
    """
    return _second_kind(x, _k1_near, series.K1_FAR, False)


@special(lambda x: scaled_modified_bessel_k0(x) - scaled_modified_bessel_k1(x))
def scaled_modified_bessel_k0(x):
    """eˣ·K₀(x).

    Example:
        >>> wg.special.scaled_modified_bessel_k0(wg.tensor([1., 2.]))
        tensor([1.1445, 0.8416])
    """
    return _second_kind(x, _k0_near, series.K0_FAR, True)


@special(lambda x: scaled_modified_bessel_k1(x) * (1 - 1 / x) - scaled_modified_bessel_k0(x))
def scaled_modified_bessel_k1(x):
    """eˣ·K₁(x).

    Example:
        >>> wg.special.scaled_modified_bessel_k1(wg.tensor([1., 2.]))
        tensor([1.6362, 1.0335])
    """
    return _second_kind(x, _k1_near, series.K1_FAR, True)


@special(lambda x: i1(x))
def modified_bessel_i0(x):
    """Another name of :func:`i0`.

    Example:
        >>> wg.special.modified_bessel_i0(wg.tensor([0., 1.]))
        tensor([1.0000, 1.2661])
    """
    return _i0e(x) * x.abs().exp()


@special(lambda x: i0(x) - _over(i1(x), x, 0.5))
def modified_bessel_i1(x):
    """Another name of :func:`i1`.

    Example:
        >>> wg.special.modified_bessel_i1(wg.tensor([0., 1.]))
        tensor([0.0000, 0.5652])
    """
    return _i1e(x) * x.abs().exp()
