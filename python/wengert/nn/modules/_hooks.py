"""The part of Module that runs hooks around forward and backward."""

from wengert._core import Tensor

from ...utils.hooks import RemovableHandle


def _tensors_to_identity(values, observe):
    """Pass the tensors among `values` through one identity node whose backward shows `observe` all gradients."""
    from wengert.autograd import Function

    class ModuleHook(Function):
        @staticmethod
        def forward(ctx, *tensors):
            return tuple(t.view_as(t) for t in tensors)

        @staticmethod
        def backward(ctx, *grads):
            return observe(grads)

    where = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if not any(values[i].requires_grad for i in where):
        return values
    made = ModuleHook.apply(*(values[i] for i in where))
    values = list(values)
    for i, tensor in zip(where, made, strict=True):
        values[i] = tensor
    return tuple(values)


class HooksMixin:
    """Forward and backward hooks. A module without hooks never enters this code when it is called."""

    _hooked = False

    def _add_hook(self, hooks, hook, prepend=False, marks=()):
        handle = RemovableHandle(hooks, extra_dict=[*marks])
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        for mark in marks:
            mark[handle.id] = True
        self.__dict__["_hooked"] = True
        return handle

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call `hook(module, args)` before forward; what it returns, if anything, replaces the arguments."""
        marks = [self._forward_pre_hooks_with_kwargs] if with_kwargs else []
        return self._add_hook(self._forward_pre_hooks, hook, prepend, marks)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call `hook(module, args, output)` after forward; what it returns, if anything, replaces the output.

        Example:
            >>> import wengert as wg
            >>> layer = wg.nn.Linear(2, 3)
            >>> handle = layer.register_forward_hook(lambda m, args, out: print(tuple(out.shape)))
            >>> y = layer(wg.ones(5, 2))
            (5, 3)
        """
        marks = [self._forward_hooks_with_kwargs] if with_kwargs else []
        if always_call:
            marks.append(self._forward_hooks_always_called)
        return self._add_hook(self._forward_hooks, hook, prepend, marks)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call `hook(module, grad_input, grad_output)` once the gradients of the module's inputs are known."""
        return self._add_hook(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call `hook(module, grad_output)` once the gradients of the module's outputs are known."""
        return self._add_hook(self._backward_pre_hooks, hook, prepend)

    def _call_with_hooks(self, args, kwargs):
        called = set()
        try:
            return self._run_hooks(args, kwargs, called)
        except Exception:
            # Hooks registered with always_call see the failure too; what they raise does not hide it.
            for key, hook in self._forward_hooks.items():
                if key in self._forward_hooks_always_called and key not in called:
                    try:
                        self._run_forward_hook(key, hook, args, kwargs, None)
                    except Exception as error:
                        import warnings

                        warnings.warn(
                            "module forward hook with ``always_call=True`` raised an exception "
                            f"that was silenced as another error was raised in forward: {error}",
                            stacklevel=2,
                        )
            raise

    def _run_forward_hook(self, key, hook, args, kwargs, output):
        if key in self._forward_hooks_with_kwargs:
            return hook(self, args, kwargs, output)
        return hook(self, args, output)

    def _run_hooks(self, args, kwargs, called):
        for key, hook in list(self._forward_pre_hooks.items()):
            if key in self._forward_pre_hooks_with_kwargs:
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            "forward pre-hook must return None or a tuple "
                            f"of (new_args, new_kwargs), but got {changed}."
                        )
                    args, kwargs = changed
            else:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        watch = _BackwardWatch(self) if self._backward_hooks or self._backward_pre_hooks else None
        if watch is not None:
            args = watch.inputs(args)
        output = self.forward(*args, **kwargs)
        for key, hook in list(self._forward_hooks.items()):
            called.add(key)
            changed = self._run_forward_hook(key, hook, args, kwargs, output)
            if changed is not None:
                output = changed
        return output if watch is None else watch.outputs(output)


class _BackwardWatch:
    """Collects a call's output gradients, then its input gradients, and shows them to the backward hooks."""

    def __init__(self, module):
        self.module = module
        self.grad_outputs = None
        self.input_requires_grad = False

    def inputs(self, args):
        self.input_requires_grad = any(isinstance(a, Tensor) and a.requires_grad for a in args)
        return _tensors_to_identity(args, self._input_grads)

    def outputs(self, output):
        single = isinstance(output, Tensor)
        if not single and not isinstance(output, tuple):
            return output
        seen = _tensors_to_identity((output,) if single else output, self._output_grads)
        return seen[0] if single else seen

    def _output_grads(self, grads):
        for hook in list(self.module._backward_pre_hooks.values()):
            changed = hook(self.module, grads)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        self.grad_outputs = grads
        if not self.input_requires_grad:
            for hook in list(self.module._backward_hooks.values()):
                if hook(self.module, (None,), grads) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient "
                        "should always return None or None for all gradients."
                    )
        return grads

    def _input_grads(self, grads):
        for hook in list(self.module._backward_hooks.values()):
            changed = hook(self.module, grads, self.grad_outputs)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        return grads
