"""Reads and writes at computed places, and differences along a dim."""

from .. import _core
from .._core import int64
from ._compose import composed
from ._dims import broadcast_sizes, wrap_dim


@composed(out=True)
def take(input, index):
    """Elements at positions of the flattened input, in the shape of `index`.

    Example:
        >>> wg.take(wg.tensor([[1, 2], [3, 4]]), wg.tensor([0, -1]))
        tensor([1, 4])
    """
    _check_long("take", index)
    count = input.numel()
    places = _core.where(index < 0, index + count, index)
    if index.numel() and (int(index.amax()) >= count or int(index.amin()) < -count):
        raise IndexError(
            f"take(): index out of range: {count} elements, indices from {int(index.amin())} to "
            f"{int(index.amax())}"
        )
    return input.reshape(-1).index_select(0, places.reshape(-1)).reshape(index.shape)


def _check_long(name, index):
    if index.dtype != int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index.dtype}")


@composed(out=True)
def take_along_dim(input, indices, dim=None):
    """Elements picked along `dim` by broadcast indices (of the flattened input if None).

    Example:
        >>> x = wg.tensor([[3, 1, 2]])
        >>> wg.take_along_dim(x, wg.argsort(x, dim=1), dim=1)
        tensor([[1, 2, 3]])
    """
    _check_long("take_along_dim", indices)
    if dim is None:
        return _core.gather(input.reshape(-1), 0, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    dim = wrap_dim(dim, input.ndim)
    others = [list(input.shape), list(indices.shape)]
    others[0][dim] = others[1][dim] = 1
    common = broadcast_sizes(*others)
    wide = [common[:dim] + (t.shape[dim],) + common[dim + 1 :] for t in (input, indices)]
    return _core.gather(input.expand(wide[0]), dim, indices.expand(wide[1]))


@composed(inplace=True)
def put(input, index, source, accumulate=False):
    """The input with `source` at positions of its flattening.

    Example:
        >>> wg.zeros(3).put_(wg.tensor([1]), wg.tensor([5.]))
        tensor([0., 5., 0.])
    """
    _check_long("put_", index)
    if index.numel() != source.numel():
        raise RuntimeError(
            f"put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.numel()}, index.numel() = {index.numel()}"
        )
    places = _core.where(index < 0, index + input.numel(), index).reshape(-1)
    flat = input.reshape(-1).index_put((places,), source.reshape(-1), accumulate=accumulate)
    return flat.reshape(input.shape)


def _rows(name, input, dim, index):
    """(dim, index as a full tuple for index_put) of the index_* family."""
    dim = wrap_dim(dim, input.ndim)
    if name == "index_fill" and index.dtype != int64:
        raise IndexError(f"index_fill_(): Expected dtype int64 for index, but got {index.dtype}")
    if index.ndim > 1:
        # PyTorch has a RuntimeError for this one.
        kind = RuntimeError if name == "index_fill" else IndexError
        raise kind(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if name == "index_copy" and index.dtype != int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {index.dtype}")
    if index.dtype not in (int64, _core.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {index.dtype}")
    size = input.shape[dim] if input.ndim else 1
    index = index.reshape(-1).to(int64)
    if index.numel() and (int(index.amin()) < -size or int(index.amax()) >= size):
        raise IndexError(
            f"{name}(): index out of range in self: size {size}, indices from {int(index.amin())} to "
            f"{int(index.amax())}"
        )
    return dim, index


def _write_rows(name, input, dim, index, source, accumulate):
    dim, index = _rows(name, input, dim, index)
    if not accumulate and source.ndim == 0 and index.numel() != 1:
        raise IndexError(
            f"{name}(): When source is scalar, index should have one element (got {index.numel()})"
        )
    if input.dtype == _core.bool and accumulate:
        return _write_rows(name, input.to(int64), dim, index, source.to(int64), True).to(_core.bool)
    if input.ndim == 0:
        return input.reshape(1).index_put((index,), source.reshape(-1), accumulate=accumulate).reshape(())
    moved, source = input.movedim(dim, 0), source.movedim(dim, 0) if source.ndim else source.reshape(1)
    if source.shape[0] != index.numel() and accumulate is False:
        raise IndexError(
            f"{name}(): Number of indices ({index.numel()}) should be equal to source.size({dim}) "
            f"({source.shape[0]})"
        )
    if source.shape[0] != index.numel() or source.shape[1:] != moved.shape[1:]:
        raise RuntimeError(
            f"{name}(): source of shape {tuple(source.movedim(0, dim).shape)} does not fit {index.numel()} "
            f"indices along dim {dim} of shape {tuple(input.shape)}"
        )
    return moved.index_put((index,), source, accumulate=accumulate).movedim(0, dim)


@composed(inplace=True, out=True)
def index_add(input, dim, index, source, *, alpha=1):
    """The input with alpha · `source` added at `index` along `dim`; repeated indices add up.

    Example:
        >>> wg.index_add(wg.zeros(2), 0, wg.tensor([1, 1]), wg.tensor([1., 2.]))
        tensor([0., 3.])
    """
    if input.dtype != source.dtype:
        raise RuntimeError(
            "index_add_(): self and source expected to have the same dtype, but got (self) "
            f"{input.dtype} and (source) {source.dtype}"
        )
    return _write_rows(
        "index_add", input, dim, index, source if alpha == 1 else (source * alpha).to(source.dtype), True
    )


@composed(inplace=True, out=True)
def index_copy(input, dim, index, source):
    """The input with `source` written at `index` along `dim`.

    Example:
        >>> wg.index_copy(wg.zeros(2), 0, wg.tensor([1]), wg.tensor([5.]))
        tensor([0., 5.])
    """
    if input.dtype != source.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{input.dtype} and (source) {source.dtype}"
        )
    return _write_rows("index_copy", input, dim, index, source, False)


@composed(inplace=True)
def index_fill(input, dim, index, value):
    """The input with a number written at `index` along `dim`.

    Example:
        >>> wg.index_fill(wg.zeros(2), 0, wg.tensor([1]), 5)
        tensor([0., 5.])
    """
    if isinstance(value, _core.Tensor) and value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    dim, index = _rows("index_fill", input, dim, index)
    size = input.shape[dim] if input.ndim else 1
    mask = input.new_zeros(size, dtype=_core.bool)
    mask = mask.index_put((index,), mask.new_ones(()))
    shape = [1] * input.ndim
    if input.ndim:
        shape[dim] = size
    return input.masked_fill(mask.reshape(shape), value)


@composed(inplace=True)
def masked_scatter(input, mask, source):
    """The input with successive elements of `source` where `mask` is True.

    Example:
        >>> wg.masked_scatter(wg.zeros(3), wg.tensor([True, False, True]), wg.tensor([1., 2.]))
        tensor([1., 0., 2.])
    """
    if mask.dtype != _core.bool:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}"
        )
    if input.dtype != source.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype} and "
            f"{source.dtype}"
        )
    size = broadcast_sizes(input.shape, mask.shape)
    mask = mask.expand(size).reshape(-1)
    place = mask.to(int64).cumsum(0) - 1
    count = int(mask.sum())
    if count > source.numel():
        raise RuntimeError(f"masked_scatter: expected at least {count} source elements, got {source.numel()}")
    if count == 0:
        return input.expand(size).clone()
    values = source.reshape(-1).index_select(0, place.clamp(min=0))
    return _core.where(mask, values, input.expand(size).reshape(-1)).reshape(size)


