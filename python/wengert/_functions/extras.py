"""Functions that old or rare programs name."""

import math

from .. import _core
from ._compose import composed


@composed(method=False)
def range(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False):
    """Numbers from `start` to `end`, both included, `step` apart; `arange` is what new programs use.

    Example:
        >>> wg.range(1, 3)
        tensor([1., 2., 3.])
    """
    if end is None:
        raise TypeError('range() missing 1 required positional arguments: "end"')
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    dtype = dtype or _core.get_default_dtype()
    places = _core.arange(math.floor((end - start) / step) + 1, dtype=_core.float64, device=device)
    values = (places * step + start).to(dtype)
    return values.requires_grad_() if requires_grad else values


@composed(method=False)
def fill(input, value):
    """A tensor of the input's shape and dtype, full of a number or of a tensor's one element.

    Example:
        >>> wg.fill(wg.ones(2), 3)
        tensor([3., 3.])
    """
    return input.clone().fill_(value)


@composed(method=False)
def unravel_index(indices, shape):
    """For positions in a flattened tensor of `shape` their indices in each dim, a tuple of tensors.

    Example:
        >>> wg.unravel_index(wg.tensor([1, 5]), (2, 3))
        (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.is_floating_point() or indices.dtype == _core.bool:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = [shape] if isinstance(shape, int) else list(shape)
    if any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    indices, found = indices.long(), []
    for size in reversed(sizes):
        found.append(indices % size)
        indices = indices.div(size, rounding_mode="floor")
    return tuple(reversed(found))


@composed(method=False)
def to_dlpack(tensor):
    """The tensor's memory as a DLPack capsule.

    Example:
        >>> wg.from_dlpack(wg.to_dlpack(wg.tensor([1.])))
        tensor([1.])
    """
    return tensor.__dlpack__()


@composed(method=False)
def imag(input):
    """Raises TypeError: there are no complex numbers here.

    Example:
        >>> wg.imag(wg.ones(1))
        Traceback (most recent call last):
        TypeError: imag is not implemented for tensors with non-complex dtypes.
    """
    raise TypeError("imag is not implemented for tensors with non-complex dtypes.")
