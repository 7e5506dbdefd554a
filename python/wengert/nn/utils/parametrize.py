"""Parametrizations: a module's tensor computed, by modules, from another that is trained in its place."""

from contextlib import contextmanager, suppress

from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad

from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_CACHE = {"depth": 0, "values": {}}


@contextmanager
def cached():
    """Within it each parametrized tensor is computed once.

    Example:
        >>> parametrize = wg.nn.utils.parametrize
        >>> layer = wg.nn.utils.parametrizations.weight_norm(wg.nn.Linear(2, 2))
        >>> with parametrize.cached():
        ...     layer.weight is layer.weight
        True
    """
    _CACHE["depth"] += 1
    try:
        yield
    finally:
        _CACHE["depth"] -= 1
        if not _CACHE["depth"]:
            _CACHE["values"] = {}


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in turn, and what they start from: `original`, or `original0` and on.

    Args:
        modules: the parametrizations, the first of which may take several tensors.
        original: the tensor as it was; `right_inverse` of the modules gives what to start from.
        unsafe: take new shapes and dtypes as they come.

    Raises:
        ValueError: if the parametrized tensor has another shape or dtype.
    """

    def __init__(self, modules, original, unsafe=False):
        modules = list(modules)
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        start = original
        with no_grad():
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    # One that cannot be inverted starts from the tensor itself.
                    with suppress(NotImplementedError):
                        start = module.right_inverse(start)
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if self.is_tensor:
            # The parameter stays itself, for optimizers that hold it.
            if isinstance(original, Parameter) and start.shape == original.shape:
                with no_grad():
                    original.data = start.detach()
                self.original = original
            else:
                self._hold("original", start, original)
        else:
            for i, tensor in enumerate(start):
                self._hold(f"original{i}", tensor, original)
        if not unsafe:
            self._check(original)

    def _hold(self, name, tensor, like):
        if isinstance(like, Parameter):
            setattr(self, name, Parameter(tensor.detach(), like.requires_grad))
        else:
            self.register_buffer(name, tensor)

    def _check(self, original):
        with no_grad():
            now = self()
        if not isinstance(now, Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {type(now).__name__}.")
        if now.dtype != original.dtype or now.shape != original.shape:
            raise ValueError(
                "Registering a parametrization may not change the dtype or shape of the tensor, unless `unsafe` "
                f"is set: from {original.dtype} {tuple(original.shape)} to {now.dtype} {tuple(now.shape)}"
            )

    def _originals(self):
        if self.is_tensor:
            return (self.original,)
        return tuple(getattr(self, f"original{i}") for i in range(self.ntensors))

    @no_grad()
    def right_inverse(self, value):
        """Sets what the tensor is computed from so that it becomes `value`."""
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(
                    f"parametrization {type(module).__name__} does not implement right_inverse."
                )
            value = module.right_inverse(value)
        values = (value,) if self.is_tensor else tuple(value)
        for original, new in zip(self._originals(), values, strict=True):
            original.data = new.detach()

    def forward(self):
        modules = iter(self)
        value = next(modules)(*self._originals())
        for module in modules:
            value = module(value)
        return value


def _property(name):
    def get(self):
        if not _CACHE["depth"]:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _CACHE["values"]:
            _CACHE["values"][key] = self.parametrizations[name]()
        return _CACHE["values"][key]

    def set(self, value):
        self.parametrizations[name].right_inverse(value)

    return property(get, set)


def _module_setattr(self, name, value):
    # A property of the class wins over the module's registries.
    if isinstance(getattr(type(self), name, None), property):
        object.__setattr__(self, name, value)
    else:
        Module.__setattr__(self, name, value)


def _parametrized_class(cls):
    def deepcopy(self, memo):
        from copy import deepcopy as copy

        known = memo.get(id(self))
        if known is None:
            known = memo[id(self)] = object.__new__(type(self))
            known.__setstate__(copy(self.__getstate__(), memo))
            # Its properties are its own to remove.
            fresh = _parametrized_class(cls)
            for name in known.parametrizations:
                setattr(fresh, name, _property(name))
            known.__class__ = fresh
        return known

    def getstate(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(): save that instead"
        )

    body = {
        "__setattr__": _module_setattr,
        "__deepcopy__": deepcopy,
        "__reduce_ex__": lambda s, p: getstate(s),
    }
    return type(f"Parametrized{cls.__name__}", (cls,), {**body, "_parametrized_from": cls})


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Computes a module's parameter or buffer by `parametrization`, a module, from now on.

    What it is computed from stands in `module.parametrizations.<name>.original`. A `right_inverse` method of the
    parametrization says what to start from, and makes assigning to the tensor work.

    Returns:
        The module.

    Raises:
        ValueError: if the module has no such tensor, or the parametrization changes its shape or dtype
            (unless `unsafe`).

    Example:
        >>> class Symmetric(wg.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).mT
        >>> layer = wg.nn.Linear(3, 3)
        >>> layer = wg.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
        >>> layer.weight.equal(layer.weight.T)
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        before = getattr(module, tensor_name).detach()
        inner = module.parametrizations[tensor_name]
        if not unsafe:
            with no_grad():
                after = parametrization(before)
            if after.shape != before.shape or after.dtype != before.dtype:
                raise ValueError(
                    "Registering a parametrization may not change the dtype or shape of the tensor, unless "
                    f"`unsafe` is set: from {tuple(before.shape)} to {tuple(after.shape)}"
                )
        inner.append(parametrization)
        inner.unsafe |= unsafe
        return module
    registry = next((r for r in (module._parameters, module._buffers) if tensor_name in r), None)
    if registry is None:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    original = registry[tensor_name]
    made = ParametrizationList([parametrization], original, unsafe)
    del registry[tensor_name]
    if not is_parametrized(module):
        module.__class__ = _parametrized_class(type(module))
        module.parametrizations = ModuleDict()
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = made
    return module


def is_parametrized(module, tensor_name=None):
    """Whether a module has parametrizations, or one of that tensor.

    Example:
        >>> wg.nn.utils.parametrize.is_parametrized(wg.nn.Linear(1, 1))
        False
    """
    parametrizations = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return bool(len(parametrizations)) if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Makes the tensor a plain one again: as computed, or with `leave_parametrized=False` as it was before.

    Example:
        >>> layer = wg.nn.utils.parametrizations.weight_norm(wg.nn.Linear(2, 2))
        >>> layer = wg.nn.utils.parametrize.remove_parametrizations(layer, "weight")
        >>> sorted(layer.state_dict())
        ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if not leave_parametrized and not chain.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    original = chain._originals()[0]
    value = original
    if leave_parametrized:
        with no_grad():
            computed = chain().detach()
        if chain.is_tensor and isinstance(original, Parameter) and computed.shape == original.shape:
            original.data = computed
        elif isinstance(original, Parameter):
            value = Parameter(computed, original.requires_grad)
        else:
            value = computed
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(value, Parameter):
        module.register_parameter(tensor_name, value)
    else:
        module.register_buffer(tensor_name, value)
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = type(module)._parametrized_from
    return module


def type_before_parametrizations(module):
    """The module's class without its parametrizations.

    Example:
        >>> layer = wg.nn.utils.parametrizations.weight_norm(wg.nn.Linear(2, 2))
        >>> wg.nn.utils.parametrize.type_before_parametrizations(layer).__name__
        'Linear'
    """
    return type(module)._parametrized_from if is_parametrized(module) else type(module)
