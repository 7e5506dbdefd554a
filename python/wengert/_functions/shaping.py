"""Rearrangements composed from views, cat and gathers."""

import math
import warnings

from .. import _core
from ._compose import composed
from ._dims import broadcast_sizes, integer, ints, tuple_of_ints, wrap_dim, wrap_dims

_SPLITS = dict.fromkeys(("sections", "indices", "tensor_indices_or_sections"), "indices_or_sections")


@composed(starred=True)
def flip(input, dims):
    """Reverses the order along `dims`. A copy, as in PyTorch.

    Example:
        >>> wg.flip(wg.tensor([1, 2, 3]), (0,))
        tensor([3, 2, 1])
    """
    dims = tuple_of_ints("flip", "dims", 2, dims)
    dims = wrap_dims(dims, input.ndim) if dims else ()
    if not dims or not input.ndim:
        return input.clone()
    return _core._flip(input, dims)


@composed()
def fliplr(input):
    """Reverses dim 1.

    Example:
        >>> wg.fliplr(wg.tensor([[1, 2]]))
        tensor([[2, 1]])
    """
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


@composed()
def flipud(input):
    """Reverses dim 0.

    Example:
        >>> wg.flipud(wg.tensor([1, 2]))
        tensor([2, 1])
    """
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


@composed()
def rot90(input, k=1, dims=(0, 1)):
    """Turns the plane of two dims by k quarter turns.

    Example:
        >>> wg.rot90(wg.tensor([[1, 2], [3, 4]]))
        tensor([[2, 4],
                [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = wrap_dim(dims[0], input.ndim), wrap_dim(dims[1], input.ndim)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    k = integer("k", k) % 4
    if k == 0:
        return input.clone()
    if k == 2:
        return flip(input, (a, b))
    return flip(input, (b if k == 1 else a,)).transpose(a, b)


@composed()
def roll(input, shifts, dims=None):
    """Shifts elements along `dims`, those leaving at one end entering at the other.

    Example:
        >>> wg.roll(wg.tensor([1, 2, 3]), 1)
        tensor([3, 1, 2])
    """
    shifts = ints("shifts", (shifts,))
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        if len(shifts) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:0")
        return roll(input.reshape(-1), shifts, 0).reshape(input.shape)
    dims = ints("dims", (dims,))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if input.ndim == 0:
        raise IndexError(f"roll: Dimension specified as {dims[0]} but tensor has no dimensions")
    for shift, dim in zip(shifts, dims, strict=True):
        dim = wrap_dim(dim, input.ndim)
        count = input.shape[dim]
        cut = shift % count if count else 0
        if cut:
            input = _core.cat([input.narrow(dim, count - cut, cut), input.narrow(dim, 0, count - cut)], dim)
        else:
            input = input.clone()
    return input


@composed(function=False)
def repeat(input, *repeats):
    """Copies of the whole tensor, `repeats` times along each dim.

    Example:
        >>> wg.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
    """
    repeats = ints("repeats", repeats)
    lead = len(repeats) - input.ndim
    if lead < 0:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    shape = (1,) * lead + tuple(input.shape)
    if any(r * n < 0 for r, n in zip(repeats, shape, strict=True)):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats {list(repeats)}")
    repeats = [max(r, 0) for r in repeats]
    spread, single = [], []
    for r, n in zip(repeats, shape, strict=True):
        spread += [r, n]
        single += [1, n]
    copies = input.reshape(single).expand(spread)
    result = copies.reshape([r * n for r, n in zip(repeats, shape, strict=True)])
    # Where nothing is repeated reshape is a view, but a copy is promised.
    return result.clone() if all(r == 1 for r in repeats) else result


@composed(starred=True)
def tile(input, dims):
    """Like :meth:`repeat`, with fewer counts than dims read from the right.

    Example:
        >>> wg.tile(wg.tensor([1, 2]), (2,))
        tensor([1, 2, 1, 2])
    """
    dims = tuple_of_ints("tile", "dims", 2, dims)
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


@composed()
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Repeats each element along `dim` (of the flattened input if None) `repeats` times.

    Example:
        >>> wg.repeat_interleave(wg.tensor([1, 2]), 2)
        tensor([1, 1, 2, 2])
    """
    if repeats is None:
        input, repeats = None, input
    if not isinstance(repeats, _core.Tensor):
        repeats = _core.tensor(integer("repeats", repeats), device=getattr(input, "device", None))
    if repeats.is_floating_point() or repeats.dtype == _core.bool:
        raise RuntimeError(f"repeats has to be Long or Int tensor, but got {repeats.dtype}")
    if repeats.numel() and int(repeats.amin()) < 0:
        raise RuntimeError("repeats can not be negative")
    if input is None:
        if repeats.ndim != 1:
            raise RuntimeError(
                f"repeat_interleave only accept 1D vector as repeat, but got {repeats.ndim} dimensions"
            )
    else:
        if dim is None:
            input, dim = input.reshape(-1), 0
        dim = wrap_dim(dim, input.ndim)
        input = input.reshape(1) if input.ndim == 0 else input
        count = input.shape[dim]
        if repeats.numel() == 1:
            repeats = repeats.reshape(1).expand(count)
        elif repeats.shape != (count,):
            raise RuntimeError(
                f"repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{repeats.numel()} and input.size({dim}) = {count}"
            )
    ends = repeats.to(_core.int64).cumsum(0)
    total = int(ends[-1]) if ends.numel() else 0
    marks = ends.new_zeros(total + 1).scatter_add(0, ends, _core.ones_like(ends))
    index = marks.narrow(0, 0, total).cumsum(0)
    return index if input is None else input.index_select(dim, index)


