"""The switch of PyTorch's inference of transformer layers in one operation, which is not there: it changes nothing."""

__all__ = ["get_fastpath_enabled", "set_fastpath_enabled"]

_ENABLED = [True]


def get_fastpath_enabled():
    """What was last set, True at first.

    Example:
        >>> wg.backends.mha.get_fastpath_enabled()
        True
    """
    return _ENABLED[-1]


def set_fastpath_enabled(value):
    """Keeps the value for :func:`get_fastpath_enabled`."""
    _ENABLED[-1] = value
