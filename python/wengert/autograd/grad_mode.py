"""Contexts that say whether operations are recorded; each is a decorator, too."""

from .. import _core


class _Mode:
    """A context manager that also wraps functions and generators."""

    __slots__ = ("_previous",)

    def __call__(self, function):
        fresh = self._fresh

        if getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x20:

            def wrapped(*args, **kwargs):
                # Each resumption runs inside the mode, and the caller's mode holds between them.
                generator, send, value = function(*args, **kwargs), None, None
                send = generator.send
                while True:
                    try:
                        with fresh():
                            item = send(value)
                    except StopIteration as stop:
                        return stop.value
                    try:
                        value, send = (yield item), generator.send
                    except GeneratorExit:
                        with fresh():
                            generator.close()
                        raise
                    except BaseException as error:
                        value, send = error, generator.throw

        else:

            def wrapped(*args, **kwargs):
                with fresh():
                    return function(*args, **kwargs)

        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(wrapped, name, getattr(function, name, None))
        wrapped.__dict__.update(getattr(function, "__dict__", {}))
        wrapped.__wrapped__ = function
        return wrapped

    def _fresh(self):
        return type(self)()


class no_grad(_Mode):
    """Nothing inside is recorded. Context manager and decorator.

    Example:
        >>> x = wg.ones(1, requires_grad=True)
        >>> with wg.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    __slots__ = ()

    def __new__(cls, function=None):
        mode = object.__new__(cls)
        return mode if function is None else mode(function)

    def __enter__(self):
        self._previous = _core._set_grad_enabled(False)

    def __exit__(self, *exception):
        _core._set_grad_enabled(self._previous)


class enable_grad(_Mode):
    """Everything inside is recorded again, inside a :class:`no_grad`.

    Example:
        >>> x = wg.ones(1, requires_grad=True)
        >>> with wg.no_grad(), wg.enable_grad():
        ...     y = x * 2
        >>> y.requires_grad
        True
    """

    __slots__ = ()

    def __new__(cls, function=None):
        mode = object.__new__(cls)
        return mode if function is None else mode(function)

    def __enter__(self):
        self._previous = _core._set_grad_enabled(True)

    def __exit__(self, *exception):
        _core._set_grad_enabled(self._previous)


class set_grad_enabled(_Mode):
    """Switches recording on or off, at once; as a context, until its end.

    Example:
        >>> _ = wg.set_grad_enabled(False)
        >>> wg.is_grad_enabled()
        False
        >>> _ = wg.set_grad_enabled(True)
    """

    __slots__ = ("mode",)

    def __init__(self, mode):
        if not isinstance(mode, bool):
            raise TypeError(
                f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}"
            )
        self.mode = mode
        self._previous = _core._set_grad_enabled(self.mode)

    def __call__(self, function):
        # As a decorator it only acts inside the function.
        _core._set_grad_enabled(self._previous)
        return _Mode.__call__(self, function)

    def _fresh(self):
        return set_grad_enabled(self.mode)

    def __enter__(self):
        _core._set_grad_enabled(self.mode)

    def __exit__(self, *exception):
        _core._set_grad_enabled(self._previous)


class inference_mode(_Mode):
    """Like no_grad, with results that may not be recorded later either.

    Example:
        >>> with wg.inference_mode():
        ...     y = wg.ones(1, requires_grad=True) * 2
        >>> y.requires_grad
        False
    """

    __slots__ = ("mode", "_grad")

    def __new__(cls, mode=True):
        if callable(mode):
            return cls()(mode)
        self = object.__new__(cls)
        self.mode = mode
        return self

    def _fresh(self):
        return inference_mode(self.mode)

    def __enter__(self):
        self._previous = _core._inference(self.mode)
        self._grad = _core._set_grad_enabled(not self.mode)

    def __exit__(self, *exception):
        _core._set_grad_enabled(self._grad)
        _core._inference(self._previous)
