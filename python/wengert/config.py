"""Settings of the whole process: attributes of :data:`wengert.config`, read and set.

    wg.config.gpu_fallback = True

An attribute that there is not is an AttributeError, also on setting.
"""

import sys as _sys
from types import ModuleType as _ModuleType

from . import _core

# For type checkers; the class below answers.
gpu_autotune: bool
gpu_cooperative_matrices: bool
gpu_fallback: bool


def _checked(name, value):
    if not isinstance(value, bool):
        raise TypeError(f"config.{name} must be a bool, but got {type(value).__name__}")
    return value


class _Config(_ModuleType):
    @property
    def gpu_fallback(self):
        """Whether an operation that a GPU cannot do runs on the CPU, its result going back to the GPU.

        A GPU cannot do what it lacks the ability for, such as 64-bit floats. False, the default, makes that an error.
        With True there is a UserWarning once for each such operation, which names it and the reason.

        Example:
            >>> wg.config.gpu_fallback
            False
        """
        return _core._gpu_fallback()

    @gpu_fallback.setter
    def gpu_fallback(self, allowed):
        _core._set_gpu_fallback(_checked("gpu_fallback", allowed))

    @property
    def gpu_autotune(self):
        """Whether kinds of matrix products that come several times on a GPU are measured to find their fastest kernel.

        The kernels that are compared add up in the same order: results are the same to the bit. What was found is kept
        for later processes in the folder ``WENGERT_CACHE``, and used also where this is False.

        Example:
            >>> wg.config.gpu_autotune
            True
        """
        return _core._gpu_autotune()

    @gpu_autotune.setter
    def gpu_autotune(self, on):
        _core._set_gpu_autotune(_checked("gpu_autotune", on))

    @property
    def gpu_cooperative_matrices(self):
        """Whether products of float16 matrices, convolutions among them, use a GPU's cooperative matrices.

        These are units that multiply small squares at once, such as NVIDIA's tensor cores. They sum in float32 as
        the other kernels do, but in an order and with a rounding of their own, and wgpu calls them experimental: False
        is the default. :func:`wengert.gpu.devices` tells which devices have them; others go on without.

        Raises:
            RuntimeError: set to True when a device that has them is open already. Set it before the first tensor on a
                GPU.

        Example:
            >>> wg.config.gpu_cooperative_matrices
            False
        """
        return _core._gpu_cooperative_matrices()

    @gpu_cooperative_matrices.setter
    def gpu_cooperative_matrices(self, on):
        _core._set_gpu_cooperative_matrices(_checked("gpu_cooperative_matrices", on))

    def __setattr__(self, name, value):
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"wengert.config has no setting {name!r}")
        super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Config
