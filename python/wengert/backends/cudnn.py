"""cuDNN is not there; its switches may be set, as portable programs do, and change nothing."""

import sys

from ._switches import no as is_available

__all__ = [
    "allow_tf32",
    "benchmark",
    "benchmark_limit",
    "deterministic",
    "enabled",
    "is_available",
    "version",
]

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True


def version():
    """None, as there is no cuDNN.

    Example:
        >>> print(wg.backends.cudnn.version())
        None
    """
    return None


class flags:
    """Sets the switches within a block.

    Example:
        >>> with wg.backends.cudnn.flags(enabled=False):
        ...     wg.backends.cudnn.enabled
        False
    """

    def __init__(
        self, enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True
    ):
        self._inside = {
            "enabled": enabled,
            "benchmark": benchmark,
            "benchmark_limit": benchmark_limit,
            "deterministic": deterministic,
            "allow_tf32": allow_tf32,
        }

    def __enter__(self):
        here = vars(sys.modules[__name__])
        self._before = {name: here[name] for name in self._inside}
        here.update(self._inside)

    def __exit__(self, *error):
        vars(sys.modules[__name__]).update(self._before)
