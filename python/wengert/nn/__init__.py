"""Neural networks: modules, their functional forms, initialisation and parameter helpers."""

from . import functional, init, modules, parallel, parameter, utils
from .modules import *  # noqa: F403
from .modules import __all__ as _modules
from .parallel import DataParallel
from .parameter import Buffer, Parameter

__all__ = [
    *_modules,
    "Buffer",
    "DataParallel",
    "Parameter",
    "functional",
    "init",
    "modules",
    "parallel",
    "parameter",
    "utils",
]


def __getattr__(name):
    raise AttributeError(f"wengert has no nn.{name} yet (module 'wengert.nn' has no attribute {name!r})")
