"""Intel's MKL is not there: kernels are wengert's own."""

from ._switches import no as is_available

__all__ = ["is_available"]
