"""Views' copies (`permute_copy` and its like), and what else is a view in all but sharing."""

from functools import wraps

from ._compose import composed
from ._dims import integer


def _copied(view):
    """The view of a tensor as fresh memory, or that of each of its parts."""
    return tuple(part.clone() for part in view) if isinstance(view, (tuple, list)) else view.clone()


def _copy(example, shown, out=True, method=False):
    """Registers `name_copy` for a definition of the view `name`; a decorator."""

    def register(view):
        @wraps(view)
        def call(*args, **kwargs):
            return _copied(view(*args, **kwargs))

        name = view.__name__
        call.__name__ = call.__qualname__ = name + "_copy"
        call.__doc__ = f"""What `Tensor.{name}` gives for the same arguments, and raises, in memory of its own.

    Example:
        >>> wg.{name}_copy({example})
        {shown}
    """
        return composed(method=method, out=out)(call)

    return register


@_copy("wg.tensor([1, 2])", "tensor([1, 2])")
def alias(input):
    return input


@_copy("wg.arange(4), (2, 2), (1, 2)", "tensor([[0, 2],\n                [1, 3]])")
def as_strided(input, size, stride, storage_offset=None):
    return input.as_strided(size, stride, storage_offset)


@_copy("wg.tensor([1, 2])", "tensor([1, 2])")
def detach(input):
    return input.detach()


@_copy("wg.eye(2)", "tensor([1., 1.])")
def diagonal(input, offset=0, dim1=0, dim2=1):
    return input.diagonal(offset, dim1, dim2)


@_copy("wg.tensor([[1], [2]]), (2, 2)", "tensor([[1, 1],\n                [2, 2]])")
def expand(input, size, *, implicit=False):
    return input.expand(size)


# PyTorch's `out=` of it misplaces what it writes.
@_copy("wg.arange(4), 0, 1, 2", "tensor([1, 2])", out=False, method=True)
def narrow(input, dim, start, length):
    return input.narrow(dim, start, length)


@_copy("wg.ones(2, 3), (1, 0)", "tensor([[1., 1.],\n                [1., 1.],\n                [1., 1.]])")
def permute(input, dims):
    return input.permute(dims)


@_copy("wg.eye(2), 0, 1", "tensor([0., 1.])")
def select(input, dim, index):
    return input.select(dim, index)


@_copy("wg.arange(5), 0, 1, 4, 2", "tensor([1, 3])")
def slice(input, dim=0, start=None, end=None, step=1):
    if integer("step", step) <= 0:
        raise RuntimeError(f"slice_copy(): the step must be positive, but got {step}")
    return input.movedim(dim, 0)[start:end:step].movedim(0, dim)


@_copy("wg.arange(3), 2", "(tensor([0, 1]), tensor([2]))", out=False)
def split(input, split_size, dim=0):
    return input.split(integer("split_size", split_size), dim)


@_copy("wg.arange(3), [1, 2]", "(tensor([0]), tensor([1, 2]))", out=False)
def split_with_sizes(input, split_sizes, dim=0):
    return input.split_with_sizes(split_sizes, dim)


@_copy("wg.ones(1, 2)", "tensor([1., 1.])")
def squeeze(input, dim=None):
    return input.squeeze() if dim is None else input.squeeze(dim)


@_copy("wg.tensor([[1, 2]])", "tensor([[1],\n                [2]])")
def t(input):
    return input.t()


@_copy("wg.tensor([[1, 2]]), 0, 1", "tensor([[1],\n                [2]])")
def transpose(input, dim0, dim1):
    return input.transpose(dim0, dim1)


@_copy("wg.arange(2)", "(tensor(0), tensor(1))", out=False)
def unbind(input, dim=0):
    return input.unbind(dim)


@_copy("wg.arange(3), 0, 2, 1", "tensor([[0, 1],\n                [1, 2]])")
def unfold(input, dimension, size, step):
    return input.unfold(dimension, size, step)


@_copy("wg.arange(2), 0", "tensor([[0, 1]])")
def unsqueeze(input, dim):
    return input.unsqueeze(dim)


@_copy("wg.arange(2), (2, 1)", "tensor([[0],\n                [1]])")
def view(input, size=None, *, dtype=None):
    return input.view(dtype if size is None else size)


@composed()
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of the input with `src` at the places that `as_strided` names by the same arguments.

    Raises:
        RuntimeError: for a `src` of another shape than `size`, or places outside the input's memory.

    Example:
        >>> wg.as_strided_scatter(wg.zeros(2, 2), wg.ones(2), (2,), (3,))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if tuple(src.shape) != tuple(size):
        raise RuntimeError(
            f"as_strided_scatter(): expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(size)}"
        )
    # The places are of the memory in which the input lies, be it a view of more.
    whole = input._shared_storage()
    memory = input.new_zeros(input.numel() if whole is None else whole.numel())
    own = memory.as_strided(input.shape, input.stride(), input.storage_offset())
    own.copy_(input)
    memory.as_strided(
        size, stride, input.storage_offset() if storage_offset is None else storage_offset
    ).copy_(src)
    return own.clone()


@composed()
def unsafe_chunk(input, chunks, dim=0):
    """The parts of :func:`chunk`. In PyTorch they do not know of each other's writes; here writes are safe.

    Example:
        >>> wg.unsafe_chunk(wg.arange(3), 2)
        (tensor([0, 1]), tensor([2]))
    """
    return input.chunk(chunks, dim)


@composed()
def unsafe_split(input, split_size, dim=0):
    """The parts of :func:`split` of one size, as for :func:`unsafe_chunk`.

    Example:
        >>> wg.unsafe_split(wg.arange(3), 2)
        (tensor([0, 1]), tensor([2]))
    """
    return input.split(integer("split_size", split_size), dim)


@composed()
def unsafe_split_with_sizes(input, split_sizes, dim=0):
    """The parts of :func:`split_with_sizes`, as for :func:`unsafe_chunk`.

    Example:
        >>> wg.unsafe_split_with_sizes(wg.arange(3), [1, 2])
        (tensor([0]), tensor([1, 2]))
    """
    return input.split_with_sizes(split_sizes, dim)
