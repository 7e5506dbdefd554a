"""Helpers around training: data loading, recomputation and hook handles. Each loads on first use."""

__all__ = ["checkpoint", "data", "hooks"]


def __getattr__(name):
    if name in __all__:
        from importlib import import_module

        return import_module("." + name, __name__)
    raise AttributeError(f"wengert has no utils.{name} yet")