@composed()
def select_scatter(input, src, dim, index):
    """The input with `src` in place of one slice along `dim`.

    Example:
        >>> wg.select_scatter(wg.zeros(2, 2), wg.ones(2), 0, 1)
        tensor([[0., 0.],
                [1., 1.]])
    """
    dim = wrap_dim(dim, input.ndim)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {dim}"
        )
    return slice_scatter(input, src.unsqueeze(dim), dim, index % size, index % size + 1)


@composed()
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """The input with `src` in place of a slice along `dim`.

    Example:
        >>> wg.slice_scatter(wg.zeros(3), wg.ones(2), 0, 1)
        tensor([0., 1., 1.])
    """
    dim = wrap_dim(dim, input.ndim)
    places = range(input.shape[dim])[slice(start, end, step)]
    return index_copy(input, dim, _core.tensor(list(places), dtype=int64, device=input.device), src)


@composed()
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """The input with `src` on its diagonal.

    Example:
        >>> wg.diagonal_scatter(wg.zeros(2, 2), wg.ones(2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    places = _core.arange(input.numel(), device=input.device).reshape(input.shape)
    places = places.diagonal(offset, dim1, dim2)
    if places.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice "
            f"size = {list(places.shape)}"
        )
    return put(input, places.contiguous(), src)


@composed(out="cast")
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """The n-th differences along `dim`.

    Example:
        >>> wg.diff(wg.tensor([1, 4, 9]))
        tensor([3, 5])
    """
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = wrap_dim(dim, input.ndim)
    parts = [p for p in (prepend, input, append) if p is not None]
    if len(parts) > 1:
        input = _core.cat(parts, dim)
    # As many differences as there are elements leave none.
    n = min(n, input.shape[dim])
    if n and not input.numel():
        return input.narrow(dim, 0, input.shape[dim] - n).clone()
    for _ in range(n):
        count = input.shape[dim]
        later = input.narrow(dim, 1, count - 1) if count else input
        earlier = input.narrow(dim, 0, max(count - 1, 0))
        input = later ^ earlier if input.dtype == _core.bool else later - earlier
    return input.clone() if n == 0 or input.shape[dim] == 0 else input


def _integral(y, x, dx, dim):
    """The trapezoids' areas along dim."""
    if y.ndim == 0:
        raise IndexError(f"trapezoid: Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, y.ndim)
    count = y.shape[dim]
    pairs = y.narrow(dim, min(count, 1), max(count - 1, 0)) + y.narrow(dim, 0, max(count - 1, 0))
    if x is None:
        return pairs * (dx / 2.0)
    if x.ndim == 1:
        shape = [1] * y.ndim
        shape[dim] = x.shape[0]
        x = x.reshape(shape)
    return pairs * diff(x, dim=dim) / 2.0


@composed(method=False, aliases=("trapz",))
def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral along `dim` by trapezoids, over points x or spacing dx (1).

    Example:
        >>> wg.trapezoid(wg.tensor([1., 2., 3.]))
        tensor(4.)
    """
    return _integral(y, x, 1.0 if dx is None else dx, dim).sum(dim)


@composed(method=False)
def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The running integral along `dim` by trapezoids.

    Example:
        >>> wg.cumulative_trapezoid(wg.tensor([1., 2., 3.]))
        tensor([1.5000, 4.0000])
    """
    return _integral(y, x, 1.0 if dx is None else dx, dim).cumsum(dim)


@composed()
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables in rows, observations in columns.

    Example:
        >>> wg.cov(wg.tensor([[1., 2.], [2., 4.]]))
        tensor([[0.5000, 1.0000],
                [1.0000, 2.0000]])
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    if aweights is not None and not aweights.is_floating_point():
        raise RuntimeError(
            f"cov(): expected aweights to have floating point dtype but got aweights with {aweights.dtype} dtype"
        )
    x = input.reshape(1, -1) if input.ndim < 2 else input
    x = x if x.is_floating_point() else x.to(_core.get_default_dtype())
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            weights = given.to(x.dtype) if weights is None else weights * given.to(x.dtype)
    if weights is None:
        total, mean = x.shape[1], x.mean(1, keepdim=True)
    else:
        if float(weights.sum()) == 0:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        total, mean = weights.sum(), (x * weights).sum(1, keepdim=True) / weights.sum()
    if aweights is not None and correction:
        freedom = total - correction * (weights * aweights.to(x.dtype)).sum() / total
    else:
        freedom = total - correction
    centred = x - mean
    freedom = freedom.clamp(min=0) if isinstance(freedom, _core.Tensor) else max(freedom, 0)
    product = (centred if weights is None else centred * weights) @ centred.t() / freedom
    return product.squeeze() if product.numel() == 1 else product


@composed()
def corrcoef(input):
    """Pearson's correlation of variables in rows.

    Example:
        >>> wg.corrcoef(wg.tensor([[1., 2., 3.], [1., 2., 3.]]))
        tensor([[1., 1.],
                [1., 1.]])
    """
    c = cov(input)
    if c.ndim == 0:
        return c / c
    spread = c.diagonal().sqrt()
    return (c / spread.unsqueeze(-1) / spread.unsqueeze(-2)).clamp(-1, 1)


@composed(method=False)
def gradient(input, *, spacing=1, dim=None, edge_order=1):
    """Derivatives along each dim by central differences, one-sided at the edges.

    Example:
        >>> wg.gradient(wg.tensor([1., 4., 9.]))
        (tensor([3., 4., 5.]),)
    """
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [wrap_dim(d, input.ndim) for d in dims]
    if isinstance(spacing, str):
        raise TypeError("gradient(): spacing must be a number, a tensor, or a sequence of them, not str")
    spacings = [spacing] * len(dims) if isinstance(spacing, (int, float, _core.Tensor)) else list(spacing)
    if len(spacings) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be a scalar or one per dim, got {len(spacings)} for {len(dims)} dims"
        )
    return tuple(_gradient_along(input, d, s, edge_order) for d, s in zip(dims, spacings, strict=True))


