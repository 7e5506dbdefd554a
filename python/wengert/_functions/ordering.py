"""Order statistics, running extrema and sets, composed from sort, gather and cumsum."""

from .. import _core
from .._core import int32, int64
from ._compose import composed, results
from ._dims import integer, truth, wrap_dim
from .reductions import HALVES, constant_of

_median = results("median", "values", "indices")
_nanmedian = results("nanmedian", "values", "indices")
_kthvalue = results("kthvalue", "values", "indices")
_mode = results("mode", "values", "indices")
_cummax = results("cummax", "values", "indices")
_cummin = results("cummin", "values", "indices")
_aminmax = results("aminmax", "min", "max")
_INF = float("inf")


def _take_at(input, dim, index, keepdim, kind):
    """The elements at `index` (kept dim) along dim, as named (values, indices)."""
    if input.ndim == 0:
        return kind(input.clone(), index)
    values = _core.gather(input, dim, index)
    return kind(values, index) if keepdim else kind(values.squeeze(dim), index.squeeze(dim))


def _no_bool(name, input):
    if input.dtype == _core.bool:
        raise NotImplementedError(
            f"{name}() is not implemented for bool tensors; convert them first, for example with .to(torch.uint8)"
        )


def _full_median(name, input, skip_nan):
    """The median of all elements; those that are equal to it share its gradient evenly."""
    if input.numel() == 0:
        return constant_of(input.sum(), input.new_full((), float("nan")))
    value = _median_along(name, input.detach().reshape(-1), 0, False, _median, skip_nan)[0]
    if not input.requires_grad:
        return value
    fixed = input.detach()
    if value.isnan():
        return input.masked_select(fixed.isnan()).mean()
    return input.masked_select(fixed == value).amax()


