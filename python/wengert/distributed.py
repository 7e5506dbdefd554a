"""Training over several processes: not there, which is what programs ask first."""

__all__ = ["get_rank", "get_world_size", "is_available", "is_initialized"]


def is_available():
    """False.

    Example:
        >>> wg.distributed.is_available()
        False
    """
    return False


def is_initialized():
    """False.

    Example:
        >>> wg.distributed.is_initialized()
        False
    """
    return False


def _alone(name):
    def function(*args, **kwargs):
        raise RuntimeError(
            f"distributed.{name}(): wengert trains in one process; ask distributed.is_initialized() first"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises RuntimeError, as there is one process."
    return function


get_rank, get_world_size = map(_alone, ("get_rank", "get_world_size"))


def __getattr__(name):
    raise AttributeError(f"wengert has no distributed.{name} yet")
