"""Module: the base class of everything that has parameters and a forward."""

from collections import OrderedDict

from wengert import _core
from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad

from ..parameter import Buffer, Parameter
from ._hooks import HooksMixin
from ._registry import Registry
from ._state_dict import StateDictMixin

_REGISTRIES = ("_parameters", "_buffers", "_modules")
_HOOKS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _type_name(value):
    from wengert import typename

    return typename(value)


def _indent(text):
    return text.replace("\n", "\n  ")


def _parse_to(args, kwargs):
    """Device and dtype out of the arguments of `Module.to`."""
    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    unknown = set(kwargs) - {"device", "dtype", "non_blocking", "memory_format", "tensor"}
    if unknown:
        raise TypeError(f"to() received an invalid keyword argument: {sorted(unknown)[0]!r}")
    for value in (*args, *([kwargs["tensor"]] if "tensor" in kwargs else [])):
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, _core.dtype):
            dtype = value
        elif isinstance(value, (str, _core.device)):
            device = value
        elif value is not None and not isinstance(value, bool):
            raise TypeError(f"to() takes a device, a dtype or a tensor, but got {_type_name(value)}")
    if dtype is not None and not dtype.is_floating_point:
        raise TypeError(
            f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
        )
    return device, dtype


def _replace_data(param, fn):
    """The parameter with data and gradient replaced by `fn` of them: a new one only where memory comes or goes."""
    grad, data = param.grad, fn(param.data)
    if data.is_meta == param.is_meta:
        param.data = data
        if grad is not None:
            changed = fn(grad)
            # Between the two assignments the gradient fits neither dtype nor device, so it is away.
            param.grad, grad.data = None, changed
            param.grad = grad
        return param
    moved = Tensor._make_subclass(type(param), data, param.requires_grad)
    if grad is not None:
        moved.grad = fn(grad)
    return moved


class _CallSignature:
    """The signature of a module's call, which `inspect` does not find by itself: `_Forwards` is built in."""

    def __get__(self, module, kind):
        if module is None:
            raise AttributeError("__signature__")
        from inspect import Parameter, Signature

        return Signature(
            [Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)]
        )


