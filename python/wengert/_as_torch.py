"""wengert under the name torch: `import torch.nn as nn` then finds `wengert.nn`."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec

_NAME = "torch"
_OURS = __name__.rpartition(".")[0]


class _Loader:
    """Gives the import system a module that exists already."""

    def __init__(self, module):
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        # The import system has put the alias's spec on the module: it keeps its own.
        module.__spec__ = self.spec


class _Finder:
    """Finds torch and its submodules among wengert's."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != _NAME and not name.startswith(_NAME + "."):
            return None
        ours = _OURS + name[len(_NAME) :]
        try:
            module = import_module(ours)
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith(_OURS):
                raise
            raise ModuleNotFoundError(f"wengert has no {name} yet", name=name) from None
        return ModuleSpec(name, _Loader(module), is_package=hasattr(module, "__path__"))


def install_as_torch():
    """Makes `import torch`, and imports of its submodules, give wengert, in this process from now on.

    What is missing raises AttributeError or ImportError saying so. Raises RuntimeError if PyTorch itself
    has been imported already.
    """
    present = sys.modules.get(_NAME)
    if present is not None and present is not sys.modules[_OURS]:
        raise RuntimeError(
            "install_as_torch: torch is imported already; call install_as_torch() before `import torch`"
        )
    if not any(finder is _Finder for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder)
    sys.modules[_NAME] = sys.modules[_OURS]
