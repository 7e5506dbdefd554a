"""What programs ask about CUDA before they choose a device: there is none here.

Questions are answered as PyTorch answers them on a machine without CUDA; what would need a device raises.
"""

__all__ = [
    "amp",
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device",
    "synchronize",
]


def is_available():
    """False: wengert has no CUDA devices.

    Example:
        >>> wg.cuda.is_available()
        False
    """
    return False


is_initialized = is_bf16_supported = is_available


def device_count():
    """0.

    Example:
        >>> wg.cuda.device_count()
        0
    """
    return 0


def manual_seed(seed):
    """Seeds no device, as PyTorch does without CUDA."""


manual_seed_all = manual_seed


def empty_cache():
    """Does nothing, as there is no device memory."""


def reset_peak_memory_stats(device=None):
    """Does nothing, as there is no device memory."""


def memory_allocated(device=None):
    """0 bytes, as there is no device memory.

    Example:
        >>> wg.cuda.memory_allocated()
        0
    """
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def _absent(name):
    def function(*args, **kwargs):
        raise RuntimeError(f"cuda.{name}(): wengert has no CUDA devices; ask cuda.is_available() first")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises RuntimeError, as there is no device."
    return function


current_device, set_device, synchronize = map(_absent, ("current_device", "set_device", "synchronize"))
get_device_name, get_device_properties = map(_absent, ("get_device_name", "get_device_properties"))
get_device_capability = _absent("get_device_capability")


def __getattr__(name):
    if name == "amp":
        from importlib import import_module

        return import_module(".amp", __name__)
    raise AttributeError(f"wengert has no cuda.{name} yet")
