"""Composed functions by topic. Importing a topic registers its definitions (see `_compose`)."""

from . import (  # noqa: F401
    comparing,
    creation,
    einsum,
    elementwise,
    extras,
    indexing,
    linear_algebra,
    ordering,
    predicates,
    products,
    reductions,
    sampling,
    scattering,
    shaping,
    tensor_methods,
    torch_level,
)
