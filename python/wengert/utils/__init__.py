"""Helpers around training: data loading and hook handles. Each loads on first use."""

__all__ = ["data", "hooks"]


def __getattr__(name):
    if name in __all__:
        from importlib import import_module

        return import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
