"""Scatters that combine what comes to one place."""

from .. import _core
from ._compose import composed
from ._dims import wrap_dim

_KINDS = ("sum", "prod", "mean", "amax", "amin")


def _flat_places(input, dim, index):
    """For each element of `index` its place in the flattened input."""
    grids = [
        _core.arange(n, device=index.device).reshape([-1 if i == d else 1 for i in range(index.ndim)])
        for d, n in enumerate(index.shape)
    ]
    grids[dim] = index
    places = _core.zeros_like(index, dtype=_core.int64)
    for grid, size in zip(grids, input.shape, strict=True):
        places = places * size + grid
    return places.reshape(-1)


def _grouped(places, values, rising=True):
    """An order in which equal places are together, values rising or falling; ranks in the groups; their starts."""
    order = values.argsort(descending=not rising, stable=True)
    order = order[places[order].argsort(stable=True)]
    sorted_places = places[order]
    starts = _core.ones_like(order, dtype=_core.bool)
    starts[1:] = sorted_places[1:] != sorted_places[:-1]
    count = _core.arange(len(order), device=order.device)
    return order, count - _core.where(starts, count, 0).cummax(0).values, starts


def _extreme_values(flat, places, values, largest):
    """The flat input with the greatest (or least) of its own and the values that come to each place."""
    flat, values = flat.detach(), values.detach()
    order, _, starts = _grouped(places, values, largest)
    # The last of each group, by what follows it.
    ends = _core.cat([starts[1:], starts.new_ones(1)])
    winners = order[ends]
    at, best = places[winners], values[winners]
    chosen = _core.maximum(flat[at], best) if largest else _core.minimum(flat[at], best)
    return flat.index_put((at,), chosen)


def _extremes(flat, own, places, values, largest):
    """`_extreme_values` whose gradient is shared by the equal elements, as PyTorch shares it.

    `own` says which elements of `flat` are the input's, and take part in that.
    """
    result = _extreme_values(flat, places, values, largest)
    if not (flat.requires_grad or values.requires_grad):
        return result
    from ..autograd import Function

    class ScatterExtremes(Function):
        @staticmethod
        def forward(ctx, flat, values):
            return result

        @staticmethod
        def backward(ctx, grad):
            kept = (own & (flat.detach() == result)).to(grad.dtype)
            given = (values.detach() == result[places]).to(grad.dtype)
            share = grad / kept.index_add(0, places, given).clamp(min=1)
            return share * kept, share[places] * given

    return ScatterExtremes.apply(flat, values)


def _products(flat, places, values):
    """The flat input times what comes to each place, one element of each group at a time."""
    order, rank, _ = _grouped(places, values.detach())
    for turn in range(int(rank.max()) + 1):
        now = order[rank == turn]
        at = places[now]
        flat = flat.index_put((at,), flat[at] * values[now])
    return flat


@composed(inplace=True, out=True)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """The input with the elements of `src` combined into the places that `index` names along `dim`.

    `reduce` is "sum", "prod", "mean", "amax" or "amin"; without `include_self` the input's own elements count
    only where nothing comes.

    Example:
        >>> wg.scatter_reduce(wg.zeros(2), 0, wg.tensor([0, 0, 1]), wg.tensor([1., 5., 2.]), "amax")
        tensor([5., 2.])
    """
    if reduce not in _KINDS:
        raise RuntimeError(
            f"scatter_reduce(): reduce argument must be either {', '.join(_KINDS)}, got {reduce}"
        )
    if src.dtype != input.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    dim = wrap_dim(dim, input.ndim)
    # Checks shapes and bounds, and gives the input without the elements that do not count.
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": None, "amin": None}[reduce]
    checked = input.scatter(dim, index, src)
    if not index.numel():
        return input.clone()
    if input.ndim == 0:
        return scatter_reduce(
            input.reshape(1), 0, index.reshape(1), src.reshape(1), reduce, include_self=include_self
        ).reshape(())
    if index.shape != src.shape:
        src = src[tuple(slice(n) for n in index.shape)]
    own = _core.ones_like(input, dtype=_core.bool)
    if include_self:
        base = input
    elif neutral is None:
        # Any of the elements that come is as good as a neutral one; it carries no gradient.
        own = own.scatter(dim, index, False)
        base = _core.where(own, input, checked.detach())
    else:
        base = input.scatter(dim, index, neutral)
    if reduce in ("sum", "mean"):
        result = base.scatter_add(dim, index, src)
        return result if reduce == "sum" else _averaged(result, dim, index, include_self)
    flat, places, values = base.reshape(-1), _flat_places(input, dim, index), src.reshape(-1)
    if reduce == "prod":
        return _products(flat, places, values).reshape(input.shape)
    return _extremes(flat, own.reshape(-1), places, values, reduce == "amax").reshape(input.shape)


def _averaged(total, dim, index, include_self):
    start = (_core.ones_like if include_self else _core.zeros_like)(total.detach())
    counts = start.scatter_add(dim, index, total.new_ones(index.shape)).clamp(min=1)
    return total / counts if total.is_floating_point() else total.div(counts, rounding_mode="floor")


@composed(inplace=True, out=True)
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """The input with the slices of `source` combined into the places `index` (one dim) along `dim`.

    `reduce` is "prod", "mean", "amax" or "amin".

    Example:
        >>> wg.index_reduce(wg.ones(2), 0, wg.tensor([0, 0]), wg.tensor([3., 5.]), "prod")
        tensor([15.,  1.])
    """
    if reduce not in _KINDS[1:]:
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of {', '.join(_KINDS[1:])} but got {reduce}."
        )
    dim = wrap_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_reduce_(): Index is supposed to be a vector")
    if source.shape[:dim] + source.shape[dim + 1 :] != input.shape[:dim] + input.shape[dim + 1 :]:
        raise RuntimeError(
            f"index_reduce(): source of shape {tuple(source.shape)} does not fit {tuple(input.shape)} along dim {dim}"
        )
    wide = index.reshape([-1 if i == dim else 1 for i in range(input.ndim)]).expand(source.shape)
    return scatter_reduce(input, dim, wide, source, reduce, include_self=include_self)
