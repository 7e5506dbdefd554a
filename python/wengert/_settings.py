"""Switches that programs set and that leave results as they are: all kernels repeat themselves, and compute in full."""

_STATE = {"deterministic": False, "warn_only": False, "matmul": "highest"}


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Notes the wish for the same results in every run, which holds in any case.

    Example:
        >>> wg.use_deterministic_algorithms(True)
        >>> wg.are_deterministic_algorithms_enabled()
        True
        >>> wg.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(
            f"use_deterministic_algorithms(): argument 'mode' must be bool, not {type(mode).__name__}"
        )
    _STATE.update(deterministic=mode, warn_only=mode and bool(warn_only))


def are_deterministic_algorithms_enabled():
    """What was last given to :func:`use_deterministic_algorithms`.

    Example:
        >>> wg.are_deterministic_algorithms_enabled()
        False
    """
    return _STATE["deterministic"]


def is_deterministic_algorithms_warn_only_enabled():
    """The `warn_only` last given to :func:`use_deterministic_algorithms`.

    Example:
        >>> wg.is_deterministic_algorithms_warn_only_enabled()
        False
    """
    return _STATE["warn_only"]


def set_float32_matmul_precision(precision):
    """Notes 'highest', 'high' or 'medium'; products of float32 are computed in float32 with each.

    Example:
        >>> wg.set_float32_matmul_precision("highest")
    """
    if precision not in ("highest", "high", "medium"):
        import warnings

        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the call has no effect.", stacklevel=2
        )
        return
    _STATE["matmul"] = precision


def get_float32_matmul_precision():
    """What was last given to :func:`set_float32_matmul_precision`.

    Example:
        >>> wg.get_float32_matmul_precision()
        'highest'
    """
    return _STATE["matmul"]
