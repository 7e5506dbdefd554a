"""Autocast's older switches and questions, as functions; :class:`wengert.autocast` says why it stays off."""

import warnings

from . import _core
from .amp.autocast_mode import _KNOWN

# What would be computed in; kept for who asks.
_DTYPES = {"cpu": _core.bfloat16, "cuda": _core.float16, "xla": _core.bfloat16}
_CACHE = {"enabled": True}


def _known(name, device_type):
    if device_type not in _KNOWN and device_type not in _DTYPES:
        raise RuntimeError(f"{name}(): unknown device type {device_type!r}; use 'cpu'")
    return device_type


def _flag(name, value):
    if not isinstance(value, bool):
        raise TypeError(f"{name}(): argument 'enabled' must be bool, not {type(value).__name__}")
    return value


def set_autocast_enabled(device_type, enabled=None):
    """Takes False; True warns and changes nothing, as for :class:`wengert.autocast`.

    Args:
        device_type: such as "cpu"; left out in the old form `set_autocast_enabled(False)`, which means "cuda".

    Raises:
        RuntimeError: for an unknown device type.
        TypeError: for what is no bool.

    Example:
        >>> wg.set_autocast_enabled("cpu", False)
    """
    if enabled is None:
        device_type, enabled = "cuda", device_type
    _known("set_autocast_enabled", device_type)
    if _flag("set_autocast_enabled", enabled):
        warnings.warn(
            "set_autocast_enabled(): tensors are computed in their own dtypes; autocast stays disabled",
            stacklevel=2,
        )


def get_autocast_dtype(device_type):
    """What was last given to :func:`set_autocast_dtype`; bfloat16 on the CPU, float16 elsewhere at first.

    Raises:
        RuntimeError: for an unknown device type.

    Example:
        >>> wg.get_autocast_dtype("cpu")
        torch.bfloat16
    """
    return _DTYPES.get(_known("get_autocast_dtype", device_type), _core.float16)


def set_autocast_dtype(device_type, dtype):
    """Notes the dtype for a device type, which nothing is computed in: autocast is disabled.

    Raises:
        RuntimeError: for an unknown device type.
        TypeError: for what is no dtype.

    Example:
        >>> wg.set_autocast_dtype("cpu", wg.bfloat16)
    """
    if not isinstance(dtype, _core.dtype):
        raise TypeError(
            f"set_autocast_dtype(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}"
        )
    _DTYPES[_known("set_autocast_dtype", device_type)] = dtype


def is_autocast_cpu_enabled():
    """False: see :class:`wengert.autocast`. Deprecated for `is_autocast_enabled("cpu")`.

    Example:
        >>> wg.is_autocast_cpu_enabled()
        False
    """
    return False


def set_autocast_cpu_enabled(enabled):
    """The old form of :func:`set_autocast_enabled` for the CPU.

    Example:
        >>> wg.set_autocast_cpu_enabled(False)
    """
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype():
    """The old form of :func:`get_autocast_dtype` for the CPU.

    Example:
        >>> wg.get_autocast_cpu_dtype()
        torch.bfloat16
    """
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype):
    """The old form of :func:`set_autocast_dtype` for the CPU.

    Example:
        >>> wg.set_autocast_cpu_dtype(wg.bfloat16)
    """
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype():
    """The old form of :func:`get_autocast_dtype` for "cuda".

    Example:
        >>> wg.get_autocast_gpu_dtype()
        torch.float16
    """
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype):
    """The old form of :func:`set_autocast_dtype` for "cuda".

    Example:
        >>> wg.set_autocast_gpu_dtype(wg.float16)
    """
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled():
    """What was last given to :func:`set_autocast_cache_enabled`.

    Example:
        >>> wg.is_autocast_cache_enabled()
        True
    """
    return _CACHE["enabled"]


def set_autocast_cache_enabled(enabled):
    """Notes whether converted weights would be kept; there are none.

    Raises:
        TypeError: for what is no bool.

    Example:
        >>> wg.set_autocast_cache_enabled(True)
    """
    _CACHE["enabled"] = _flag("set_autocast_cache_enabled", enabled)


def clear_autocast_cache():
    """Does nothing: no converted weights are kept.

    Example:
        >>> wg.clear_autocast_cache()
    """
