"""Recomputation: a part of a network keeps its inputs instead of all its values, and runs again in backward."""

from wengert import _core, random
from wengert._core import Tensor
from wengert.autograd import Function
from wengert.autograd import backward as _backward
from wengert.autograd.grad_mode import enable_grad, no_grad

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Recomputed(Function):
    """`run(tensors)`, a tuple of tensors, evaluated without a tape, and once more with one in backward."""

    @staticmethod
    def forward(ctx, run, state, anchor, *tensors):
        ctx.run, ctx.state = run, state
        ctx.save_for_backward(*tensors)
        with no_grad():
            return run(tensors)

    @staticmethod
    def backward(ctx, *grads):
        tensors = [t.detach().requires_grad_(t.requires_grad) for t in ctx.saved_tensors]
        later = random.get_rng_state() if ctx.state is not None else None
        if ctx.state is not None:
            random.set_rng_state(ctx.state)
        try:
            with enable_grad():
                outputs = ctx.run(tensors)
        finally:
            if later is not None:
                random.set_rng_state(later)
        pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if o.requires_grad and g is not None]
        if pairs:
            _backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, None, *(t.grad for t in tensors))


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    preserve_rng_state=True,
    context_fn=None,
    determinism_check="default",
    debug=False,
    early_stop=True,
    **kwargs,
):
    """`function(*args, **kwargs)`, whose intermediate values are not kept but computed again in backward.

    The gradients of parameters inside go to their `.grad` as `backward` does it, so `autograd.grad` with respect
    to them is not served.

    Args:
        use_reentrant: accepted either way; there is one way here.
        preserve_rng_state: draw the same random numbers the second time.

    Raises:
        TypeError: if the function gives anything but a tensor or a tuple of tensors.

    Example:
        >>> x = wg.tensor([1.0, 2.0], requires_grad=True)
        >>> wg.utils.checkpoint.checkpoint(lambda t: (t * t).exp().sum(), x, use_reentrant=False).backward()
        >>> x.grad
        tensor([  5.4366, 218.3926])
    """
    where = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    named = [name for name, a in kwargs.items() if isinstance(a, Tensor)]
    single = False

    def run(tensors):
        nonlocal single
        positional, keywords = list(args), dict(kwargs)
        for i, tensor in zip(where, tensors[: len(where)], strict=True):
            positional[i] = tensor
        keywords.update(zip(named, tensors[len(where) :], strict=True))
        outputs = function(*positional, **keywords)
        single = isinstance(outputs, Tensor)
        outputs = (outputs,) if single else outputs
        if not isinstance(outputs, tuple) or not all(isinstance(o, Tensor) for o in outputs):
            raise TypeError("checkpoint(): the function must give a tensor or a tuple of tensors")
        return outputs

    if not _core.is_grad_enabled():
        return function(*args, **kwargs)
    state = random.get_rng_state() if preserve_rng_state else None
    # Parameters stand inside the function, so the result may need a gradient whatever its arguments do.
    anchor = _core.zeros(()).requires_grad_()
    given = [args[i] for i in where] + [kwargs[name] for name in named]
    outputs = _Recomputed.apply(run, state, anchor, *given)
    return outputs[0] if single else outputs


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """The modules of a Sequential (or a list of functions) in turn, in `segments` parts; all but the last recomputed.

    Example:
        >>> layers = [wg.sin, wg.exp, wg.cos]
        >>> x = wg.tensor([0.5])
        >>> wg.utils.checkpoint.checkpoint_sequential(layers, 2, x, use_reentrant=False).equal(x.sin().exp().cos())
        True
    """
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def part(first, last):
        def run(x):
            for function in functions[first:last]:
                x = function(x)
            return x

        return run

    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size) if size else ():
        input = checkpoint(part(start, start + size), input, use_reentrant=use_reentrant, **kwargs)
    return part(size * (segments - 1), len(functions))(input)