@composed()
def ravel(input):
    """One contiguous dimension, without copying where that is possible.

    Example:
        >>> wg.ravel(wg.tensor([[1, 2]]))
        tensor([1, 2])
    """
    return input.reshape(-1)


@composed(aliases=("swapdims",), keywords={"dim0": "axis0", "dim1": "axis1"})
def swapaxes(input, axis0, axis1):
    """The transposition of two dims.

    Example:
        >>> wg.swapaxes(wg.ones(2, 3), 0, 1).shape
        torch.Size([3, 2])
    """
    return input.transpose(axis0, axis1)


@composed()
def moveaxis(input, source, destination):
    """Moves dims to new places, the others staying in order.

    Example:
        >>> wg.moveaxis(wg.ones(2, 3, 4), 0, -1).shape
        torch.Size([3, 4, 2])
    """
    return input.movedim(source, destination)


@composed()
def adjoint(input):
    """The transposition of the last two dims.

    Example:
        >>> wg.adjoint(wg.ones(2, 3)).shape
        torch.Size([3, 2])
    """
    if input.ndim == 0:
        return input.view_as(input)
    if input.ndim < 2:
        raise RuntimeError(
            f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor."
        )
    return input.transpose(-2, -1)


def _each(make):
    """Lets a function of one tensor take several, or a list of them."""

    def apply(*tensors):
        if len(tensors) == 1 and isinstance(tensors[0], _core.Tensor):
            return make(tensors[0])
        items = tensors[0] if len(tensors) == 1 else tensors
        return tuple(make(t) for t in items)

    apply.__name__, apply.__doc__ = make.__name__, make.__doc__
    return composed(method=False)(apply)


@_each
def atleast_1d(input):
    """At least one dim, for one tensor or each of several.

    Example:
        >>> wg.atleast_1d(wg.tensor(1.))
        tensor([1.])
    """
    return input.reshape(1) if input.ndim == 0 else input


@_each
def atleast_2d(input):
    """At least two dims, new ones in front.

    Example:
        >>> wg.atleast_2d(wg.tensor([1., 2.]))
        tensor([[1., 2.]])
    """
    return input.reshape(1, 1) if input.ndim == 0 else input.unsqueeze(0) if input.ndim == 1 else input


@_each
def atleast_3d(input):
    """At least three dims: vectors get one before and one after, matrices one after.

    Example:
        >>> wg.atleast_3d(wg.tensor([1., 2.])).shape
        torch.Size([1, 2, 1])
    """
    if input.ndim == 0:
        return input.reshape(1, 1, 1)
    return (
        input.unsqueeze(0).unsqueeze(-1)
        if input.ndim == 1
        else input.unsqueeze(-1)
        if input.ndim == 2
        else input
    )


@composed(method=False)
def hstack(tensors, *, out=None):
    """Joins along dim 1 (dim 0 for vectors).

    Example:
        >>> wg.hstack((wg.tensor([1]), wg.tensor([2])))
        tensor([1, 2])
    """
    parts = _parts(atleast_1d(list(tensors)), "hstack")
    return _core.cat(parts, 0 if parts[0].ndim == 1 else 1, out=out)