class Module(HooksMixin, StateDictMixin, _core._Forwards):
    """Base class of all networks: assign parameters and submodules as attributes, define `forward`.

    Parameters, buffers and submodules stand in the registries `_parameters`, `_buffers` and
    `_modules`, and beside that in the instance itself, so that reading one is a plain attribute.

    Example:
        >>> import wengert as wg
        >>> from wengert import nn
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.hidden = nn.Linear(2, 3)
        ...         self.out = nn.Linear(3, 1)
        ...     def forward(self, x):
        ...         return self.out(self.hidden(x).relu())
        >>> sum(p.numel() for p in Net().parameters())
        13
    """

    _version = 1
    training: bool
    call_super_init = False
    __signature__ = _CallSignature()

    def __init__(self, *args, **kwargs):
        if not self.call_super_init and kwargs:
            name = next(iter(kwargs))
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{name}'")
        if not self.call_super_init and args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        attributes = self.__dict__
        attributes["training"] = True
        for name in _REGISTRIES:
            attributes[name] = Registry(self)
        attributes["_non_persistent_buffers_set"] = set()
        for name in _HOOKS:
            attributes[name] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args):
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # -- attributes ---------------------------------------------------------------------------

    def __setattr__(self, name, value):
        attributes = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in attributes:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            if "_modules" not in attributes:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_modules")
            self._modules[name] = value
            return
        if name in attributes and "_modules" in attributes:
            if name in self._parameters:
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{_type_name(value)}' as parameter '{name}' "
                        "(torch.nn.Parameter or None expected)"
                    )
                self._parameters[name] = None
                return
            if name in self._modules:
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{_type_name(value)}' as child module '{name}' "
                        "(torch.nn.Module or None expected)"
                    )
                self._modules[name] = None
                return
            if name in self._buffers and not isinstance(value, Buffer):
                if value is not None and not isinstance(value, Tensor):
                    raise TypeError(
                        f"cannot assign '{_type_name(value)}' as buffer '{name}' "
                        "(torch.nn.Buffer, torch.Tensor or None expected)"
                    )
                self._buffers[name] = value
                return
        if isinstance(value, Buffer):
            if "_buffers" not in attributes:
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            self._forget(name, "_buffers")
            self.register_buffer(name, value, value.persistent)
            return
        object.__setattr__(self, name, value)

    def _forget(self, name, keep):
        """Free `name` for a new entry of the registry `keep`, in which an old entry may stay."""
        for registry in _REGISTRIES:
            if registry != keep:
                self.__dict__[registry].pop(name, None)
        if name not in self.__dict__[keep]:
            self.__dict__.pop(name, None)
        if keep != "_buffers":
            self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name):
        # Reached only where the instance and its class lack the name: as after a foreign __setstate__.
        for registry in _REGISTRIES:
            entries = self.__dict__.get(registry)
            if entries is not None and name in entries:
                return entries[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name):
        for registry in _REGISTRIES:
            entries = self.__dict__.get(registry, ())
            if name in entries:
                del entries[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__}
        return sorted(name for name in names if not name[0].isdigit())

    def __getstate__(self):
        state = self.__dict__.copy()
        for registry in _REGISTRIES:
            entries = state.get(registry, {})
            for name in entries:
                state.pop(name, None)
            state[registry] = dict(entries)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        for registry in _REGISTRIES:
            self.__dict__[registry] = Registry(self, self.__dict__.get(registry, {}))
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())

    # -- registering --------------------------------------------------------------------------

    def _check_name(self, kind, name, registry):
        if registry not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_type_name(name)}")
        if "." in name:
            detail = f", got: {name}" if kind == "module" else ""
            raise KeyError(f'{kind} name can\'t contain "."{detail}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self.__dict__[registry]:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name, param):
        """Add the Parameter (or None) `param` as `self.name`."""
        self._check_name("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_name(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name, tensor, persistent=True):
        """Add a tensor that belongs to the module's state but is not trained.

        Args:
            persistent: whether it stands in the state_dict.
        """
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name, module):
        """Add the submodule (or None) `module` as `self.name`."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = module

    def register_module(self, name, module):
        """Alias of `add_module`."""
        self.add_module(name, module)

    # -- looking up ---------------------------------------------------------------------------

    def get_submodule(self, target):
        """The submodule at the dotted path `target`."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def _get_entry(self, target, registry, kind):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if name not in module.__dict__[registry]:
            raise AttributeError(f"`{name}` is not {kind}")
        return module.__dict__[registry][name]

    def get_parameter(self, target):
        """The parameter at the dotted path `target`."""
        return self._get_entry(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target):
        """The buffer at the dotted path `target`."""
        return self._get_entry(target, "_buffers", "a buffer")

    def set_submodule(self, target, module, strict=False):
        """Put `module` at the dotted path `target`; with `strict` there must be one already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        if not isinstance(getattr(parent, name, module), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    # -- walking ------------------------------------------------------------------------------

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Pairs of dotted path and module, this one first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = prefix + ("." if prefix else "") + name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate=True):
        """All modules of the tree, this one first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self):
        """Pairs of name and direct submodule."""
        memo = set()
        for name, module in self._modules.items():
            if module is not None and module not in memo:
                memo.add(module)
                yield name, module

    def children(self):
        """The direct submodules."""
        for _, module in self.named_children():
            yield module

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        memo = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, value in get_members_fn(module):
                if value is None or value in memo:
                    continue
                if remove_duplicate:
                    memo.add(value)
                yield path + ("." if path else "") + name, value

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of dotted path and parameter."""
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """All parameters of the tree, each once."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs of dotted path and buffer."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """All buffers of the tree, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # -- changing -----------------------------------------------------------------------------

    def apply(self, fn):
        """Call `fn` on every submodule, then on this module.

        Example:
            >>> import wengert as wg
            >>> net = wg.nn.Linear(2, 2).apply(lambda m: wg.nn.init.zeros_(m.bias))
            >>> net.bias.tolist()
            [0.0, 0.0]
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn, recurse=True):
        """Replace the data of every parameter, gradient and buffer by `fn` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for name, param in self._parameters.items():
                if param is not None:
                    self._parameters[name] = _replace_data(param, fn)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self, *args, **kwargs):
        """Move to a device and/or cast the floating-point parameters and buffers to a dtype, in place.

        Example:
            >>> import wengert as wg
            >>> wg.nn.Linear(1, 1).to(wg.float64).weight.dtype == wg.float64
            True
        """
        device, dtype = _parse_to(args, kwargs)

        def convert(tensor):
            if tensor.is_meta and device is not None and _core.device(device).type != "meta":
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of "
                    "torch.nn.Module.to() when moving module from meta to a different device."
                )
            if dtype is not None and tensor.is_floating_point():
                tensor = tensor.to(dtype)
            return tensor if device is None else tensor.to(device)

        return self._apply(convert)

    def _cast(self, dtype):
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def type(self, dst_type):
        """Cast all parameters and buffers to the dtype `dst_type`."""
        return self._apply(lambda t: t.to(dst_type))

    def float(self):
        """Cast floating-point parameters and buffers to float32."""
        return self._cast(_core.float32)

    def double(self):
        """Cast floating-point parameters and buffers to float64."""
        return self._cast(_core.float64)

    def half(self):
        """Cast floating-point parameters and buffers to float16."""
        return self._cast(_core.float16)

    def bfloat16(self):
        """Cast floating-point parameters and buffers to bfloat16."""
        return self._cast(_core.bfloat16)

    def cpu(self):
        """Move all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device=None):
        """Move all parameters and buffers to a CUDA device, where there is one."""
        where = "cuda" if device is None else (f"cuda:{device}" if isinstance(device, int) else device)
        return self._apply(lambda t: t.to(where))

    def to_empty(self, *, device, recurse=True):
        """Move to a device without copying the values."""
        return self._apply(lambda t: _core.empty_like(t, device=device), recurse=recurse)

    def train(self, mode=True):
        """Set the training mode of the whole tree, on which Dropout and BatchNorm depend."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set whether the parameters collect gradients."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Forget (or zero) the gradients of all parameters."""
        _core._zero_grad(list(self.parameters()), set_to_none)

    # -- printing -----------------------------------------------------------------------------

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """What stands between the parentheses of the repr."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        lines = [f"({name}): {_indent(repr(module))}" for name, module in self._modules.items()]
        if len(extra_lines) == 1 and not lines:
            return f"{self._get_name()}({extra})"
        lines = extra_lines + lines
        if not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"
