"""The processor as a device: what PyTorch's programs ask of any device, and how much memory tensors on it take.

Blocks of freed tensors from 64 KiB on, at most 1 GiB in all, are kept for the next tensors of their size;
:func:`empty_cache` gives them back, and so does an allocation that would fail otherwise. Tensors of up to 64 bytes
stand in their own handles: no figure here counts them, nor memory that is shared with numpy or DLPack. Others count
as the blocks they lie in, which are up to an eighth larger than their elements.

``WENGERT_ISA`` (``base``, ``avx2``, ``avx512``) asks for kernels of a lesser instruction set than the machine's best.
"""

from wengert import _core

from ._capabilities import get_capabilities
from ._streams import Event, Stream, StreamContext, current_stream, stream

__all__ = [
    "amp",
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "empty_cache",
    "get_capabilities",
    "is_available",
    "is_initialized",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "memory_summary",
    "reset_peak_memory_stats",
    "set_device",
    "stream",
    "synchronize",
]


def is_available():
    """True: every machine has one.

    Example:
        >>> wg.cpu.is_available()
        True
    """
    return True


def is_initialized():
    """True: there is nothing to set up."""
    return True


def device_count():
    """1: all cores together are one device.

    Example:
        >>> wg.cpu.device_count()
        1
    """
    return 1


def current_device():
    """The name of the only one.

    Example:
        >>> wg.cpu.current_device()
        'cpu'
    """
    return "cpu"


def set_device(device):
    """Does nothing, as there is one to choose from; `device` is ignored, as PyTorch does."""


def synchronize(device=None):
    """Does nothing, as every operation is done when it returns; `device` is ignored, as PyTorch does."""


def memory_allocated(device=None):
    """Bytes that tensors, and what the tape keeps, hold now.

    Tensors of up to 64 bytes are not counted.

    Args:
        device: None or "cpu", for programs that ask any device.

    Raises:
        ValueError: `device` is another.

    Example:
        >>> x = wg.zeros(1024, 1024)
        >>> wg.cpu.memory_allocated() >= x.nbytes
        True
    """
    return _usage(device)[0]


def max_memory_allocated(device=None):
    """The most bytes that were held at once since the start or :func:`reset_peak_memory_stats`.

    Example:
        >>> wg.cpu.reset_peak_memory_stats()
        >>> total = (wg.ones(1024, 1024) * 2).sum()
        >>> wg.cpu.max_memory_allocated() >= 2 * 1024 * 1024 * 4
        True
    """
    return _usage(device)[1]


def memory_reserved(device=None):
    """Bytes held and bytes kept for the next tensors.

    Example:
        >>> wg.cpu.memory_reserved() >= wg.cpu.memory_allocated()
        True
    """
    allocated, _, kept = _usage(device)
    return allocated + kept


def reset_peak_memory_stats(device=None):
    """Lets :func:`max_memory_allocated` count anew, from what is held now.

    Example:
        >>> wg.cpu.reset_peak_memory_stats()
        >>> wg.cpu.max_memory_allocated() >= wg.cpu.memory_allocated()
        True
    """
    _check(device)
    _core._cpu_reset_most_allocated()


def empty_cache(device=None):
    """Gives the memory that is kept for the next tensors back to the system.

    Example:
        >>> x = wg.zeros(1024, 1024)
        >>> del x
        >>> wg.cpu.empty_cache()
    """
    _check(device)
    _core._cpu_empty_cache()


def memory_summary(device=None):
    """A table of the memory, the threads and the kernels' instruction set, as text.

    Example:
        >>> print(wg.cpu.memory_summary())
        cpu  ...
          allocated          ... MiB
          at most            ... MiB
          kept for the next  ... MiB
          threads            ...
          instruction set    ...
    """
    allocated, most, kept = _usage(device)
    known = get_capabilities()
    rows = [("allocated", allocated), ("at most", most), ("kept for the next", kept)]
    lines = [f"cpu  {known.get('cpu_name', known['architecture'])}"]
    lines += [f"  {name:<18} {size / 2**20:10.2f} MiB" for name, size in rows]
    rows = [("threads", _core.get_num_threads()), ("instruction set", _core._cpu_capability())]
    lines += [f"  {name:<18} {value:>10}" for name, value in rows]
    return "\n".join(lines)


def _usage(device):
    _check(device)
    return _core._cpu_usage()


def _check(device):
    if device is not None and _core.device(device).type != "cpu":
        raise ValueError(f"Expected the CPU, but got device '{device}'")


def __getattr__(name):
    if name == "amp":
        from importlib import import_module

        return import_module(".amp", __name__)
    raise AttributeError(f"wengert has no cpu.{name} yet")
