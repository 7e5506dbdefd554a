"""Special functions under their `torch.special` names; those that `wengert` has, too, are the same there."""

import wengert as _wg
from wengert import _core
from wengert._special.bessel import (  # noqa: F401
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    spherical_bessel_j0,
)
from wengert._special.gamma import (  # noqa: F401
    gammainc,
    gammaincc,
    zeta,
)
from wengert._special.modified_bessel import (  # noqa: F401
    i0,
    i0e,
    i1,
    i1e,
    modified_bessel_i0,
    modified_bessel_i1,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
)
from wengert._special.normal import (  # noqa: F401
    erfcx,
    log_ndtr,
    ndtri,
)
from wengert._special.polynomials import (  # noqa: F401
    chebyshev_polynomial_t,
    chebyshev_polynomial_u,
    chebyshev_polynomial_v,
    chebyshev_polynomial_w,
    hermite_polynomial_h,
    hermite_polynomial_he,
    laguerre_polynomial_l,
    legendre_polynomial_p,
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
)

_SAME = (
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expm1",
    "log1p",
    "sinc",
    "logit",
    "xlogy",
    "digamma",
    "polygamma",
    "round",
    "logsumexp",
    "softmax",
    "log_softmax",
    "xlog1py",
)
_OTHER = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma", "multigammaln": "mvlgamma"}


def entr(input):
    """-x·log(x): 0 at 0, -inf below.

    Example:
        >>> wg.special.entr(wg.tensor([0., 1.]))
        tensor([0., -0.])
    """
    value = -_wg.xlogy(input, input)
    value = value.masked_fill(input == 0, 0.0)
    return value.masked_fill(input < 0, float("-inf"))


def ndtr(input):
    """The normal distribution function.

    Example:
        >>> wg.special.ndtr(wg.tensor([0.]))
        tensor([0.5000])
    """
    return 0.5 * _wg.erfc(input * -0.7071067811865476)


def __getattr__(name):
    if name in _SAME or name in _OTHER:
        name = _OTHER.get(name, name)
        return getattr(_wg if hasattr(_wg, name) else _core, name)
    raise AttributeError(f"wengert has no special.{name} yet")
