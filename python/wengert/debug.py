"""Looking into the tape."""

from . import _core


def live():
    """Counts of what the tape holds now: nodes, bytes and the like, as a dict.

    Example:
        >>> sorted(wg.debug.live())[:1] != []
        True
    """
    return _core._live()
