"""Special functions under their `torch.special` names; the same functions as in `wengert`."""

import wengert as _wg
from wengert import _core

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
    "round",
    "logsumexp",
    "softmax",
    "log_softmax",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "ndtr",
    "log_ndtr",
    "zeta",
    "entr",
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
