"""The default random generator: its seed and its state."""

import sys
from contextlib import contextmanager

from . import _core
from ._core import default_generator, manual_seed

__all__ = [
    "manual_seed",
    "seed",
    "initial_seed",
    "get_rng_state",
    "set_rng_state",
    "fork_rng",
    "default_generator",
]


def seed():
    """Seeds the default generator from the system's entropy; returns the seed.

    Example:
        >>> isinstance(wg.seed(), int)
        True
    """
    return default_generator.seed()


def initial_seed():
    """The seed last given to the default generator; in a DataLoader's worker, that worker's seed.

    Example:
        >>> _ = wg.manual_seed(3)
        >>> wg.initial_seed()
        3
    """
    worker = sys.modules.get("wengert.utils.data.worker")
    info = worker and worker.get_worker_info()
    return info.seed if info else default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, a uint8 tensor.

    Example:
        >>> wg.get_rng_state().dtype
        torch.uint8
    """
    return default_generator.get_state()


def set_rng_state(new_state):
    """Puts the default generator back into a state from :func:`get_rng_state`.

    Example:
        >>> state = wg.get_rng_state()
        >>> a = wg.rand(2)
        >>> wg.set_rng_state(state)
        >>> wg.equal(a, wg.rand(2))
        True
    """
    if not isinstance(new_state, _core.Tensor):
        raise TypeError(f"expected a uint8 tensor from get_rng_state(), got {type(new_state).__name__}")
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cuda"):
    """A context (or decorator) that leaves the default generator as it found it; other devices there are none.

    Example:
        >>> _ = wg.manual_seed(0)
        >>> with wg.random.fork_rng():
        ...     a = wg.rand(2)
        >>> wg.equal(a, wg.rand(2))
        True
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