def _gradient_along(x, dim, spacing, edge_order):
    count = x.shape[dim]
    if edge_order not in (1, 2):
        raise RuntimeError(f"torch.gradient only supports edge_order=1 and edge_order=2, got {edge_order}")
    if count <= edge_order:
        raise RuntimeError(
            f"torch.gradient expected each dimension size to be at least edge_order+1, got {count}"
        )

    def at(i, n=1):
        return x.narrow(dim, i, n)

    if isinstance(spacing, _core.Tensor) and spacing.ndim == 1:
        shape = [1] * x.ndim
        shape[dim] = -1
        steps = diff(spacing).to(x.dtype).reshape(shape)
    else:
        shape = [1] * x.ndim
        shape[dim] = count - 1
        dtype = x.dtype if x.is_floating_point() else _core.get_default_dtype()
        steps = x.new_full(shape, float(spacing), dtype=dtype)
    before, after = steps.narrow(dim, 0, count - 2), steps.narrow(dim, 1, count - 2)
    inner = (
        at(2, count - 2) * (before / after)
        - at(0, count - 2) * (after / before)
        + at(1, count - 2) * (after / before - before / after)
    ) / (before + after)
    first, last = steps.narrow(dim, 0, 1), steps.narrow(dim, count - 2, 1)
    if edge_order == 1:
        left, right = (at(1) - at(0)) / first, (at(count - 1) - at(count - 2)) / last
    else:
        second, previous = steps.narrow(dim, 1, 1), steps.narrow(dim, count - 3, 1)
        left = _one_sided(at(0), at(1), at(2), first, second)
        right = -_one_sided(at(count - 1), at(count - 2), at(count - 3), last, previous)
    return _core.cat([left, inner, right], dim)


def _one_sided(a, b, c, h, k):
    """The slope at a of the parabola through a, b (h further) and c (k further still)."""
    return -a * ((2 * h + k) / (h * (h + k))) + b * ((h + k) / (h * k)) - c * (h / (k * (h + k)))
