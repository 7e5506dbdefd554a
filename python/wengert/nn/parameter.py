"""Parameter: a tensor that a Module registers as its own; Buffer: the same without gradients."""

from wengert._core import Tensor, empty


class Parameter(Tensor):
    """A leaf tensor that requires grad and that a Module lists among its parameters.

    Args:
        data: the tensor whose memory is used; an empty one if left out.
        requires_grad: whether gradients are collected.

    Example:
        >>> import wengert as wg
        >>> wg.nn.Parameter(wg.tensor([1.0, 2.0]))
        Parameter containing:
        tensor([1., 2.], requires_grad=True)
    """

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"{cls.__name__}(): data must be a Tensor, but got {type(data).__name__}")
        return Tensor._make_subclass(cls, data.detach(), requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + Tensor.__repr__(self.detach().requires_grad_(self.requires_grad))

    def __deepcopy__(self, memo):
        known = memo.get(id(self))
        if known is None:
            known = memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return known

    def __reduce_ex__(self, protocol):
        return type(self), (self.detach(), self.requires_grad)


class Buffer(Tensor):
    """A tensor that assigning to a Module's attribute registers as a buffer.

    Args:
        data: the tensor whose memory is used.
        persistent: whether the buffer stands in the module's state_dict.
    """

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = empty(0)
        made = Tensor._make_subclass(cls, data.detach(), data.requires_grad)
        made.persistent = persistent
        return made
