"""The normal distribution function's logarithm and inverse, and the scaled error function they rest on.

erfcx is Shepherd and Laframboise's ("Chebyshev approximation of (1 + 2x) exp(x²) erfc x", 1981) with a longer series.
"""

import math

from .. import _core
from . import series
from ._define import special
from .series import chebyshev

_ROOT = math.sqrt(0.5)


def _erfcx(x):
    size = x.abs()
    held = size.clamp(max=_core.finfo(x.dtype).max / 4)
    positive = chebyshev(series.ERFCX, (held - 3.75) / (held + 3.75)) / (1 + 2 * held)
    positive = _core.where(size == float("inf"), 0.0, positive)
    return _core.where(x < 0, 2 * (x * x).exp() - positive, positive) + _core.where(x.isnan(), x, 0.0)


def _log_ndtr(x):
    low = _core.where(x < -1, x, -1.0)
    high = _core.where(x < -1, 0.0, x)
    tail = (_erfcx(-low * _ROOT) / 2).log() - low * low / 2
    return _core.where(x < -1, tail, (-_core.erfc(high * _ROOT) / 2).log1p())


def _hazard(x):
    """The normal density over the distribution function."""
    return math.sqrt(2 / math.pi) / _erfcx(-x * _ROOT)


def _quantile(p):
    """The place in the lower half below which a probability p ≤ ½ lies: Newton's steps on log Φ, which is concave."""
    log_p = p.log()
    root = (-2 * log_p).sqrt()
    x = _core.where(
        p > 0.1,
        -math.sqrt(2) * _core.erfinv(1 - 2 * p),
        -root + (root.square() * 2 * math.pi).log() / (2 * root),
    )
    for _ in range(5):
        x = x - (_log_ndtr(x) - log_p) / _hazard(x)
    return x


@special(lambda x: 2 * x * erfcx(x) - 2 / math.sqrt(math.pi))
def erfcx(x):
    """e^(x²)·erfc(x), to some units in float64's last place for x ≥ 0.

    Example:
        >>> wg.special.erfcx(wg.tensor([0., 1., 30.]))
        tensor([1.0000, 0.4276, 0.0188])
    """
    return _erfcx(x)


@special(lambda x: math.sqrt(2 / math.pi) / erfcx(-x * _ROOT))
def log_ndtr(x):
    """The logarithm of the normal distribution function, also far below 0 where that is 0.

    Example:
        >>> wg.special.log_ndtr(wg.tensor([0., -4.]))
        tensor([ -0.6931, -10.3601])
    """
    value = _log_ndtr(_core.where(x == -float("inf"), 0.0, x))
    return _core.where(x == -float("inf"), -float("inf"), value)


@special(lambda p: math.sqrt(2 * math.pi) * (ndtri(p).square() / 2).exp())
def ndtri(p):
    """The inverse of :func:`ndtr`, to some units in float64's last place: −∞ at 0, ∞ at 1, NaN outside [0, 1].

    Example:
        >>> wg.special.ndtri(wg.tensor([0.5, 0.975]))
        tensor([0.0000, 1.9600])
    """
    upper = p > 0.5
    lower = _core.where(upper, 1 - p, p)
    inside = (lower > 0) & (lower < 0.5)
    x = _quantile(_core.where(inside, lower, 0.25))
    x = _core.where(
        inside, x, _core.where(lower == 0.5, 0.0, _core.where(lower == 0, -float("inf"), float("nan")))
    )
    return _core.where(upper, -x, x)