def _parts(parts, name):
    if not parts:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return list(parts)


@composed(method=False, aliases=("row_stack",))
def vstack(tensors, *, out=None):
    """Joins rows.

    Example:
        >>> wg.vstack((wg.tensor([1]), wg.tensor([2])))
        tensor([[1],
                [2]])
    """
    return _core.cat(_parts(atleast_2d(list(tensors)), "vstack"), 0, out=out)


@composed(method=False)
def dstack(tensors, *, out=None):
    """Joins along the third dim.

    Example:
        >>> wg.dstack((wg.tensor([1]), wg.tensor([2])))
        tensor([[[1, 2]]])
    """
    return _core.cat(_parts(atleast_3d(list(tensors)), "dstack"), 2, out=out)


@composed(method=False)
def column_stack(tensors, *, out=None):
    """Joins columns; 0-d and 1-D tensors become columns.

    Example:
        >>> wg.column_stack((wg.tensor([1, 2]), wg.tensor([3, 4])))
        tensor([[1, 3],
                [2, 4]])
    """
    parts = [t.reshape(-1, 1) if t.ndim < 2 else t for t in tensors]
    return _core.cat(_parts(parts, "column_stack"), 1, out=out)


@composed(method=False, aliases=("concatenate",))
def concat(tensors, dim=0, *, out=None, axis=None):
    """Another name of :func:`cat`.

    Example:
        >>> wg.concat((wg.tensor([1]), wg.tensor([2])))
        tensor([1, 2])
    """
    return _core.cat(tensors, dim if axis is None else axis, out=out)


@composed(method=False)
def block_diag(*tensors):
    """A matrix with the given matrices along its diagonal.

    Example:
        >>> wg.block_diag(wg.tensor([1]), wg.tensor([[2, 3]]))
        tensor([[1, 0, 0],
                [0, 2, 3]])
    """
    blocks = [atleast_2d(t) for t in tensors]
    for block in blocks:
        if block.ndim != 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions, got {block.ndim}"
            )
    rows, columns = sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)
    if not blocks:
        return _core.empty(1, 0)
    dtype = blocks[0].dtype
    for block in blocks:
        dtype = _core.promote_types(dtype, block.dtype)
    bands, left, total = [], 0, columns
    for block in blocks:
        width = block.shape[1]
        bands.append(_core._pad(block.to(dtype), [(0, 0), (left, total - left - width)]))
        left += width
    return _core.cat(bands, 0) if rows else blocks[0].new_zeros(0, columns, dtype=dtype)


@composed()
def broadcast_to(input, size):
    """A view of the input with the broadcast shape `size`.

    Example:
        >>> wg.broadcast_to(wg.tensor([1, 2]), (2, 2))
        tensor([[1, 2],
                [1, 2]])
    """
    return input.expand(tuple_of_ints("broadcast_to", "size", 2, size))


@composed(method=False)
def broadcast_shapes(*shapes):
    """The shape that several shapes broadcast to.

    Example:
        >>> wg.broadcast_shapes((2, 1), (3,))
        torch.Size([2, 3])
    """
    from .._size import Size

    return Size(broadcast_sizes(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes]))


@composed(method=False)
def broadcast_tensors(*tensors):
    """Views of all tensors with their common shape.

    Example:
        >>> [t.shape for t in wg.broadcast_tensors(wg.ones(2, 1), wg.ones(3))]
        [torch.Size([2, 3]), torch.Size([2, 3])]
    """
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    size = broadcast_sizes(*[t.shape for t in tensors])
    return tuple(t.expand(size) for t in tensors)


@composed(method=False)
def meshgrid(*tensors, indexing=None):
    """Coordinate grids of several 1-D tensors; `indexing` "xy" swaps the first two dims.

    Example:
        >>> wg.meshgrid(wg.tensor([1, 2]), wg.tensor([3]), indexing="ij")[0]
        tensor([[1],
                [2]])
    """
    tensors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            stacklevel=3,
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    tensors = [t.reshape(-1) if t.ndim < 2 else t for t in tensors]
    for t in tensors:
        if t.ndim != 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {tuple(t.shape)}"
            )
    size = [t.shape[0] for t in tensors]
    grids = []
    for i, t in enumerate(tensors):
        shape = [1] * len(size)
        shape[i] = size[i]
        grids.append(t.reshape(shape).expand(size))
    return tuple(g.transpose(0, 1) for g in grids) if indexing == "xy" and len(size) > 1 else tuple(grids)


