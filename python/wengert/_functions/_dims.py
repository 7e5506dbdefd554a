"""Dimension arguments: wrapping, checking, and small shape arithmetic."""

from .. import _core


def wrap_dim(dim, ndim):
    """`dim` counted from the front; a 0-d tensor takes 0 and -1."""
    bound = ndim or 1
    if not isinstance(dim, int):
        dim = integer("dim", dim)
    if not -bound <= dim < bound:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})"
        )
    return dim + bound if dim < 0 else dim


def wrap_dims(dim, ndim):
    """A tuple of distinct dims for an int, a sequence or None (all dims)."""
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, int):
        return (wrap_dim(dim, ndim),)
    dims = tuple(wrap_dim(d, ndim) for d in dim)
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return dims or tuple(range(ndim))


def product(sizes):
    """The number of elements of a shape."""
    total = 1
    for size in sizes:
        total *= size
    return total


def integer(name, value):
    """An int argument: what Python counts with, but neither bool nor float."""
    if isinstance(value, (bool, float)) or not hasattr(value, "__index__"):
        raise TypeError(f"argument '{name}' must be int, not {type(value).__name__}")
    return value.__index__()


def ints(name, args):
    """`f(2, 3)` and `f((2, 3))` alike: a tuple of ints."""
    if len(args) == 1 and not isinstance(args[0], int) and getattr(args[0], "ndim", 1):
        args = args[0] if hasattr(args[0], "__iter__") else args
    return tuple(integer(name, a) for a in args)


def tuple_of_ints(function, name, position, value):
    """The ints of a sequence; a single one is PyTorch's error."""
    if not hasattr(value, "__iter__") or getattr(value, "ndim", 1) == 0:
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be tuple of ints, not {type(value).__name__}"
        )
    return tuple(integer(name, v) for v in value)


def truth(function, name, value):
    """A bool argument."""
    if not isinstance(value, bool):
        raise TypeError(f"{function}(): argument '{name}' must be bool, not {type(value).__name__}")
    return value


def broadcast_sizes(*shapes):
    """The common shape of several shapes, or PyTorch's error."""
    ndim = max((len(s) for s in shapes), default=0)
    out = [1] * ndim
    for shape in shapes:
        for i in range(1, len(shape) + 1):
            size = shape[-i]
            if size < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({size}): ({size})")
            if size == 1 or size == out[-i]:
                continue
            if out[-i] != 1:
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape: "
                    + ", ".join(str(tuple(s)) for s in shapes)
                )
            out[-i] = size
    return tuple(out)


def wide_float(x):
    """The dtype for numbers drawn or summed for x: float64 on the CPU, as PyTorch's; not every GPU has that."""
    return _core.float64 if x.is_cpu or x.dtype == _core.float64 else _core.float32
