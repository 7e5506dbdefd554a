"""Switches and wrappers that programs use and that leave results as they are.

All kernels repeat themselves and compute in full; devices are the CPU; functions run as they are written.
"""

from . import _core

_STATE = {"deterministic": False, "warn_only": False, "matmul": "highest", "warn_always": False, "interop": 1}


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


_DEBUG_MODES = {"default": 0, "warn": 1, "error": 2}


def set_deterministic_debug_mode(debug_mode):
    """:func:`use_deterministic_algorithms` by a number or a word: 0 "default", 1 "warn", 2 "error".

    Raises:
        RuntimeError: for another number or word.
        TypeError: for what is neither.

    Example:
        >>> wg.set_deterministic_debug_mode("warn")
        >>> wg.get_deterministic_debug_mode()
        1
        >>> wg.set_deterministic_debug_mode(0)
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    mode = _DEBUG_MODES.get(debug_mode, debug_mode)
    if mode not in (0, 1, 2):
        raise RuntimeError(
            "invalid value of debug_mode, expected 0, 1 or 2, or one of `default`, `warn`, `error`, but got "
            f"{debug_mode}"
        )
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def get_deterministic_debug_mode():
    """The number of :func:`set_deterministic_debug_mode` that the present settings are those of.

    Example:
        >>> wg.get_deterministic_debug_mode()
        0
    """
    return (1 if _STATE["warn_only"] else 2) if _STATE["deterministic"] else 0


def set_warn_always(b, /):
    """Notes whether warnings should be given each time; Python's own filters decide it here.

    Raises:
        RuntimeError: for what is no bool.

    Example:
        >>> wg.set_warn_always(False)
    """
    if not isinstance(b, bool):
        raise RuntimeError(f"set_warn_always() expects a bool, but got {type(b).__name__}")
    _STATE["warn_always"] = b


def is_warn_always_enabled():
    """What was last given to :func:`set_warn_always`.

    Example:
        >>> wg.is_warn_always_enabled()
        False
    """
    return _STATE["warn_always"]


def set_flush_denormal(mode):
    """False: denormal numbers are computed with, and there is no switch for it on any processor.

    Raises:
        RuntimeError: for what is no bool.

    Example:
        >>> wg.set_flush_denormal(True)
        False
    """
    if not isinstance(mode, bool):
        raise RuntimeError(f"set_flush_denormal() expects a bool, but got {type(mode).__name__}")
    return False


def get_num_interop_threads():
    """What was given to :func:`set_num_interop_threads`, at first 1: operations run one after the other.

    Example:
        >>> wg.get_num_interop_threads() >= 1
        True
    """
    return _STATE["interop"]


def set_num_interop_threads(threads, /):
    """Notes how many operations could run at once; one does. `set_num_threads` is for the threads of each.

    Raises:
        RuntimeError: for what is no positive int.

    Example:
        >>> wg.set_num_interop_threads(1)
    """
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise RuntimeError(f"set_num_interop_threads expects an int, but got {type(threads).__name__}")
    if threads <= 0:
        raise RuntimeError(f"set_num_interop_threads expects a positive integer, but got {threads}")
    _STATE["interop"] = threads


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
