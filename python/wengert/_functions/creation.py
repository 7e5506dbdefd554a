"""Triangles, diagonals and special matrices."""

from .. import _core
from .._core import int64
from ._compose import composed
from ._dims import integer, wrap_dim


def _triangle(rows, columns, diagonal, lower, device):
    """A bool mask of the lower (j - i ≤ diagonal) or upper (j - i ≥ diagonal) triangle."""
    offset = _core.arange(columns, device=device) - _core.arange(rows, device=device).unsqueeze(1)
    return offset <= diagonal if lower else offset >= diagonal


def _keep_triangle(name, input, diagonal, lower):
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got {input.ndim}")
    diagonal = integer("diagonal", diagonal)
    if input.is_cpu:
        rows, columns = input.shape[-2:]
        return _core._triangle(input, min(max(diagonal, -rows), columns), lower)
    return input.masked_fill(~_triangle(*input.shape[-2:], diagonal, lower, input.device), 0)


@composed(inplace=True, out=True)
def tril(input, diagonal=0):
    """The lower triangle of matrices `[…, m, n]`, zeros above.

    Example:
        >>> wg.tril(wg.ones(2, 2))
        tensor([[1., 0.],
                [1., 1.]])
    """
    return _keep_triangle("tril", input, diagonal, True)


@composed(inplace=True, out=True)
def triu(input, diagonal=0):
    """The upper triangle of matrices `[…, m, n]`, zeros below.

    Example:
        >>> wg.triu(wg.ones(2, 2))
        tensor([[1., 1.],
                [0., 1.]])
    """
    return _keep_triangle("triu", input, diagonal, False)


@composed(method=False)
def tril_indices(row, col, offset=0, *, dtype=int64, device=None):
    """Rows and columns of the lower triangle, `[2, count]`.

    Example:
        >>> wg.tril_indices(2, 2)
        tensor([[0, 1, 1],
                [0, 0, 1]])
    """
    return _triangle(row, col, offset, True, device).nonzero().t().contiguous().to(dtype)


@composed(method=False)
def triu_indices(row, col, offset=0, *, dtype=int64, device=None):
    """Rows and columns of the upper triangle, `[2, count]`.

    Example:
        >>> wg.triu_indices(2, 2)
        tensor([[0, 0, 1],
                [0, 1, 1]])
    """
    return _triangle(row, col, offset, False, device).nonzero().t().contiguous().to(dtype)


@composed()
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices whose diagonals (at `offset`) are the last dim of the input.

    Example:
        >>> wg.diag_embed(wg.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
    """
    first, second = wrap_dim(dim1, input.ndim + 1), wrap_dim(dim2, input.ndim + 1)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    count = input.shape[-1]
    size = count + abs(offset)
    if first > second:
        first, second, offset = second, first, -offset
    # Flattened, the diagonal's elements stand size + 1 apart: pad each to that length, cut, and shift.
    rows = _core._pad(input.unsqueeze(-1), [(0, 0)] * input.ndim + [(0, size)])
    rows = rows.reshape(*input.shape[:-1], count * (size + 1))
    start = offset if offset >= 0 else -offset * size
    total = size * size
    length = min(count * (size + 1), total - start)
    flat = _core._pad(
        rows.narrow(-1, 0, length), [(0, 0)] * (input.ndim - 1) + [(start, total - start - length)]
    )
    return flat.reshape(*input.shape[:-1], size, size).movedim((-2, -1), (first, second))


@composed(out=True)
def diag(input, diagonal=0):
    """The diagonal of a matrix, or the matrix with a vector on its diagonal.

    Example:
        >>> wg.diag(wg.tensor([[1, 2], [3, 4]]))
        tensor([1, 4])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim == 2:
        return input.diagonal(diagonal).clone()
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")


@composed()
def diagflat(input, offset=0):
    """The matrix whose diagonal is the flattened input.

    Example:
        >>> wg.diagflat(wg.tensor([[1], [2]]))
        tensor([[1, 0],
                [0, 2]])
    """
    return diag_embed(input.reshape(-1), offset)


@composed(function=False, inplace=True, method=False)
def fill_diagonal(input, fill_value, wrap=False):
    """A tensor with its main diagonal set to a number, for ``fill_diagonal_``.

    Example:
        >>> wg.zeros(2, 2).fill_diagonal_(5)
        tensor([[5., 0.],
                [0., 5.]])
    """
    if input.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if input.ndim > 2 and len(set(input.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step, scale = 0, 1
    for size in reversed(input.shape):
        step, scale = step + scale, scale * size
    count = input.numel() if wrap else min(input.shape) * step
    place = _core.arange(input.numel(), device=input.device)
    mask = ((place % step) == 0) & (place < max(count, 1))
    if input.ndim == 2 and not wrap:
        mask = mask & (place < input.shape[1] * input.shape[1])
    return input.masked_fill(mask.reshape(input.shape), fill_value)


@composed()
def trace(input):
    """The sum of a matrix's diagonal.

    Example:
        >>> wg.trace(wg.tensor([[1, 2], [-1, 0]]))
        tensor(1)
    """
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return input.diagonal().sum()


@composed(method=False)
def logspace(
    start, end, steps, base=10.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False
):
    """`steps` numbers from base**start to base**end, evenly spaced in the exponent.

    Example:
        >>> wg.logspace(0, 2, 3)
        tensor([  1.,  10., 100.])
    """
    if dtype is None:
        dtype = _core.get_default_dtype() if out is None else out.dtype
    exponents = _core.linspace(start, end, steps, dtype=_core.float64)
    result = _core.pow(base, exponents).to(dtype)
    if device is not None:
        result = result.to(device)
    if out is not None:
        return _core._write_out("logspace", out, result, False)
    return result.requires_grad_() if requires_grad else result


@composed(method=False)
def vander(x, N=None, increasing=False):
    """The matrix of powers of a vector's elements, falling from N - 1 unless `increasing`.

    Example:
        >>> wg.vander(wg.tensor([1, 2]), 3)
        tensor([[1, 1, 1],
                [4, 2, 1]])
    """
    if x.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor, got {x.ndim} dimensions")
    if N is None:
        N = x.shape[0]
    if N < 0:
        raise RuntimeError(f"N must be non-negative, got {N}")
    x = x if x.is_floating_point() else x.to(int64)
    if N == 0:
        return x.new_empty((x.shape[0], 0))
    first = _core.ones_like(x).unsqueeze(1)
    powers = _core.cat([first, x.unsqueeze(1).expand(-1, N - 1).cumprod(1)], 1)
    return powers if increasing else powers.flip(1)


@composed(method=False)
def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False):
    """A 0-d tensor of the default float dtype.

    Example:
        >>> wg.scalar_tensor(2)
        tensor(2.)
    """
    return _core.full(
        (), s, dtype=dtype or _core.get_default_dtype(), device=device, requires_grad=requires_grad
    )
