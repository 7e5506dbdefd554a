"""Switches and wrappers that programs use and that leave results as they are.

All kernels repeat themselves and compute in full; devices are the CPU; functions run as they are written.
"""

from . import _core

_STATE = {"deterministic": False, "warn_only": False, "matmul": "highest"}


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Notes the wish for the same results in every run, which holds in any case.

    Example:
        >>> wg.use_deterministic_algorithms(True)
        >>> wg.are_deterministic_algorithms_enabled()
        True
        >>> wg.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(
            f"use_deterministic_algorithms(): argument 'mode' must be bool, not {type(mode).__name__}"
        )
    _STATE.update(deterministic=mode, warn_only=mode and bool(warn_only))


def are_deterministic_algorithms_enabled():
    """What was last given to :func:`use_deterministic_algorithms`.

    Example:
        >>> wg.are_deterministic_algorithms_enabled()
        False
    """
    return _STATE["deterministic"]


def is_deterministic_algorithms_warn_only_enabled():
    """The `warn_only` last given to :func:`use_deterministic_algorithms`.

    Example:
        >>> wg.is_deterministic_algorithms_warn_only_enabled()
        False
    """
    return _STATE["warn_only"]


def set_float32_matmul_precision(precision):
    """Notes 'highest', 'high' or 'medium'; products of float32 are computed in float32 with each.

    Example:
        >>> wg.set_float32_matmul_precision("highest")
    """
    if precision not in ("highest", "high", "medium"):
        import warnings

        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the call has no effect.", stacklevel=2
        )
        return
    _STATE["matmul"] = precision


def get_float32_matmul_precision():
    """What was last given to :func:`set_float32_matmul_precision`.

    Example:
        >>> wg.get_float32_matmul_precision()
        'highest'
    """
    return _STATE["matmul"]


def compile(
    model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False
):
    """The function or module itself: it runs as it is written. Serves as a decorator, with arguments or without.

    Raises:
        TypeError: for what cannot be called.

    Example:
        >>> @wg.compile
        ... def double(x):
        ...     return x * 2
        >>> double(wg.ones(1))
        tensor([2.])
    """
    if model is None:
        return compile
    if not callable(model):
        raise TypeError(f"compile(): a function or module is wanted, but got {type(model).__name__}")
    return model


def get_default_device():
    """The device on which this thread's factories make tensors.

    Example:
        >>> wg.get_default_device()
        device(type='cpu')
    """
    return _core._default_device()


def set_default_device(device):
    """Sets the device on which this thread's factories make tensors; None is the CPU.

    ``with wg.device("gpu"):`` does so for a block.

    Example:
        >>> wg.set_default_device("meta")
        >>> wg.zeros(2).device
        device(type='meta')
        >>> wg.set_default_device(None)
    """
    _core._set_default_device("cpu" if device is None else device)


def is_autocast_enabled(device_type=None):
    """False: see :class:`wengert.autocast`.

    Example:
        >>> wg.is_autocast_enabled()
        False
    """
    return False


class _MemoryFormat:
    """An order of dims in memory, by its name. Tensors stay row-major, whichever is asked for."""

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"torch.{self._name}"

    def __reduce__(self):
        return self._name


channels_last = _MemoryFormat("channels_last")
channels_last_3d = _MemoryFormat("channels_last_3d")
