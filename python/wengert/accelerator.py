"""Accelerators: none is there."""

__all__ = ["device_count", "is_available"]


def is_available():
    """False.

    Example:
        >>> wg.accelerator.is_available()
        False
    """
    return False


def device_count():
    """0.

    Example:
        >>> wg.accelerator.device_count()
        0
    """
    return 0


def __getattr__(name):
    raise AttributeError(f"wengert has no accelerator.{name} yet")
