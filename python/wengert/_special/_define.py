"""How a special function is defined: dtypes, `out=`, and its derivative as another function."""

from .. import _core
from .._functions._compose import _call
from .._functions._dims import wide_float
from .._functions.reductions import to_float
from ..autograd import Function


def wide(x):
    """x detached, in the dtype that is computed in."""
    return x.detach().to(wide_float(x))


def special(slope=None):
    """Makes a function of one tensor from its values in float64; a decorator.

    Integers become the default float dtype, a result has the input's. `slope(x)` is the derivative, in
    differentiable terms, which gives the higher ones.
    """

    def define(values):
        def evaluate(x):
            return values(wide(x)).to(x.dtype)

        class Special(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return evaluate(x)

            @staticmethod
            def backward(ctx, grad):
                (x,) = ctx.saved_tensors
                return grad * slope(x)

        def function(input):
            if not isinstance(input, _core.Tensor):
                raise TypeError(
                    f"{values.__name__}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
                )
            x = to_float(input)
            if x.requires_grad and slope is None:
                raise RuntimeError(f"{values.__name__}(): there is no derivative; pass x.detach()")
            return Special.apply(x) if x.requires_grad else evaluate(x)

        function.__name__ = function.__qualname__ = values.__name__
        function.__doc__ = values.__doc__
        function.__module__ = "wengert.special"
        return _call(function, "cast", {}, False)

    return define


def with_out(definition):
    """Lets a function of several arguments take `out=`."""
    definition.__module__ = "wengert.special"
    return _call(definition, "cast", {}, False)


def numbers_too(name, *values):
    """Tensors and numbers as tensors of one floating dtype; one of them is a tensor."""
    tensors = [v for v in values if isinstance(v, _core.Tensor)]
    if not tensors:
        raise TypeError(
            f"{name}(): one of the arguments must be Tensor, but got {[type(v).__name__ for v in values]}"
        )
    dtype = tensors[0].dtype
    for other in tensors[1:]:
        dtype = _core.promote_types(dtype, other.dtype)
    dtype = dtype if dtype.is_floating_point else _core.get_default_dtype()
    device = tensors[0].device
    return [
        v.to(dtype) if isinstance(v, _core.Tensor) else _core.tensor(v, dtype=dtype, device=device)
        for v in values
    ]