@composed(method=False)
def cartesian_prod(*tensors):
    """Every combination of elements of 1-D tensors, one a row.

    Example:
        >>> wg.cartesian_prod(wg.tensor([1, 2]), wg.tensor([3]))
        tensor([[1, 3],
                [2, 3]])
    """
    for t in tensors:
        if t.ndim != 1:
            raise RuntimeError(f"cartesian_prod: Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return _core.stack([g.reshape(-1) for g in meshgrid(*tensors, indexing="ij")], 1)


@composed(method=False)
def combinations(input, r=2, with_replacement=False):
    """All r-element choices of a 1-D tensor's elements, one a row.

    Example:
        >>> wg.combinations(wg.tensor([1, 2, 3]))
        tensor([[1, 2],
                [1, 3],
                [2, 3]])
    """
    from array import array
    from itertools import chain
    from itertools import combinations as distinct
    from itertools import combinations_with_replacement as repeated

    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    count = input.shape[0]
    pool = count + r - 1 if with_replacement and count else count
    if min(r, pool - r) > 62:
        raise MemoryError(f"combinations: {r} of {count} elements give more rows than there is memory for")
    rows = math.comb(pool, r)
    if rows == 0:
        return input.narrow(0, 0, 0).unsqueeze(1).expand(0, r)
    _core.empty(rows, r, dtype=_core.int64)  # refuses what there is no memory for before counting it out
    chosen = (repeated if with_replacement else distinct)(range(count), r)
    index = _core.frombuffer(array("q", chain.from_iterable(chosen)), dtype=_core.int64)
    return input.index_select(0, index.to(input.device)).reshape(rows, r)


@composed(keywords=_SPLITS)
def tensor_split(input, indices_or_sections, dim=0):
    """Views of nearly equal parts, or of the parts between given indices.

    Example:
        >>> wg.tensor_split(wg.arange(5), 2)
        (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if input.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim = wrap_dim(dim, input.ndim)
    count = input.shape[dim]
    if isinstance(indices_or_sections, _core.Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if not isinstance(indices_or_sections, (list, tuple)):
        parts = integer("indices_or_sections", indices_or_sections)
        if parts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {parts}")
        _core._check_parts("tensor_split", parts)
        size, extra = divmod(count, parts)
        cuts = [0]
        for i in range(parts):
            cuts.append(cuts[-1] + size + (i < extra))
    else:
        cuts = [0, *(min(max(i + count if i < 0 else i, 0), count) for i in indices_or_sections), count]
    starts, ends = cuts[:-1], cuts[1:]
    return tuple(input.narrow(dim, a, max(b - a, 0)) for a, b in zip(starts, ends, strict=True))


def _splitter(name, dim, least):
    def split(input, indices_or_sections):
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension"
                f"{'s' if least > 1 else ''}, but got a tensor with {input.ndim} dimensions!"
            )
        if not isinstance(indices_or_sections, (list, tuple)):
            indices_or_sections = integer("indices_or_sections", indices_or_sections)
        along = 0 if name == "hsplit" and input.ndim == 1 else dim
        if isinstance(indices_or_sections, int) and (
            indices_or_sections <= 0 or input.shape[along] % indices_or_sections
        ):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {along}, but the size of the dimension "
                f"{input.shape[along]} is not divisible by the split_size {indices_or_sections}!"
            )
        return tensor_split(input, indices_or_sections, along)

    split.__name__ = split.__qualname__ = name
    split.__doc__ = f"""Splits along dim {dim}; an int must divide its size.

    Example:
        >>> len(wg.{name}(wg.ones(2, 2, 2), 2))
        2
    """
    return composed(keywords=_SPLITS)(split)


hsplit = _splitter("hsplit", 1, 1)
vsplit = _splitter("vsplit", 0, 2)
dsplit = _splitter("dsplit", 2, 3)


@composed(function=False)
def reshape_as(input, other):
    """The input in the shape of `other`.

    Example:
        >>> wg.arange(4).reshape_as(wg.ones(2, 2)).shape
        torch.Size([2, 2])
    """
    return input.reshape(other.shape)


@composed()
def argwhere(input):
    """The indices of what is not 0, one a row.

    Example:
        >>> wg.argwhere(wg.tensor([0, 5]))
        tensor([[1]])
    """
    return input.nonzero()
