"""Types for annotations."""

import builtins
from typing import TypeAlias

from ._core import Tensor, device, dtype
from ._size import Size

__all__ = ["Device", "Number", "Size", "Tensor"]

Device: TypeAlias = device | str | int | None
Number: TypeAlias = builtins.int | builtins.float | builtins.bool

_size: TypeAlias = Size | list[builtins.int] | tuple[builtins.int, ...]
_dtype: TypeAlias = dtype
_device: TypeAlias = device
