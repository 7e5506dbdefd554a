"""`Variable`, the name that tensors with gradients had before they were simply tensors."""

import warnings

from .._core import Tensor, empty


class _Kind(type):
    """Every tensor is a Variable."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor)


class Variable(metaclass=_Kind):
    """A new leaf over the data of a tensor.

    Args:
        data: a tensor; an empty one if left out.
        requires_grad: whether gradients are collected.

    Raises:
        TypeError: if data is no tensor.

    Example:
        >>> wg.autograd.Variable(wg.ones(2), requires_grad=True)
        tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data=None, requires_grad=False, volatile=False):
        if volatile:
            warnings.warn(
                "volatile was removed and now has no effect. Use `with torch.no_grad():` instead.",
                stacklevel=2,
            )
        if data is None:
            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(bool(requires_grad))
