"""What programs say to and ask of the compiler, which leaves functions as they are: see `wengert.compile`."""

from ._settings import compile

__all__ = ["compile", "disable", "is_compiling", "reset"]


def is_compiling():
    """False.

    Example:
        >>> wg.compiler.is_compiling()
        False
    """
    return False


def disable(fn=None, recursive=True, *, reason=None):
    """The function as it is; serves as a decorator, with arguments or without.

    Example:
        >>> wg.compiler.disable(len) is len
        True
    """
    return (lambda function: function) if fn is None else fn


def reset():
    """Forgets nothing, as nothing is compiled."""
