"""Apple's Metal shaders: not there."""

from ._switches import no as is_available
from ._switches import no as is_built

__all__ = ["is_available", "is_built"]
