"""Composed functions by topic. A topic registers its definitions (see `_compose`) when it loads, on first use of one
of them (see `_late`).
"""


def load_all():
    """Loads every topic and returns the registry, which is then whole: for tests and tools that enumerate it."""
    from importlib import import_module
    from pkgutil import iter_modules

    from ._compose import REGISTRY

    for found in iter_modules(__path__, __name__ + "."):
        import_module(found.name)
    return REGISTRY
