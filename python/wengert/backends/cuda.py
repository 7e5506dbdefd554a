"""CUDA is not there; the switches of its matrix products may be set and change nothing."""

from ._switches import Switches
from ._switches import no as is_built

__all__ = ["is_built", "matmul"]

matmul = Switches(
    "backends.cuda.matmul",
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
)
