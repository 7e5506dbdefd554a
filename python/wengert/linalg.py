"""Linear algebra, as `torch.linalg`: factorizations, solves, norms and products of matrices.

Every function takes batches of matrices in the last two dims.
"""

from ._functions._compose import REGISTRY as _REGISTRY

LinAlgError = RuntimeError
globals().update({entry.name: entry.call for key, entry in _REGISTRY.items() if entry.namespace == "linalg"})
__all__ = sorted(entry.name for entry in _REGISTRY.values() if entry.namespace == "linalg")
