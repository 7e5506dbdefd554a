"""What a tensor says of its memory, and the forms of resizing, that PyTorch's interface has beside views."""

import math
import warnings

from .. import _core
from .._core import Tensor
from ._compose import attach, composed
from ._dims import ints


def _resized(self, sizes, name):
    warnings.warn(f"non-inplace {name} is deprecated", stacklevel=3)
    if math.prod(sizes) != self.numel():
        raise RuntimeError(
            f"{name}(): {list(sizes)} has other than the {self.numel()} elements of a tensor of shape "
            f"{list(self.shape)}; use x.resize_({list(sizes)}) to change their number"
        )
    return self.reshape(sizes)


def resize(self, *sizes):
    """The elements in another shape, as :meth:`reshape` gives them; deprecated.

    Raises:
        RuntimeError: for another number of elements.

    Example:
        >>> import warnings; warnings.simplefilter("ignore")
        >>> wg.ones(2, 3).resize(3, 2).shape
        torch.Size([3, 2])
    """
    return _resized(self, ints("sizes", sizes), "resize")


def resize_as(self, tensor):
    """The elements in another tensor's shape; deprecated.

    Raises:
        RuntimeError: for another number of elements.

    Example:
        >>> import warnings; warnings.simplefilter("ignore")
        >>> wg.ones(2, 3).resize_as(wg.ones(6)).shape
        torch.Size([6])
    """
    return _resized(self, tuple(tensor.shape), "resize_as")


def new_empty_strided(
    self, size, stride, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """A tensor of these sizes and strides, with unspecified elements, of this one's dtype and device.

    Example:
        >>> wg.ones(1).new_empty_strided((2, 3), (1, 2)).stride()
        (1, 2)
    """
    return _core.empty_strided(
        size,
        stride,
        dtype=self.dtype if dtype is None else dtype,
        device=self.device if device is None else device,
        requires_grad=requires_grad,
    )


def _lies_outside(self, a, b):
    """Whether dim a has the longer stride than b, or None where an expanded dim leaves that open."""
    first, second = self.stride(a), self.stride(b)
    if first == 0 or second == 0:
        return None
    return first > second if first != second else self.shape[a] > self.shape[b] or None


def dim_order(self, *, ambiguity_check=False):
    """The dims from the one with the longest stride to the one with the shortest.

    Args:
        ambiguity_check: True refuses a tensor that several orders fit; a list of memory formats asks of those
            only that one fits, which row-major order always does.

    Raises:
        RuntimeError: if the check finds several orders.
        TypeError: for a check that is neither a bool nor a list.

    Example:
        >>> wg.ones(2, 3).T.dim_order()
        (1, 0)
    """
    if not isinstance(ambiguity_check, (bool, list)):
        raise TypeError(
            "dim_order(): argument 'ambiguity_check' must be a bool or a list of memory formats, not "
            f"{type(ambiguity_check).__name__}"
        )
    strides = [self.stride(d) for d in range(self.ndim)]
    if ambiguity_check is True and len(set(strides)) < len(strides):
        raise RuntimeError("dim_order(): several orders fit this tensor, as some of its strides are equal")
    if self.is_contiguous():
        return tuple(range(self.ndim))
    # Insertion from the inside out, past dims of which nothing can be said.
    order = list(reversed(range(self.ndim)))
    for start in range(1, self.ndim):
        at = start
        for place in reversed(range(start)):
            outside = _lies_outside(self, order[place], order[at])
            if outside:
                order[place], order[at], at = order[at], order[place], place
            elif outside is False:
                break
    return tuple(reversed(order))


def is_shared(self):
    """True: workers are threads, which share all memory; `share_memory_` has nothing to do.

    Example:
        >>> wg.ones(1).share_memory_().is_shared()
        True
    """
    return True


def pin_memory(self, device=None):
    """Raises RuntimeError: memory is pinned for CUDA devices, of which there are none here.

    Raises:
        RuntimeError: always; as in PyTorch, ask `wg.cuda.is_available()` first.

    Example:
        >>> wg.ones(1).pin_memory()
        Traceback (most recent call last):
        RuntimeError: pin_memory(): there is no CUDA device to pin memory for; ask cuda.is_available() first
    """
    raise RuntimeError(
        "pin_memory(): there is no CUDA device to pin memory for; ask cuda.is_available() first"
    )


def as_subclass(self, cls):
    """This tensor as an instance of a subclass of Tensor; it shares the memory.

    Raises:
        TypeError: for a class that is no subclass of Tensor.

    Example:
        >>> class Length(wg.Tensor): pass
        >>> type(wg.ones(1).as_subclass(Length)).__name__
        'Length'
    """
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): expected a subclass of Tensor, but got {cls!r}")
    return Tensor._make_subclass(cls, self, self.requires_grad)


def to_dense(self, dtype=None, *, masked_grad=None):
    """The tensor itself, or in another dtype: all tensors are dense.

    Example:
        >>> wg.ones(2).to_dense()
        tensor([1., 1.])
    """
    return self if dtype is None else self.to(dtype)


def dense_dim(self):
    """The number of dims, all of which are dense.

    Example:
        >>> wg.ones(2, 3).dense_dim()
        2
    """
    return self.ndim


def sparse_dim(self):
    """0: no dim is sparse.

    Example:
        >>> wg.ones(2, 3).sparse_dim()
        0
    """
    return 0


for _method in (
    resize,
    resize_as,
    new_empty_strided,
    dim_order,
    is_shared,
    pin_memory,
    as_subclass,
    to_dense,
    dense_dim,
    sparse_dim,
):
    attach(_method.__name__, _method)


@composed(method=False)
def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """A tensor of unspecified elements whose dims lie in memory in the given order, the outermost first.

    Raises:
        RuntimeError: unless `physical_layout` names each dim once.

    Example:
        >>> wg.empty_permuted((2, 3, 4), (0, 2, 1)).stride()
        (12, 1, 3)
    """
    size, order = ints("size", (size,)), ints("physical_layout", (physical_layout,))
    if len(size) != len(order):
        raise RuntimeError(
            "empty_permuted(): Number of dimensions in size does not match the length of the physical_layout; "
            f"i.e. len(size) = {len(size)} is not equal to len(physical_layout) = {len(order)}"
        )
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(
            f"empty_permuted(): physical_layout must name each dim once, but got {list(order)}"
        )
    strides, reach = [0] * len(size), 1
    for dim in reversed(order):
        strides[dim], reach = reach, reach * max(size[dim], 1)
    return _core.empty_strided(size, strides, dtype=dtype, device=device, requires_grad=requires_grad)


@composed(out=True)
def nonzero_static(input, *, size, fill_value=-1):
    """The first `size` indices of what is not 0, one a row, filled up with `fill_value`: `[size, dims]`, int64.

    Raises:
        RuntimeError: for a negative size.

    Example:
        >>> wg.nonzero_static(wg.tensor([0, 5, 6]), size=3)
        tensor([[ 1],
                [ 2],
                [-1]])
    """
    if size < 0:
        raise RuntimeError(f"nonzero_static(): 'size' must be a non-negative integer, but got {size}")
    found = input.nonzero()[:size]
    rest = found.new_full((size - found.shape[0], input.ndim), fill_value)
    return _core.cat([found, rest])
