"""The kernels of the CPU."""

from wengert import _core

__all__ = ["get_cpu_capability"]


def get_cpu_capability():
    """The instruction set of the kernels: "AVX512", "AVX2" or, for those of any processor, "DEFAULT".

    It is the best that the machine has, or the lesser one that the environment's ``WENGERT_ISA`` asks for.

    Example:
        >>> wg.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
        True
    """
    return _core._cpu_capability()
