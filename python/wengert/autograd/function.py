"""`Function`: an operation whose forward and backward a user writes in Python.

What passes between this class and the core's ``_apply_function(cls, ctx, args)``:

- the core calls ``cls.forward(ctx, *args)`` unrecorded and makes the tensors it returns the outputs of one
  node named ``cls.__name__ + "Backward"``; in a backward sweep it calls ``cls.backward(ctx, *grads)``;
- after forward it reads ``ctx.to_save``, ``ctx.dirty_tensors``, ``ctx.non_differentiable`` and
  ``ctx.materialize_grads``; it may take the tensors of ``to_save`` over (so that a saved output does not
  keep its own node alive) by setting ``ctx._unpack`` to a callable that gives them back as a tuple.
"""

from .. import _core
from .grad_mode import no_grad


class FunctionCtx:
    """What a Function's forward leaves for its backward. Any attribute may be set on it."""

    to_save = ()
    dirty_tensors = ()
    non_differentiable = ()
    materialize_grads = True
    needs_input_grad = ()
    _unpack = None

    def save_for_backward(self, *tensors):
        """Keeps inputs and outputs (or None) for backward, where they are `ctx.saved_tensors`."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, _core.Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type {type(tensor).__name__}; "
                    "set it as an attribute of ctx instead"
                )
        self.to_save = tensors

    def save_for_forward(self, *tensors):
        """Keeps tensors for a forward-mode rule; accepted, and kept apart from those for backward."""
        self.saved_for_forward = tensors

    @property
    def saved_tensors(self):
        """The tensors of :meth:`save_for_backward`."""
        return self.to_save if self._unpack is None else self._unpack()

    def mark_dirty(self, *tensors):
        """Says which inputs forward changed in place; it must return them."""
        self.dirty_tensors = tensors

    def mark_non_differentiable(self, *tensors):
        """Says which outputs carry no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value):
        """Whether undefined gradients reach backward as zeros (the default) or as None."""
        self.materialize_grads = bool(value)


class Function:
    """Base of user-defined operations: static `forward(ctx, *args)` and `backward(ctx, *grads)`, or
    `forward(*args)`, `setup_context(ctx, inputs, output)` and `backward`.

    Example:
        >>> class Cube(wg.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x * x
        ...     @staticmethod
        ...     def backward(ctx, g):
        ...         x, = ctx.saved_tensors
        ...         return 3 * x * x * g
        >>> x = wg.tensor(2., requires_grad=True)
        >>> Cube.apply(x).backward()
        >>> x.grad
        tensor(12.)
    """

    def __init__(self, *args, **kwargs):
        raise RuntimeError(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you "
            "should invoke them on the class itself: use Function.apply(…)"
        )

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style "
            "autograd function with static forward method: call .apply(…)"
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Computes the outputs. To be defined by the subclass."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """The gradients of the inputs of forward, None for those that have none. To be defined by the subclass."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function "
            "to use it with backward mode AD."
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Saves what backward needs, where forward takes no ctx. May be defined by the subclass."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "vjp" in cls.__dict__ and "backward" not in cls.__dict__:
            cls.backward = cls.__dict__["vjp"]
        cls._runner = None

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward on the arguments and records the operation.

        Keyword arguments are those that forward names, filled in by position.
        """
        if kwargs:
            args = _by_position(cls, args, kwargs)
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(a, _core.Tensor) and a.requires_grad for a in args)
        runner = cls
        if cls.setup_context is not Function.setup_context:
            runner = cls.__dict__.get("_runner") or _two_steps(cls)
        return _core._apply_function(runner, ctx, args)


def _by_position(cls, args, kwargs):
    from inspect import signature

    split = cls.setup_context is not Function.setup_context
    bound = signature(cls.forward).bind(*(() if split else (None,)), *args, **kwargs)
    bound.apply_defaults()
    return bound.args if split else bound.args[1:]


def _two_steps(cls):
    """A class whose forward takes ctx, for one that has setup_context."""
    plain, setup = cls.forward, cls.setup_context

    def forward(ctx, *args):
        output = plain(*args)
        setup(ctx, args, output)
        return output

    runner = type(cls.__name__, (cls,), {"forward": staticmethod(forward), "__module__": cls.__module__})
    cls._runner = runner
    return runner


class _Refuse(Function):
    """Passes values through; differentiating it is the error of @once_differentiable."""

    @staticmethod
    def forward(ctx, anchor, *tensors):
        return tuple(t.clone() for t in tensors)

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(function):
    """Marks a backward that is not itself differentiable: a second derivative through it raises.

    Example:
        >>> from wengert.autograd.function import once_differentiable
        >>> once_differentiable(lambda ctx, g: g)(None, wg.ones(1))
        tensor([1.])
    """

    def backward(ctx, *grads):
        with no_grad():
            results = function(ctx, *grads)
        if not _core.is_grad_enabled() or not any(
            isinstance(g, _core.Tensor) and g.requires_grad for g in grads
        ):
            return results
        single = not isinstance(results, tuple)
        parts = [results] if single else list(results)
        places = [i for i, part in enumerate(parts) if part is not None]
        anchor = _core.zeros(1, requires_grad=True)
        refused = _Refuse.apply(anchor, *[parts[i] for i in places]) if places else ()
        for i, part in zip(places, refused, strict=True):
            parts[i] = part
        return parts[0] if single else tuple(parts)

    backward.__name__, backward.__doc__ = function.__name__, function.__doc__
    return backward
