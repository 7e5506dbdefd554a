"""Streams and events of a device that does everything at once: programs written for any device may use them."""


class Stream:
    """A queue of work, which on the CPU is always empty: each operation is done when it returns.

    Example:
        >>> with wg.cpu.stream(wg.cpu.Stream()):
        ...     wg.ones(2) + 1
        tensor([2., 2.])
    """

    def __init__(self, priority=-1):
        pass

    def wait_stream(self, stream):
        """Does nothing, as there is no work to wait for."""

    def record_event(self):
        """Does nothing, as there is no work to mark the end of."""

    def wait_event(self, event):
        """Does nothing, as there is no work to wait for."""


class Event:
    """A mark in a stream, which on the CPU is passed as soon as it is set.

    Example:
        >>> event = wg.cpu.Event()
        >>> event.record()
        >>> event.query()
        True
    """

    def query(self):
        """True: the work before it is done."""
        return True

    def record(self, stream=None):
        """Does nothing, as there is no work to mark the end of."""

    def synchronize(self):
        """Does nothing, as there is no work to wait for."""

    def wait(self, stream=None):
        """Does nothing, as there is no work to wait for."""


_CURRENT = [Stream()]


def current_stream(device=None):
    """The stream of the innermost :func:`stream` block, else the default one; `device` is ignored.

    Example:
        >>> one = wg.cpu.Stream()
        >>> with wg.cpu.stream(one):
        ...     wg.cpu.current_stream() is one
        True
    """
    return _CURRENT[-1]


class StreamContext:
    """Makes a stream the current one within a block; None leaves it as it is."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        if self.stream is not None:
            _CURRENT.append(self.stream)

    def __exit__(self, *error):
        if self.stream is not None:
            _CURRENT.pop()


def stream(stream):
    """A :class:`StreamContext` of the stream."""
    return StreamContext(stream)
