"""Anomaly mode: where in the forward pass a failing backward function came from, and which one made NaN."""

import warnings

from .. import _core


class _Anomaly:
    """Remembers the mode, to put it back at the end of a context."""

    __slots__ = ("_before",)

    def __init__(self):
        self._before = _core.is_anomaly_enabled(), _core.is_anomaly_check_nan_enabled()

    def __exit__(self, *exception):
        _core.set_anomaly_enabled(*self._before)


class detect_anomaly(_Anomaly):
    """A context in which nodes remember the Python stack of their forward call.

    An error in a backward pass inside it prints, as a warning, the stack of the forward call whose gradient failed.
    It makes everything slower: for debugging only.

    Args:
        check_nan: whether a backward function that computes NaN is a RuntimeError.

    Example:
        >>> x = wg.tensor(-1.0, requires_grad=True)
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     with wg.autograd.detect_anomaly():
        ...         (x.sqrt() * 0).backward()
        Traceback (most recent call last):
        RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    __slots__ = ("check_nan",)

    def __init__(self, check_nan=True):
        super().__init__()
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        _core.set_anomaly_enabled(True, self.check_nan)


class set_detect_anomaly(_Anomaly):
    """Turns anomaly mode on or off, at once; as a context, until its end.

    Args:
        mode: whether it is on.
        check_nan: whether a backward function that computes NaN is a RuntimeError.

    Example:
        >>> with wg.autograd.set_detect_anomaly(True):
        ...     wg.is_anomaly_enabled()
        True
        >>> wg.is_anomaly_enabled()
        False
    """

    __slots__ = ()

    def __init__(self, mode, check_nan=True):
        super().__init__()
        _core.set_anomaly_enabled(mode, check_nan)

    def __enter__(self):
        pass
