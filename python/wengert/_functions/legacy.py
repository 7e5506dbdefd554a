"""PyTorch's old classes of tensors by dtype, `FloatTensor` and its like: constructors and instance checks."""

from .. import _core
from .._core import Tensor


class tensortype(type):  # noqa: N801 - PyTorch's name
    """The class of `FloatTensor` and its like, whose only instances are tensors of their dtype."""

    def __call__(cls, *args, **kwargs):
        return _core._legacy(cls.dtype, *args, **kwargs)

    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype and instance.device.type == "cpu"


def _make(dtype):
    name = _core.empty(0, dtype=dtype).type().removeprefix("torch.")
    doc = (
        f"`{name}(2, 3)` has those sizes and unspecified elements, `{name}([1, 2])` has that data; a tensor of "
        f"dtype {dtype} is an instance.\n\nExample:\n    >>> isinstance(wg.{name}([1]), wg.{name})\n    True\n"
    )
    return tensortype(
        name,
        (),
        {"__module__": "wengert", "dtype": dtype, "is_cuda": False, "is_sparse": False, "__doc__": doc},
    )


_DTYPES = {value for value in vars(_core).values() if type(value) is type(_core.float32)}

TYPES = {made.__name__: made for made in map(_make, _DTYPES)}
"""Every such class by its name."""


def set_default_tensor_type(t):
    """Makes `t` (a class like `DoubleTensor`, or its name) the type of new floating-point tensors.

    Example:
        >>> wg.set_default_tensor_type(wg.FloatTensor)
        >>> wg.get_default_dtype()
        torch.float32
    """
    if isinstance(t, str):
        found = TYPES.get(t.removeprefix("torch."))
        if found is None:
            raise AttributeError(f"there is no type {t!r}; use one like 'torch.DoubleTensor'")
        t = found
    if not isinstance(t, tensortype):
        raise TypeError(f"invalid type object: {t!r}; use a floating-point class such as torch.DoubleTensor")
    _core.set_default_dtype(t.dtype)
