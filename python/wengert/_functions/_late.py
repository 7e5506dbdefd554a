"""Topics load on first use. Until then their functions are names in `_index`, and their methods stand-ins in Tensor.

`_index` says which topic defines what; tools/stubs.py writes it from the registry.
"""

from .._core import Tensor
from ._index import FUNCTIONS, METHODS

KERNELS = dict(vars(Tensor))
"""What Tensor has from the core, before anything is attached to it."""


def load(topic):
    """Imports a topic; where another thread is importing it, this waits until it is whole."""
    from importlib import import_module

    import_module("." + topic, __package__)


def function(name, namespace=None):
    """The composed function ``wengert.name``, or ``wengert.namespace.name``."""
    from ._compose import REGISTRY, key

    load(FUNCTIONS[namespace][name])
    return REGISTRY[key(name, namespace)].call


class StandIn:
    """Has a method's place in Tensor until the method is first asked for, on a tensor or on the class.

    It is only then that the method takes the place, and not when its topic loads: so no thread meets a method whose
    topic is half loaded, and what a program has put into the place meanwhile stays.
    """

    __slots__ = ("name", "topic")

    def __init__(self, name, topic):
        self.name = name
        self.topic = topic

    def __get__(self, instance, owner=None):
        from ._compose import METHODS

        load(self.topic)
        method = METHODS[self.name]
        if vars(Tensor).get(self.name) is self:
            setattr(Tensor, self.name, method)
        return method.__get__(instance, owner)


def stand_in():
    """Puts stand-ins into Tensor for all methods of topics; also over kernels, where a composition is to win."""
    for name, topic in METHODS.items():
        setattr(Tensor, name, StandIn(name, topic))
