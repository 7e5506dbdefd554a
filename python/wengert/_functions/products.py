"""Products of vectors and matrices composed from matmul."""

import warnings

from .. import _core
from ._compose import composed
from ._dims import broadcast_sizes, product, wrap_dim
from .reductions import HALVES


@composed(out="cast", aliases=("ger",))
def outer(input, vec2):
    """The outer product of two vectors, `[m, n]`.

    Example:
        >>> wg.outer(wg.tensor([1, 2]), wg.tensor([3, 4]))
        tensor([[3, 4],
                [6, 8]])
    """
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(
            f"outer: Expected 1-D argument self and vec2, but got {input.ndim}-D and {vec2.ndim}-D"
        )
    return input.unsqueeze(1) * vec2


@composed(out=True)
def inner(input, other):
    """Sums of products over the last dims; with a scalar, the product.

    Example:
        >>> wg.inner(wg.tensor([1, 2]), wg.tensor([3, 4]))
        tensor(11)
    """
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ((-1,), (-1,)))


@composed(out=True)
def vdot(input, other):
    """The dot product of two vectors.

    Example:
        >>> wg.vdot(wg.tensor([1, 2]), wg.tensor([3, 4]))
        tensor(11)
    """
    return _core.dot(input, other)


@composed(method=False, out=True)
def tensordot(a, b, dims=2):
    """Contraction over the last `dims` dims of a and first of b, or over two lists of dims.

    Example:
        >>> wg.tensordot(wg.ones(2, 3), wg.ones(3, 4), 1).shape
        torch.Size([2, 4])
    """
    if isinstance(dims, int):
        if dims < 0 or dims > min(a.ndim, b.ndim):
            raise RuntimeError(
                f"tensordot expects dims >= 0 and at most {min(a.ndim, b.ndim)}, but got dims={dims}"
            )
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(left) != len(right):
        raise RuntimeError(f"both dimension lists should have same length, got {len(left)} and {len(right)}")
    left, right = [wrap_dim(d, a.ndim) for d in left], [wrap_dim(d, b.ndim) for d in right]
    for p, q in zip(left, right, strict=True):
        if a.shape[p] != b.shape[q]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[p]} in dim {p} and "
                f"second has size {b.shape[q]} in dim {q}"
            )
    rows = [d for d in range(a.ndim) if d not in left]
    columns = [d for d in range(b.ndim) if d not in right]
    shape = [a.shape[d] for d in rows] + [b.shape[d] for d in columns]
    inside = product(a.shape[d] for d in left)
    x = a.permute(rows + left).reshape(product(a.shape[d] for d in rows), inside)
    y = b.permute(right + columns).reshape(inside, product(b.shape[d] for d in columns))
    return _core.matmul(x, y).reshape(shape)


def _blend(name, input, addend, beta, alpha):
    """beta · input + alpha · addend in the addend's dtype, to whose shape `input` broadcasts."""
    if input.dtype != addend.dtype:
        raise RuntimeError(
            f"{name}: the input and the matrices must have the same dtype, but got {input.dtype} and "
            f"{addend.dtype}; cast one of them with .to()"
        )
    if not addend.is_floating_point():
        # The numbers are taken in the matrices' dtype, which has no fractions.
        beta, alpha = (bool(s) if addend.dtype == _core.bool else int(s) for s in (beta, alpha))
    try:
        target = input.expand(addend.shape)
    except RuntimeError:
        raise RuntimeError(
            f"{name}: the input of shape {list(input.shape)} does not broadcast to the product's shape "
            f"{list(addend.shape)}"
        ) from None
    addend = addend if alpha == 1 else addend * alpha
    if beta == 0:
        # NaN and inf of the input are ignored then.
        return addend
    return (target if beta == 1 else target * beta) + addend


@composed(inplace=True, out=True, old_order=True)
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta · input + alpha · mat1 @ mat2.

    Example:
        >>> wg.addmm(wg.ones(2, 2), wg.eye(2), wg.eye(2))
        tensor([[2., 1.],
                [1., 2.]])
    """
    return _blend("addmm", input, _core.mm(mat1, mat2), beta, alpha)


@composed(inplace=True, out=True, old_order=True)
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta · input + alpha · mat @ vec.

    Example:
        >>> wg.addmv(wg.ones(2), wg.eye(2), wg.tensor([1., 2.]))
        tensor([2., 3.])
    """
    return _blend("addmv", input, _core.mv(mat, vec), beta, alpha)


@composed(inplace=True, out="cast", old_order=True)
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta · input + alpha · outer(vec1, vec2).

    Example:
        >>> wg.addr(wg.zeros(1, 2), wg.tensor([1.]), wg.tensor([2., 3.]))
        tensor([[2., 3.]])
    """
    product = outer(vec1, vec2)
    dtype = _core.result_type(input, product)
    if not dtype.is_floating_point:
        for name, number in (("beta", beta), ("alpha", alpha)):
            if isinstance(number, float):
                raise RuntimeError(
                    f"addr: For integral input tensors, argument {name} must not be a floating point number, "
                    f"but got {number}"
                )
    return _blend("addr", input.to(dtype), product.to(dtype), beta, alpha)


@composed(inplace=True, out=True, old_order=True)
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta · input + alpha · batch1 @ batch2, matrices in batches.

    Example:
        >>> wg.baddbmm(wg.zeros(1, 1, 1), wg.ones(1, 1, 2), wg.ones(1, 2, 1))
        tensor([[[2.]]])
    """
    return _blend("baddbmm", input, _core.bmm(batch1, batch2), beta, alpha)


