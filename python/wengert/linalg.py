"""Linear algebra, as `torch.linalg`: factorizations, solves, norms and products of matrices.

Every function takes batches of matrices in the last two dims.
"""

from ._core import LinAlgError
from ._functions import _late

_FUNCTIONS = _late.FUNCTIONS["linalg"]
__all__ = ["LinAlgError", *sorted(_FUNCTIONS)]


def __getattr__(name):
    if name in _FUNCTIONS:
        value = globals()[name] = _late.function(name, "linalg")
        return value
    raise AttributeError(
        f"wengert has no linalg.{name} yet (module 'wengert.linalg' has no attribute {name!r})"
    )


def __dir__():
    return sorted({*globals(), *_FUNCTIONS})