def _median_along(name, input, dim, keepdim, kind, skip_nan):
    _no_bool(name, input)
    truth(name, "keepdim", keepdim)
    dim = wrap_dim(dim, input.ndim)
    if input.ndim == 0:
        return kind(input.clone(), input.new_zeros((), dtype=int64))
    count = input.shape[dim]
    if count == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    if input.is_cpu:
        return _take_at(input, dim, _core._rank(input, dim, skip_nan=skip_nan), keepdim, kind)
    order = _core.argsort(input.detach(), dim=dim, stable=True)
    middle = order.narrow(dim, (count - 1) // 2, 1)
    if input.is_floating_point():
        nan = input.detach().isnan()
        if skip_nan:
            # NaN sorts last: the middle of the others.
            valid = (~nan).sum(dim, keepdim=True)
            middle = _core.gather(order, dim, ((valid - 1).clamp(min=0) // 2).to(int64))
        else:
            first_nan = nan.to(int64).argmax(dim, keepdim=True)
            middle = _core.where(nan.any(dim, keepdim=True), first_nan, middle)
    return _take_at(input, dim, middle, keepdim, kind)


@composed(out=True)
def median(input, dim=None, keepdim=False):
    """The lower median: of all elements, or (values, indices) along `dim`. NaN if there is one.

    Example:
        >>> wg.median(wg.tensor([3., 1., 2., 4.]))
        tensor(2.)
    """
    if dim is not None:
        return _median_along("median", input, dim, keepdim, _median, False)
    return _full_median("median", input, False)


@composed(out=True)
def nanmedian(input, dim=None, keepdim=False):
    """The lower median of what is not NaN.

    Example:
        >>> wg.nanmedian(wg.tensor([3., float("nan"), 2.]))
        tensor(2.)
    """
    if dim is not None:
        return _median_along("nanmedian", input, dim, keepdim, _nanmedian, True)
    return _full_median("nanmedian", input, True)


@composed(out=True)
def kthvalue(input, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th smallest along `dim`, counted from 1.

    Example:
        >>> wg.kthvalue(wg.tensor([3., 1., 2.]), 2).values
        tensor(2.)
    """
    _no_bool("kthvalue", input)
    dim = wrap_dim(dim, input.ndim)
    count = input.shape[dim] if input.ndim else 1
    k = integer("k", k)
    if not count:
        raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
    if not 1 <= k <= count:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    if input.ndim == 0:
        return _kthvalue(input.clone(), input.new_zeros((), dtype=int64))
    if input.is_cpu:
        index = _core._rank(input, dim, k - 1)
    else:
        index = _core.argsort(input.detach(), dim=dim, stable=True).narrow(dim, k - 1, 1)
    return _take_at(input, dim, index, keepdim, _kthvalue)


@composed(out=True)
def mode(input, dim=-1, keepdim=False):
    """(values, indices) of the most frequent value along `dim`; of equals the smallest, at its last place.

    Example:
        >>> wg.mode(wg.tensor([1, 2, 2, 3])).values
        tensor(2)
    """
    dim = wrap_dim(dim, input.ndim)
    if input.ndim == 0:
        return _mode(input.clone(), input.new_zeros((), dtype=int64))
    x = input.detach().movedim(dim, -1)
    count = (x.unsqueeze(-1) == x.unsqueeze(-2)).sum(-1)
    candidates = count == count.amax(-1, keepdim=True)
    order = _core.argsort(x, dim=-1, stable=True)
    first = _core.gather(candidates, -1, order).to(int64).argmax(-1, keepdim=True)
    value = _core.gather(x, -1, _core.gather(order, -1, first))
    places = _core.arange(x.shape[-1], device=x.device)
    index = _core.where(x == value, places, -1).amax(-1, keepdim=True)
    return _take_at(input, dim, index.movedim(-1, dim), keepdim, _mode)


def _quantile(name, input, q, dim, keepdim, interpolation, skip_nan):
    if not input.is_floating_point() or input.dtype in HALVES:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype, got {input.dtype}")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if not isinstance(q, _core.Tensor):
        q = input.new_tensor(q)
    if bool(((q < 0) | (q > 1)).any()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    flat = dim is None
    if not flat:
        dim = wrap_dim(dim, input.ndim)
    x = input.reshape(-1) if flat or input.ndim == 0 else input.movedim(dim, -1)
    if x.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    ordered = _core.sort(x, dim=-1)[0]
    nan = x.isnan()
    count = (~nan).sum(-1, keepdim=True) if skip_nan else x.shape[-1]
    rank = q.reshape(-1) * (count - 1)
    rank = rank.clamp(min=0).expand(*x.shape[:-1], q.numel())
    if not skip_nan:
        rank = _core.where(nan.any(-1, keepdim=True), x.shape[-1] - 1, rank)
    if interpolation == "lower":
        rank = rank.floor()
    elif interpolation == "higher":
        rank = rank.ceil()
    elif interpolation == "nearest":
        rank = rank.round()
    low, high = rank.floor(), rank.ceil()
    weight = rank - low if interpolation == "linear" else (rank != low).to(rank.dtype) * 0.5
    below = _core.gather(ordered, -1, low.to(int64))
    result = below
    if interpolation in ("linear", "midpoint"):
        above = _core.gather(ordered, -1, high.to(int64))
        result = below + weight * (above - below)
    result = result.movedim(-1, 0)
    if keepdim:
        kept = [1] * input.ndim if flat or not input.ndim else list(input.shape)
        if not flat and input.ndim:
            kept[dim] = 1
        result = result.reshape(q.numel(), *kept)
    elif input.ndim == 0 or flat:
        result = result.reshape(q.numel())
    return result.squeeze(0) if q.ndim == 0 else result


@composed(out=True)
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-th quantiles (0 ≤ q ≤ 1) of all elements or along `dim`; several q come first in the shape.

    Example:
        >>> wg.quantile(wg.tensor([1., 2., 3., 4.]), 0.25)
        tensor(1.7500)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@composed(out=True)
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-th quantiles of what is not NaN.

    Example:
        >>> wg.nanquantile(wg.tensor([1., float("nan"), 3.]), 0.5)
        tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


@composed(out=True)
def aminmax(input, *, dim=None, keepdim=False):
    """(min, max) of all elements or along `dim`.

    Example:
        >>> wg.tensor([3, 1, 2]).aminmax().max
        tensor(3)
    """
    if dim is None and input.numel() == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    dims = tuple(range(input.ndim)) if dim is None else (wrap_dim(dim, input.ndim),)
    return _aminmax(input.amin(dims, keepdim=keepdim), input.amax(dims, keepdim=keepdim))


@composed(out=True)
def msort(input):
    """Sorted along the first dimension.

    Example:
        >>> wg.msort(wg.tensor([2, 1]))
        tensor([1, 2])
    """
    return _core.sort(input, dim=0)[0]


def _doubling(x, dim, combine):
    """A running fold along dim in log2(n) steps: combine(earlier, later)."""
    count, step = x[0].shape[dim], 1
    while step < count:
        head = [v.narrow(dim, 0, step) for v in x]
        folded = combine(
            [v.narrow(dim, 0, count - step) for v in x], [v.narrow(dim, step, count - step) for v in x]
        )
        x = [_core.cat([h, f], dim) for h, f in zip(head, folded, strict=True)]
        step *= 2
    return x


def _running(input, dim, kind, beats):
    dim = wrap_dim(dim, input.ndim)
    if input.ndim == 0 or input.numel() == 0:
        return kind(input.clone(), _core.zeros_like(input, dtype=int64))
    if input.is_cpu:
        values, index = _core._running(input, dim, kind is _cummax)
        return kind(_core.gather(input, dim, index) if input.requires_grad else values, index)
    sizes = [1] * input.ndim
    sizes[dim] = input.shape[dim]
    places = _core.arange(input.shape[dim], device=input.device).reshape(sizes).expand(input.shape)
    floating = input.is_floating_point()

    def later_wins(earlier, later):
        wins = beats(later[0], earlier[0])
        if floating:
            wins = (wins & ~earlier[0].isnan()) | later[0].isnan()
        return [_core.where(wins, b, a) for a, b in zip(earlier, later, strict=True)]

    index = _doubling([input.detach(), places], dim, later_wins)[1].contiguous()
    return kind(_core.gather(input, dim, index), index)


@composed(out=True)
def cummax(input, dim):
    """(values, indices) of the running maximum along `dim`.

    Example:
        >>> wg.cummax(wg.tensor([1, 3, 2]), 0).values
        tensor([1, 3, 3])
    """
    return _running(input, dim, _cummax, lambda a, b: a >= b)


@composed(out=True)
def cummin(input, dim):
    """(values, indices) of the running minimum along `dim`.

    Example:
        >>> wg.cummin(wg.tensor([3, 1, 2]), 0).values
        tensor([3, 1, 1])
    """
    return _running(input, dim, _cummin, lambda a, b: a <= b)


@composed(out=True)
def logcumsumexp(input, dim):
    """log(cumsum(exp(x))) along `dim`, without overflow.

    Example:
        >>> wg.logcumsumexp(wg.tensor([0., 0.]), 0)
        tensor([0.0000, 0.6931])
    """
    dim = wrap_dim(dim, input.ndim)
    if input.ndim == 0:
        return input.clone()
    return _doubling([input], dim, lambda a, b: [_core.logaddexp(a[0], b[0])])[0]


def _rows(name, input, dim):
    """What is distinguished, along dim 0: the elements, or the slices along `dim`."""
    if dim is None:
        return input.reshape(-1)
    if not input.ndim:
        raise IndexError(f"{name}: Dimension specified as {dim} but tensor has no dimensions")
    x = input.movedim(wrap_dim(dim, input.ndim), 0)
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"{name}: There are 0 sized dimensions, and they aren't selected, so unique cannot be applied: "
            f"shape {list(input.shape)}, dim {dim}"
        )
    return x


@composed()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements with runs of equals collapsed; with `return_inverse`, `return_counts` those too.

    Example:
        >>> wg.unique_consecutive(wg.tensor([1, 1, 2, 1]))
        tensor([1, 2, 1])
    """
    x = _rows("unique_consecutive", input, dim)
    count = x.shape[0]
    changes = x.narrow(0, 1, max(count - 1, 0)) != x.narrow(0, 0, max(count - 1, 0)) if count else None
    if count and x.ndim > 1:
        changes = changes.reshape(count - 1, -1).any(1)
    starts = x.new_ones(min(count, 1), dtype=_core.bool)
    starts = _core.cat([starts, changes]) if count else starts
    places = starts.nonzero().reshape(-1)
    values = x.index_select(0, places)
    values = values if dim is None else values.movedim(0, wrap_dim(dim, input.ndim))
    if not (return_inverse or return_counts):
        return values
    inverse = starts.to(int64).cumsum(0) - 1
    ends = (
        _core.cat([places.narrow(0, 1, places.numel() - 1), places.new_tensor([count])]) if count else places
    )
    return _unique_results(
        values,
        inverse.reshape(input.shape) if dim is None else inverse,
        ends - places,
        return_inverse,
        return_counts,
    )


def _unique_results(values, inverse, counts, return_inverse, return_counts):
    extra = [part for part, wanted in ((inverse, return_inverse), (counts, return_counts)) if wanted]
    return (values, *extra) if extra else values


@composed()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements (or slices along `dim`), ascending.

    Example:
        >>> wg.unique(wg.tensor([3, 1, 3]), return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    x = _rows("unique", input, dim)
    if x.ndim == 1 and not (return_inverse or return_counts):
        return unique_consecutive(_core.sort(x)[0])
    order = _core.arange(x.shape[0], device=x.device)
    keys = x.reshape(x.shape[0], -1) if x.shape[0] else x.reshape(0, 1)
    for column in reversed(range(keys.shape[1])):
        order = order.index_select(
            0, _core.argsort(keys.select(1, column).index_select(0, order), stable=True)
        )
    values, inverse, counts = unique_consecutive(
        x.index_select(0, order), True, True, 0 if dim is not None else None
    )
    inverse = inverse.reshape(-1).scatter(0, order, inverse.reshape(-1))
    values = values if dim is None else values.movedim(0, wrap_dim(dim, input.ndim))
    return _unique_results(
        values,
        inverse.reshape(input.shape) if dim is None else inverse,
        counts,
        return_inverse,
        return_counts,
    )


@composed()
def bincount(input, weights=None, minlength=0):
    """How often each value 0, 1, … occurs in a 1-D tensor of non-negative integers, or the sum of its weights.

    Example:
        >>> wg.bincount(wg.tensor([0, 2, 2]))
        tensor([1, 0, 2])
    """
    if input.is_floating_point() or input.dtype == _core.bool:
        raise NotImplementedError(
            f"bincount() is not implemented for {input.dtype}; it counts non-negative integers"
        )
    if input.is_cpu and input.ndim == 1 and weights is None and minlength >= 0:
        counts = _core._counts(input, minlength)
        if counts is not None:
            return counts
    if input.ndim != 1 or (input.numel() and int(input.amin()) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    size = max(int(input.amax()) + 1 if input.numel() else 0, minlength)
    if weights is None or not input.numel():
        weights = _core.ones_like(input, dtype=int64)
    elif weights.dtype != _core.float32:
        weights = weights.to(_core.float64)
    return weights.new_zeros(size).scatter_add(0, input.to(int64), weights.detach())


@composed(out=True)
def histc(input, bins=100, min=0, max=0):
    """Counts in `bins` equal bins between `min` and `max` (of the data if both are 0); others are left out.

    Example:
        >>> wg.histc(wg.tensor([1., 2., 1.]), bins=4, min=0, max=3)
        tensor([0., 2., 1., 0.])
    """
    if not input.is_floating_point():
        raise NotImplementedError(f"histc: expected a floating point tensor, got {input.dtype}")
    if bins <= 0:
        raise RuntimeError(f"torch.histc: bins must be > 0, got {bins}")
    if min > max:
        raise RuntimeError("torch.histc: max must be larger than min")
    x = input.detach().reshape(-1)
    if min == max and x.numel():
        min, max = x.amin().item(), x.amax().item()
    if min == max:
        min, max = min - 1, max + 1
    if not (-_INF < min and max < _INF):
        raise RuntimeError(f"torch.histc: range of [{min}, {max}] is not finite")
    inside = (x >= min) & (x <= max)
    if x.is_cpu and x.dtype not in HALVES and bins <= 1 << 20:
        # One bin more for what is equal to max, and one for what is left out.
        place = ((x - min) / (max - min) * bins).masked_fill(~inside, bins + 1)
        counts = _core._counts(place.to(int64), bins + 2)
        if counts is not None:
            counts[bins - 1] += counts[bins]
            # No number of a dtype's precision is reached by adding ones beyond this.
            return counts.narrow(0, 0, bins).clamp(max=int(2 / _core.finfo(x.dtype).eps)).to(x.dtype)
    x = x.masked_select(inside)
    place = ((x - min) / (max - min) * bins).to(int64).clamp(max=bins - 1)
    return input.new_zeros(bins).scatter_add(0, place, _core.ones_like(x))


@composed(method=False, out=True, keywords={"input": "values", "self": "values"})
def searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None, sorter=None):
    """Where `values` would go in a sequence sorted along the last dim, so that it stays sorted.

    Example:
        >>> wg.searchsorted(wg.tensor([1, 3, 5]), wg.tensor([3, 6]))
        tensor([1, 3])
    """
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
        right = side == "right"
    if not isinstance(values, _core.Tensor):
        values = _core.tensor(values, device=sorted_sequence.device)
    if sorter is not None:
        sorted_sequence = _core.gather(sorted_sequence, -1, sorter)
    if sorted_sequence.ndim == 0:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have at least 1 dimension, but got 0 dimensions"
        )
    if sorted_sequence.ndim > 1 and sorted_sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions "
            f"of boundaries tensor and input value tensor must match, got {tuple(sorted_sequence.shape)} "
            f"and {tuple(values.shape)}"
        )
    sequence, values = sorted_sequence.detach(), values.detach()
    if sequence.is_cpu and values.is_cpu and sequence.dtype == values.dtype:
        low = _core._search(sequence, values, bool(right))
        return low.to(int32) if out_int32 else low
    low = _core.zeros_like(values, dtype=int64)
    count = sequence.shape[-1]
    high = _core.full_like(values, count, dtype=int64)
    for _ in range(count.bit_length()):
        middle = (low + high) // 2
        probe = middle.clamp(max=max(count - 1, 0))
        if sequence.ndim > 1:
            found = _core.gather(sequence, -1, probe)
        else:
            found = sequence.index_select(0, probe.reshape(-1)).reshape(probe.shape)
        # NaN sorts last, so it lies beyond every number.
        before = found <= values if right else found < values
        if values.is_floating_point():
            before = before | (values.isnan() & (~found.isnan() | right))
        before = before & (low < high)
        low, high = _core.where(before, middle + 1, low), _core.where(before, high, middle)
    return low.to(int32) if out_int32 else low


@composed(method=False, out=True)
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The bucket between 1-D sorted `boundaries` that each element falls into.

    Example:
        >>> wg.bucketize(wg.tensor([1, 4]), wg.tensor([1, 3, 5]))
        tensor([0, 2])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(
            f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