@composed(inplace=True, out=True, old_order=True)
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta · input + alpha · the sum over the batch of batch1 @ batch2.

    Example:
        >>> wg.addbmm(wg.zeros(1, 1), wg.ones(2, 1, 2), wg.ones(2, 2, 1))
        tensor([[4.]])
    """
    return _blend("addbmm", input, _core.bmm(batch1, batch2).sum(0, dtype=batch1.dtype), beta, alpha)


@composed(method=False, out=True)
def chain_matmul(*matrices):
    """The product of several matrices in the cheapest order.

    Example:
        >>> wg.chain_matmul(wg.ones(2, 3), wg.ones(3, 1)).shape
        torch.Size([2, 1])
    """
    return multi_dot_chain(list(matrices))


def multi_dot_chain(matrices):
    """The product of matrices, parenthesised by the classic dynamic programme."""
    n = len(matrices)
    for m in matrices:
        if m.ndim != 2:
            raise RuntimeError(f"chain_matmul: Tensor dimension is {m.ndim}, expected 2 instead.")
    if n == 1:
        return matrices[0]
    sizes = [m.shape[0] for m in matrices] + [matrices[-1].shape[1]]
    cost = [[0] * n for _ in range(n)]
    cut = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], cut[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def chain(i, j):
        return matrices[i] if i == j else _core.mm(chain(i, cut[i][j]), chain(cut[i][j] + 1, j))

    return chain(0, n - 1)


@composed(out="cast")
def kron(input, other):
    """The Kronecker product.

    Example:
        >>> wg.kron(wg.eye(2), wg.ones(1, 2))
        tensor([[1., 1., 0., 0.],
                [0., 0., 1., 1.]])
    """
    ndim = max(input.ndim, other.ndim)
    a = (1,) * (ndim - input.ndim) + tuple(input.shape)
    b = (1,) * (ndim - other.ndim) + tuple(other.shape)
    left = [s for n in a for s in (n, 1)]
    right = [s for n in b for s in (1, n)]
    return (input.reshape(left) * other.reshape(right)).reshape([m * n for m, n in zip(a, b, strict=True)])


@composed()
def dist(input, other, p=2):
    """The p-norm of the difference.

    Example:
        >>> wg.dist(wg.tensor([3.]), wg.tensor([7.]))
        tensor(4.)
    """
    from .reductions import norm

    return norm(input - other, float(p))


CDIST_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)


@composed(method=False)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """p-distances between all rows of `[…, m, d]` and `[…, n, d]`: `[…, m, n]`.

    With more than 25 rows on a side, Euclidean distances come from one matrix product (|a|² + |b|² − 2 a·b), which is
    fast and exact to about the root of the dtype's precision where two rows nearly agree;
    `compute_mode="donot_use_mm_for_euclid_dist"` takes differences always, `"use_mm_for_euclid_dist"` never.

    Example:
        >>> wg.cdist(wg.tensor([[0., 0.]]), wg.tensor([[3., 4.]]))
        tensor([[5.]])
    """
    from .reductions import vector_power_sum

    for name, x in (("X1", x1), ("X2", x2)):
        if not x.is_floating_point() or x.dtype in HALVES:
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {x.dtype}")
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if compute_mode not in CDIST_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    many = x1.shape[-2] > 25 or x2.shape[-2] > 25
    if (
        p == 2
        and x1.shape[-1]
        and (compute_mode == CDIST_MODES[1] or (compute_mode == CDIST_MODES[0] and many))
    ):
        return euclidean_by_product(x1, x2)
    if x1.shape[-1] == 0:
        # The largest of no differences is 0 here.
        p = 1.0
    return vector_power_sum(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, (-1,), False)


def euclidean_by_product(x1, x2):
    """Distances as the root of |a|² + |b|² − 2 a·b, one product: the squares are further columns."""
    from .reductions import safe_root

    squares1, squares2 = (x.square().sum(-1, keepdim=True) for x in (x1, x2))
    left = _core.cat([x1 * -2.0, squares1, squares1.new_ones(squares1.shape)], -1)
    right = _core.cat([x2, squares2.new_ones(squares2.shape), squares2], -1)
    return safe_root((left @ right.mT).clamp_min(0.0), _core.sqrt)


@composed(out=True)
def cross(input, other, dim=None):
    """The cross product of vectors of length 3 along `dim` (the first dim of size 3 if None).

    Example:
        >>> wg.cross(wg.tensor([1., 0., 0.]), wg.tensor([0., 1., 0.]), dim=0)
        tensor([0., 0., 1.])
    """
    if dim is None:
        fitting = [d for d, n in enumerate(input.shape) if n == 3]
        if not fitting:
            raise RuntimeError("no dimension of size 3 in input")
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated. Please either pass the dim explicitly or "
            "simply use torch.linalg.cross.",
            stacklevel=3,
        )
        dim = fitting[0]
    return cross_along(input, other, dim)


def cross_along(input, other, dim):
    """The cross product along one dim of size 3, the others broadcasting."""
    size = broadcast_sizes(input.shape, other.shape)
    if not input.ndim or not other.ndim:
        raise IndexError(f"linalg.cross: Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, len(size))
    if input.shape[dim - len(size)] != 3 or other.shape[dim - len(size)] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    a, b = ([t.expand(size).select(dim, i) for i in range(3)] for t in (input, other))
    return _core.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], dim)
