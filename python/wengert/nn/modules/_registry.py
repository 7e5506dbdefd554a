"""The dictionaries in which a Module keeps its parameters, buffers and submodules."""

import weakref


class Registry(dict):
    """A dict whose entries also stand in the owner's instance `__dict__`.

    Attribute reads of parameters and submodules are then plain instance lookups, with no
    `__getattr__` in the way, while code that writes `module._parameters[name]` still works.
    The owner is held weakly: a module is freed the moment its last user drops it.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner, items=()):
        super().__init__(items)
        self._owner = weakref.ref(owner)
        owner.__dict__.update(self)

    def _attributes(self):
        owner = self._owner()
        return {} if owner is None else owner.__dict__

    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        self._attributes()[name] = value

    def __delitem__(self, name):
        super().__delitem__(name)
        self._attributes().pop(name, None)

    def pop(self, name, *default):
        value = super().pop(name, *default)
        self._attributes().pop(name, None)
        return value

    def popitem(self):
        name, value = super().popitem()
        self._attributes().pop(name, None)
        return name, value

    def clear(self):
        attributes = self._attributes()
        for name in self:
            attributes.pop(name, None)
        super().clear()

    def setdefault(self, name, default=None):
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args, **kwargs):
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def __reduce_ex__(self, protocol):
        # Copies and pickles are plain dicts; Module.__setstate__ gives them their owner.
        return dict, (dict(self),)
