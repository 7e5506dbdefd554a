"""The decorator that turns one definition into a function, a method and an in-place form.

Nothing here reads signatures: stubs come offline from the sources (tools/stubs.py), so that an
import stays a matter of milliseconds.
"""

import warnings

from .._core import Tensor, _write_out
from ._dims import ints
from ._late import KERNELS

REGISTRY = {}
"""Every composed function of the topics loaded so far (`load_all` loads the rest): its `key` → `Composed`."""

METHODS = {}
"""What those topics attach to Tensor: name → method. It stands there from its first use on (see `_late`)."""


def key(name, namespace=None):
    """Where the registry has a function: ``"name"`` or ``"namespace.name"``."""
    return f"{namespace}.{name}" if namespace else name


class Composed:
    """What was defined: the function and the forms that it has."""

    __slots__ = ("name", "call", "method", "inplace", "function", "namespace", "alias_of", "out", "over")

    def __init__(self, name, call, method, inplace, function, namespace, alias_of, out, over):
        self.name = name
        self.call = call
        self.method = method
        self.inplace = inplace
        self.function = function
        self.namespace = namespace
        self.alias_of = alias_of
        self.out = out
        self.over = over


def composed(
    *,
    method=True,
    inplace=False,
    function=True,
    out=False,
    namespace=None,
    aliases=(),
    keywords=None,
    over=False,
    starred=False,
    old_order=False,
):
    """Registers a definition whose first argument is the tensor.

    `method` attaches it to Tensor, `inplace` adds ``name_``, `function` exports it (from `namespace`
    if given), `out` lets callers pass ``out=`` of the result's dtype ("cast": of any that holds it),
    `aliases` are further names with the same forms, `keywords` further names of its arguments beside
    those that numpy has for them: ``{"sections": "indices_or_sections"}``. `over` puts it in the place of
    a kernel of that name, which takes fewer arguments and still serves the plain in-place form. `starred`
    lets the method take its ints one by one, as in ``x.flip(0, 1)``; `old_order` accepts PyTorch's deprecated
    ``addmm(beta, input, alpha, mat1, mat2)``.
    """

    def register(definition):
        call = _call(definition, out, keywords or {}, old_order)
        for name in (definition.__name__.rstrip("_"), *aliases):
            alias_of = None if name == definition.__name__.rstrip("_") else definition.__name__.rstrip("_")
            REGISTRY[key(name, namespace)] = Composed(
                name, call, method, inplace, function, namespace, alias_of, bool(out), over
            )
            if method:
                attach(name, _starred(name, call) if starred else call, over)
            if inplace:
                attach(name + "_", _inplace(name, call), over)
        return call

    return register


def attach(name, method, over=False):
    """Makes a topic's function Tensor's method, unless the core has a kernel of that name; `over` puts it over that."""
    if over or name not in KERNELS:
        METHODS[name] = method


def _inplace(name, call):
    kernel = KERNELS.get(name + "_")

    def inplace(self, *args, **kwargs):
        if kernel is not None and not args and not kwargs:
            return kernel(self)
        return self._assign_(call(self, *args, **kwargs))

    inplace.__name__ = inplace.__qualname__ = name + "_"
    inplace.__module__ = call.__module__
    inplace.__doc__ = f"In-place version of :func:`wengert.{name}`."
    return inplace


_STARRED, _STARRED_KEYWORDS = 0x04, 0x08  # inspect.CO_VARARGS and CO_VARKEYWORDS, without the import
_NUMPY = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def _spellings(definition, keywords):
    """Further keyword → parameter of the definition, numpy's among them."""
    code = definition.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if code.co_flags & _STARRED_KEYWORDS:
        return {**_NUMPY, **keywords}
    return {
        other: name
        for other, name in (*_NUMPY.items(), *keywords.items())
        if name in own and other not in own
    }


def _respelled(definition, keywords, args, kwargs):
    """Arguments under the definition's own names, or None where no other names were given.

    ``*dims`` may come by its name, too: ``x.repeat(repeats=(2,))``.
    """
    spellings = _spellings(definition, keywords)
    given = {spellings.get(name, name): value for name, value in kwargs.items()}
    if len(given) < len(kwargs):
        return None
    code = definition.__code__
    starred = None
    if code.co_flags & _STARRED:
        starred = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
    if starred in given:
        before = code.co_varnames[len(args) : code.co_argcount]
        if len(args) > code.co_argcount or not all(name in given for name in before):
            return None
        args = (*args, *(given.pop(name) for name in before), given.pop(starred))
    elif given.keys() == kwargs.keys():
        return None
    return args, given


def _reordered(definition, args, kwargs):
    """The arguments of ``addmm(beta, input, alpha, mat1, mat2)``, ``input.addmm(beta, mat1, mat2)`` and the like."""
    tensors = tuple(a for a in args if isinstance(a, Tensor))
    places = tuple(i for i, a in enumerate(args) if not isinstance(a, Tensor))
    if len(tensors) != definition.__code__.co_argcount or places not in ((0,), (0, 2), (1,), (1, 2)):
        return None
    numbers = dict(zip(("beta", "alpha"), (args[i] for i in places), strict=False))
    name = definition.__name__
    first, second, third = definition.__code__.co_varnames[:3]
    warnings.warn(
        f"This overload of {name} is deprecated; consider using "
        f"{name}({first}, {second}, {third}, *, beta=1, alpha=1) instead.",
        stacklevel=4,
    )
    return tensors, {**numbers, **kwargs}


# What every definition calls an argument that is a tensor.
_TENSORS = frozenset(("input", "other", "index", "y", "A", "B", "vec2", "mat1", "mat2", "batch1", "batch2"))


def _check_tensors(definition, args, kwargs):
    """PyTorch's error for an argument that is no tensor, and so lacks what tensors have."""
    code = definition.__code__
    given = zip(code.co_varnames[: code.co_argcount], args, strict=False)
    for position, (name, value) in enumerate((*given, *kwargs.items())):
        if name in _TENSORS and not isinstance(value, Tensor):
            raise TypeError(
                f"{definition.__name__}(): argument '{name}' (position {position + 1}) must be Tensor, "
                f"not {type(value).__name__}"
            ) from None


def _call(definition, out, keywords, old_order):
    """The definition with ``out=`` where it has it; other spellings are looked at only where the plain call fails."""
    cast = out == "cast"

    def call(*args, **kwargs):
        try:
            return definition(*args, **kwargs)
        except AttributeError:
            _check_tensors(definition, args, kwargs)
            raise
        except TypeError:
            again = _respelled(definition, keywords, args, kwargs) if kwargs else None
            if again is None and old_order:
                again = _reordered(definition, args, kwargs)
            if again is None:
                _check_tensors(definition, args[:1], {})
                raise
        return call(*again[0], **again[1])

    if out:
        plain = call

        def call(*args, out=None, **kwargs):
            result = plain(*args, **kwargs)
            return result if out is None else _write_out(definition.__name__, out, result, cast)

    call.__name__ = definition.__name__
    call.__qualname__ = definition.__qualname__
    call.__doc__ = definition.__doc__
    call.__module__ = definition.__module__
    call.__wrapped__ = definition
    return call


def _starred(name, call):
    """The method that takes ints one by one, or a sequence of them."""

    def method(self, *dims, **named):
        return call(self, ints("dims", dims), **named) if dims else call(self, **named)

    method.__name__ = method.__qualname__ = name
    method.__module__ = call.__module__
    method.__doc__ = call.__doc__
    return method


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
