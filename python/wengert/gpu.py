"""The machine's GPUs, of any vendor: which there are, what they hold, when they are done.

Drivers are asked when a function here or a tensor on ``"gpu"`` needs them, not before. ``WENGERT_GPU`` chooses the
adapter: a part of its name, its number, or ``off``. A software device (Mesa's llvmpipe) is counted only with
``WENGERT_ALLOW_SOFTWARE_GPU=1``. Compiled kernels and what was measured are kept for the next process in the folder
``WENGERT_CACHE``, by default where the system keeps such; ``WENGERT_CACHE=off`` keeps nothing.
"""

from collections import namedtuple

from wengert import _core

DeviceInfo = namedtuple(
    "DeviceInfo", "name vendor backend driver max_buffer max_binding cooperative_matrices software"
)
DeviceInfo.__doc__ = """What is known of a GPU before it is opened.

Attributes:
    name: the adapter's name, as its driver gives it.
    vendor: who made it.
    backend: ``vulkan``, ``metal`` or ``dx12``.
    driver: name and version of the driver.
    max_buffer: the largest allocation, in bytes.
    max_binding: the largest part of one that a shader sees at once, in bytes.
    cooperative_matrices: whether it has units for products of float16 that
        :data:`wengert.config.gpu_cooperative_matrices` lets it use.
    software: whether a processor plays the GPU.
"""

Stats = namedtuple("Stats", "steps chains chained dispatches submissions kernels tuned")
Stats.__doc__ = """What a GPU has been given to do since it was opened.

Attributes:
    steps: elementwise calls whose results were wanted.
    chains: kernels that computed several of them at once.
    chained: how many calls those kernels computed.
    dispatches: kernels run, of every kind.
    submissions: how often queued work was handed to the driver.
    kernels: kernels compiled.
    tuned: kinds of matrix products of which several kernels were measured to find the fastest.
"""


def devices():
    """The GPUs that may be used, in the order of their numbers, as :class:`DeviceInfo`.

    Raises:
        RuntimeError: ``WENGERT_GPU`` names a GPU that is not there.

    Example:
        >>> isinstance(wg.gpu.devices(), list)
        True
    """
    return [DeviceInfo(**d) for d in _core._gpu_devices()]


def is_available():
    """Whether there is a GPU that may be used.

    Example:
        >>> wg.gpu.is_available() == (wg.gpu.device_count() > 0)
        True
    """
    return bool(_core._gpu_devices())


def device_count():
    """How many GPUs may be used.

    Example:
        >>> wg.gpu.device_count() == len(wg.gpu.devices())
        True
    """
    return len(_core._gpu_devices())


def get_device_name(device=None):
    """The name of a GPU: None is the first, else its number or a device.

    Raises:
        RuntimeError: there is no such GPU.
    """
    index = _index(device)
    found = devices()
    if index >= len(found):
        raise RuntimeError(f"gpu:{index}: no such GPU; there are {len(found)}: see wengert.gpu.devices()")
    return found[index].name


def _index(device):
    if device is None:
        return 0
    if isinstance(device, int):
        return device
    device = _core.device(device)
    if device.type != "gpu":
        raise ValueError(f"Expected a GPU, but got device '{device}'")
    return device.index or 0


def synchronize(device=None):
    """Waits until all work of a GPU is done: for timing; reading a tensor waits by itself."""
    _core._gpu_synchronize(device)


def memory_allocated(device=None):
    """Bytes that tensors, and work that is queued, hold on a GPU."""
    return _core._gpu_usage(device)[0]


def max_memory_allocated(device=None):
    """The most bytes that were held at once since the start or :func:`reset_peak_memory_stats`."""
    return _core._gpu_usage(device)[1]


def memory_reserved(device=None):
    """Bytes held and bytes kept for the next allocation."""
    allocated, _, cached = _core._gpu_usage(device)
    return allocated + cached


def reset_peak_memory_stats(device=None):
    """Lets :func:`max_memory_allocated` count anew."""
    _core._gpu_reset_most_allocated(device)


def empty_cache(device=None):
    """Waits for a GPU and gives the memory that nothing uses to its driver."""
    _core._gpu_empty_cache(device)


def memory_summary(device=None):
    """A table of a GPU's memory, as text."""
    allocated, most, cached = _core._gpu_usage(device)
    rows = [("allocated", allocated), ("at most", most), ("kept for the next", cached)]
    lines = [f"gpu:{_index(device)}  {get_device_name(device)}"]
    lines += [f"  {name:<18} {size / 2**20:10.2f} MiB" for name, size in rows]
    return "\n".join(lines)


def stats(device=None):
    """What a GPU has been given to do since it was opened, as :class:`Stats`; what is still queued is not in it.

    Example:
        >>> all(wg.gpu.stats(f"gpu:{n}").steps >= 0 for n in range(wg.gpu.device_count()))
        True
    """
    return Stats(*_core._gpu_work(device))
