"""The decorator that turns one definition into a function, a method and an in-place form.

Nothing here reads signatures: stubs come offline from the sources (tools/stubs.py), so that an
import stays a matter of milliseconds.
"""

from .._core import Tensor, _write_out

REGISTRY = {}
"""Every composed function: ``"name"`` or ``"namespace.name"`` → `Composed`. Tests enumerate it."""


class Composed:
    """What was defined: the function and the forms that it has."""

    __slots__ = ("name", "call", "method", "inplace", "function", "namespace", "alias_of")

    def __init__(self, name, call, method, inplace, function, namespace, alias_of):
        self.name = name
        self.call = call
        self.method = method
        self.inplace = inplace
        self.function = function
        self.namespace = namespace
        self.alias_of = alias_of


def composed(*, method=True, inplace=False, function=True, out=False, namespace=None, aliases=()):
    """Registers a definition whose first argument is the tensor.

    `method` attaches it to Tensor, `inplace` adds ``name_``, `function` exports it (from `namespace`
    if given), `out` lets callers pass ``out=`` of the result's dtype ("cast": of any that holds it),
    `aliases` are further names with the same forms.
    """

    def register(definition):
        call = _with_out(definition, out == "cast") if out else definition
        for name in (definition.__name__.rstrip("_"), *aliases):
            key = f"{namespace}.{name}" if namespace else name
            alias_of = None if name == definition.__name__.rstrip("_") else definition.__name__.rstrip("_")
            REGISTRY[key] = Composed(name, call, method, inplace, function, namespace, alias_of)
            if method:
                _attach(name, call)
            if inplace:
                _attach(name + "_", _inplace(name, call))
        return call

    return register


def _attach(name, call):
    # A kernel of the core wins over a composition of the same name.
    if name not in Tensor.__dict__:
        setattr(Tensor, name, call)


def _inplace(name, call):
    def inplace(self, *args, **kwargs):
        return self._assign_(call(self, *args, **kwargs))

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__doc__ = f"In-place version of :func:`wengert.{name}`."
    return inplace


def _with_out(definition, cast):
    def call(*args, out=None, **kwargs):
        result = definition(*args, **kwargs)
        return result if out is None else _write_out(definition.__name__, out, result, cast)

    call.__name__ = definition.__name__
    call.__qualname__ = definition.__qualname__
    call.__doc__ = definition.__doc__
    call.__module__ = definition.__module__
    call.__wrapped__ = definition
    return call


class Results(tuple):
    """A tuple of tensors with names for its parts, printed as PyTorch prints them."""

    __slots__ = ()
    _fields = ()
    _name = ""

    def __new__(cls, *parts):
        return tuple.__new__(cls, parts)

    def __getnewargs__(self):
        return tuple(self)

    def __repr__(self):
        parts = ",\n".join(f"{name}={part!r}" for name, part in zip(self._fields, self, strict=True))
        return f"torch.return_types.{self._name}(\n{parts})"


def results(name, *fields):
    """A class of named results, like `torch.return_types`."""
    body = {"__slots__": (), "_fields": fields, "_name": name, "__module__": __name__}
    for position, field in enumerate(fields):
        body[field] = property(lambda self, position=position: self[position])
    cls = type(name, (Results,), body)
    return cls
