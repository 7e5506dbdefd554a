"""Optimizer: parameter groups, state and state dicts. Subclasses say what one step does to a group."""

import warnings
from collections import OrderedDict, defaultdict
from functools import wraps

from wengert import _core
from wengert._core import Tensor, _set_grad_enabled, _zero_grad

from ..utils.hooks import RemovableHandle


class _Required:
    def __repr__(self):
        return "<required parameter>"


required = _Required()

_HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def _split_names(params):
    """Parameters and, where every entry is a (name, parameter) pair, their names."""
    names = [p[0] for p in params if isinstance(p, tuple)]
    tensors = [p[1] if isinstance(p, tuple) else p for p in params]
    if names and len(names) != len(tensors):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return tensors, names


def _hooked(step):
    """A subclass's own `step` that runs the hooks and tells schedules of itself, as the inherited one does."""

    @wraps(step)
    def hooked(*args, **kwargs):
        return _step_with_hooks(step, args, kwargs)

    hooked._tells_schedules = True
    return hooked


def _step_with_hooks(step, args, kwargs):
    """step(*args, **kwargs) between its hooks, which a step within it (`super().step()`) does not run again."""
    self = args[0]
    self._opt_called = True
    if self._stepping:
        return step(*args, **kwargs)
    for hook in list(self._optimizer_step_pre_hooks.values()):
        changed = hook(self, args, kwargs)
        if changed is not None:
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
            args, kwargs = changed
    self._stepping = True
    try:
        result = step(*args, **kwargs)
    finally:
        del self._stepping
    for hook in list(self._optimizer_step_post_hooks.values()):
        hook(self, args, kwargs)
    return result


class Optimizer:
    """Base of all optimizers.

    Args:
        params: tensors, (name, tensor) pairs, or dicts with "params" and options of that group.
        defaults: the options of groups that do not give their own.

    Subclasses define `_update(group)`, or `step` itself.
    """

    _opt_called = False
    _stepping = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in vars(cls):
            cls.step = _hooked(vars(cls)["step"])

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._make_hooks()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be "
                f"an iterable of Tensors or dicts, but got {type(params).__name__}"
            )
        if isinstance(params, set):
            warnings.warn(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors "
                "in sets will change between runs. Please use a list instead.",
                FutureWarning,
                stacklevel=3,
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        params = list(params)
        if not params:
            raise ValueError("optimizer got an empty parameter list")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def _make_hooks(self):
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._make_hooks()

    def __repr__(self):
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
        return text + ")"

    def add_param_group(self, param_group):
        """Add a dict with "params" and, if they differ from the defaults, options."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but "
                "the ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params, names = _split_names([params] if isinstance(params, Tensor) else list(params))
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}"
                )
            if not (param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            param_group.setdefault(name, default)
        present = {id(p) for p in params}
        if len(present) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; "
                "each would be stepped more than once",
                stacklevel=3,
            )
        for group in self.param_groups:
            if ("param_names" in group) != ("param_names" in param_group):
                raise ValueError("all optimizer param groups should be with/without names.")
            if any(id(p) in present for p in group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none=True):
        """Forget the gradients of all parameters, or with `set_to_none=False` zero them.

        Example:
            >>> import wengert as wg
            >>> w = wg.ones(2, requires_grad=True)
            >>> w.sum().backward()
            >>> wg.optim.SGD([w]).zero_grad()
            >>> w.grad is None
            True
        """
        for group in self.param_groups:
            _zero_grad(group["params"], set_to_none)

    def step(self, closure=None):
        """Update the parameters once by their gradients.

        Args:
            closure: computes the loss and its gradients anew; its result is returned.
        """
        if self._optimizer_step_pre_hooks or self._optimizer_step_post_hooks:
            return _step_with_hooks(Optimizer._step, (self,) if closure is None else (self, closure), {})
        self._opt_called = True
        return self._step(closure)

    step._tells_schedules = True

    def _watch_own_step(self):
        """Let a `step` that this one instance was given tell schedules of itself, too."""
        step = vars(self).get("step")
        if step is None or hasattr(step, "_tells_schedules"):
            return

        @wraps(step)
        def watched(*args, **kwargs):
            self._opt_called = True
            return step(*args, **kwargs)

        watched._tells_schedules = True
        self.step = watched

    def _step(self, closure=None):
        loss = None
        if closure is not None:
            previous = _set_grad_enabled(True)
            try:
                loss = closure()
            finally:
                _set_grad_enabled(previous)
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group):
        raise RuntimeError(f"{type(self).__name__} defines neither step() nor _update()")

    # -- state dicts --------------------------------------------------------------------------

    def state_dict(self):
        """Groups and state with parameters replaced by their numbers.

        Example:
            >>> import wengert as wg
            >>> wg.optim.SGD([wg.ones(2, requires_grad=True)], lr=0.1).state_dict()["state"]
            {}
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers = {}
        groups = []
        for group in self.param_groups:
            for param in group["params"]:
                numbers.setdefault(id(param), len(numbers))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict):
        """Take over groups' options and state from what `state_dict()` gave."""
        from copy import deepcopy

        state_dict = dict(state_dict)
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        params = {}
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            if len(group["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
                )
            params.update(zip(saved["params"], group["params"], strict=True))
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key]] = _fit(value, params[key])
            else:
                state[key] = value
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # -- hooks --------------------------------------------------------------------------------

    def _register(self, hooks, hook, prepend=False):
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` before each step."""
        return self._register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return self._register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` before `state_dict`."""
        return self._register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` after `state_dict`; what it returns, if anything, replaces it."""
        return self._register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Call `hook(optimizer, state_dict)` before loading; what it returns, if anything, is loaded instead."""
        return self._register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Call `hook(optimizer)` after loading."""
        return self._register(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _fit(value, param, key=None):
    """A loaded state's tensors with the parameter's dtype and device; the step count keeps its own."""
    if isinstance(value, Tensor):
        if key == "step":
            return value
        value = value.to(param.device)
        return value.to(param.dtype) if param.is_floating_point() else value
    if isinstance(value, dict):
        return {k: _fit(v, param, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fit(v, param) for v in value)
    return value


def check_options(name, foreach, fused, differentiable):
    """Refuse what would change results; foreach and fused only choose a way, and here there is one."""
    if differentiable:
        raise ValueError(
            f"{name}(): differentiable=True is not supported; write the update as tensor operations"
        )
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def step_count():
    """A fresh `step` tensor of a parameter's state."""
    double = _core.get_default_dtype() == _core.float64
    return _core.tensor(0.0, dtype=_core.float64 if double else _core.float32)
