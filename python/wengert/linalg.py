"""Linear algebra, as `torch.linalg`: factorizations, solves, norms and products of matrices.

Every function takes batches of matrices in the last two dims.
"""

from ._core import LinAlgError
from ._functions._compose import REGISTRY as _REGISTRY

_OURS = {entry.name: entry.call for entry in _REGISTRY.values() if entry.namespace == "linalg"}
globals().update(_OURS)
__all__ = ["LinAlgError", *sorted(_OURS)]
