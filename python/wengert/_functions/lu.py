"""Triangular factors of matrices with row interchanges, A = P·L·U, and what is solved with them.

Elimination goes column by column over all matrices of a batch at once; the derivative of the factors is
Murray's (https://arxiv.org/abs/1602.07527) with F = L⁻¹·Pᵀ·dA·U⁻¹: dL = L·tril(F, −1), dU = triu(F)·U.
"""

import warnings

from .. import _core
from . import linear_algebra as la
from ._compose import composed, results
from ._dims import broadcast_sizes

_lu = results("linalg_lu", "P", "L", "U")
_lu_factor = results("linalg_lu_factor", "LU", "pivots")
_lu_factor_ex = results("linalg_lu_factor_ex", "LU", "pivots", "info")
_lu_with_info = results("_lu_with_info", "LU", "pivots", "info")
_lu_unpack = results("lu_unpack", "P", "L", "U")
_triangular_solve = results("triangular_solve", "solution", "cloned_coefficient")


def _eliminated(a):
    """(L and U in one matrix, pivots counted from 1, info) of matrices `[b, m, n]`.

    `info` is the place of the first pivot that is 0, counted from 1, or 0.
    """
    a = a.clone()
    matrices, rows, columns = a.shape
    steps = min(rows, columns)
    batch = _core.arange(matrices, device=a.device)
    pivots = _core.zeros((matrices, steps), dtype=_core.int64, device=a.device)
    for k in range(steps):
        at = a[:, k:, k].abs().argmax(1) + k
        pivots[:, k] = at
        chosen = a[batch, at]
        a[batch, at] = a[:, k].clone()
        a[:, k] = chosen
        pivot = a[:, k, k].reshape(-1, 1)
        a[:, k + 1 :, k] /= _core.where(pivot == 0, 1.0, pivot)
        a[:, k + 1 :, k + 1 :] -= a[:, k + 1 :, k : k + 1] @ a[:, k : k + 1, k + 1 :]
    zero = a.diagonal(dim1=-2, dim2=-1) == 0
    first = zero.to(_core.int64).argmax(1) + 1 if steps else batch * 0
    info = _core.where(zero.any(1), first, 0)
    return a, (pivots + 1).to(_core.int32), info.to(_core.int32)


def _order(pivots, rows):
    """The rows of A in the order in which the interchanges leave them: `[…, m]`."""
    flat, orders = pivots.reshape(-1, pivots.shape[-1]).tolist() if pivots.numel() else [], []
    for interchanges in flat:
        order = list(range(rows))
        for k, pivot in enumerate(interchanges):
            order[k], order[pivot - 1] = order[pivot - 1], order[k]
        orders.append(order)
    shape = (*pivots.shape[:-1], rows)
    if not orders:
        return _core.arange(rows, device=pivots.device).expand(shape)
    return _core.tensor(orders, dtype=_core.int64, device=pivots.device).reshape(shape)


def _rows_in(order, b):
    """The rows of b in an order `[…, m]`."""
    return b.gather(-2, order.unsqueeze(-1).expand(b.shape))


def _parts(lu):
    """L with ones on its diagonal `[…, m, k]`, and U `[…, k, n]`, for k = min(m, n)."""
    rows, columns = lu.shape[-2:]
    k = min(rows, columns)
    one = _core.eye(rows, k, dtype=lu.dtype, device=lu.device)
    return lu[..., :k].tril(-1) + one, lu[..., :k, :].triu()


def _differentiable(a, lower, upper):
    """L and U as functions of the square matrix a, whose factors they are."""
    from ..autograd import Function

    class Factors(Function):
        @staticmethod
        def forward(ctx, a):
            left, right = lower.clone(), upper.clone()
            ctx.save_for_backward(left, right)
            return left, right

        @staticmethod
        def backward(ctx, grad_l, grad_u):
            left, right = ctx.saved_tensors
            inner = (left.mT @ grad_l).tril(-1) + (grad_u @ right.mT).triu()
            inner = la.solve_triangular(left.mT, inner, upper=True, unitriangular=True)
            return la.solve_triangular(right.mT, inner, upper=False, left=False)

    return Factors.apply(a)


def _packed(A, lu, order):
    """L and U in one matrix, as a function of A."""
    rows, columns = A.shape[-2:]
    k = min(rows, columns)
    a = _rows_in(order, A)
    lower, upper = _parts(lu.detach())
    lower, upper = _differentiable(a[..., :k, :k], lower[..., :k, :], upper[..., :k])
    packed = lower.tril(-1) + upper
    if rows > k:
        below = la.solve_triangular(upper, a[..., k:, :], upper=True, left=False)
        return _core.cat([packed, below], -2)
    if columns > k:
        beside = la.solve_triangular(lower, a[..., k:], upper=False, unitriangular=True)
        return _core.cat([packed, beside], -1)
    return packed


def _factored(name, A, pivot):
    """(LU, pivots, info) of A."""
    la._matrix(name, A)
    if not pivot:
        raise RuntimeError(f"linalg.{name}: LU without pivoting is not implemented; leave out pivot=False")
    rows, columns = A.shape[-2:]
    batch = A.shape[:-2]
    count = 1
    for size in batch:
        count *= size
    lu, pivots, info = _eliminated(A.detach().reshape(count, rows, columns))
    lu, pivots = lu.reshape(A.shape), pivots.reshape(*batch, min(rows, columns))
    if A.requires_grad and _core.is_grad_enabled():
        lu = _packed(A, lu, _order(pivots, rows))
    return lu, pivots, info.reshape(batch)


def _check_info(name, info):
    if info.numel() and int(info.max()):
        place = int(info.max())
        raise RuntimeError(
            f"linalg.{name}: U[{place},{place}] is zero and using it on lu_solve would result in a division by "
            "zero. If you still want to perform the factorization, call linalg.lu(A) or linalg.lu_factor_ex(A)"
        )


@la._linalg()
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """The factors of :func:`lu_factor`, and for each matrix the place of its first pivot of 0 (0: there is none).

    Args:
        A: `[…, m, n]`, float32 or float64.
        check_errors: raises the error of :func:`lu_factor` instead.

    Returns:
        `LU` `[…, m, n]`, `pivots` `[…, min(m, n)]` and `info` `[…]`, both int32.

    Raises:
        RuntimeError: for `pivot=False`, which is not implemented.

    Example:
        >>> wg.linalg.lu_factor_ex(wg.zeros(2, 2)).info
        tensor(1, dtype=torch.int32)
    """
    lu, pivots, info = _factored("lu_factor_ex", A, pivot)
    if check_errors:
        _check_info("lu_factor_ex", info)
    return _lu_factor_ex(lu, pivots, info)


@la._linalg()
def lu_factor(A, *, pivot=True):
    """L and U in one matrix, and the interchanges of rows: in step k row k with row pivots[k], counted from 1.

    Differentiable to any order where no pivot is 0. For `lu_solve`, which solves for several right sides.

    Args:
        A: `[…, m, n]`, float32 or float64.

    Returns:
        `LU` `[…, m, n]` and `pivots` `[…, min(m, n)]`, int32.

    Raises:
        RuntimeError: for a matrix with a pivot of 0, and for `pivot=False`, which is not implemented.

    Example:
        >>> wg.linalg.lu_factor(wg.tensor([[1., 2.], [2., 2.]]))
        torch.return_types.linalg_lu_factor(
        LU=tensor([[2.0000, 2.0000],
                [0.5000, 1.0000]]),
        pivots=tensor([2, 2], dtype=torch.int32))
    """
    lu, pivots, info = _factored("lu_factor", A, pivot)
    _check_info("lu_factor", info)
    return _lu_factor(lu, pivots)


@la._linalg()
def lu(A, *, pivot=True):
    """P, L and U with A = P·L·U: a permutation, a lower triangle with ones on its diagonal, an upper triangle.

    Args:
        A: `[…, m, n]`, float32 or float64.

    Returns:
        P `[…, m, m]`, L `[…, m, k]` and U `[…, k, n]` for k = min(m, n).

    Raises:
        RuntimeError: for `pivot=False`, which is not implemented.

    Example:
        >>> wg.linalg.lu(wg.tensor([[1., 2.], [2., 2.]])).P
        tensor([[0., 1.],
                [1., 0.]])
    """
    packed, pivots, _ = _factored("lu", A, pivot)
    return _lu(_permutation(pivots, packed), *_parts(packed))


def _permutation(pivots, like):
    rows = like.shape[-2]
    return _core.eye(rows, dtype=like.dtype, device=like.device)[_order(pivots, rows)].mT


@la._linalg()
def lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """X with A·X = B, given the factors of A from :func:`lu_factor`.

    Args:
        LU, pivots: `[…, n, n]` and `[…, n]`, int32.
        B: `[…, n, k]`; leading dims broadcast.
        left: False solves X·A = B, for B `[…, k, n]`.
        adjoint: solves with Aᵀ in A's place.

    Raises:
        RuntimeError: for shapes or a dtype that do not fit.

    Example:
        >>> factors = wg.linalg.lu_factor(wg.tensor([[2., 0.], [0., 4.]]))
        >>> wg.linalg.lu_solve(*factors, wg.ones(2, 1))
        tensor([[0.5000],
                [0.2500]])
    """
    la._matrix("lu_solve", LU, True)
    if pivots.dtype != _core.int32:
        raise RuntimeError(
            f"linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32, got {pivots.dtype}"
        )
    if pivots.shape != LU.shape[:-1]:
        raise RuntimeError(
            f"linalg.lu_solve: pivots of shape {tuple(pivots.shape)} do not fit an LU of shape {tuple(LU.shape)}"
        )
    if B.ndim < 2:
        raise RuntimeError("linalg.lu_solve: The input tensor B must have at least 2 dimensions.")
    if LU.dtype != B.dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B of one dtype, but got {LU.dtype} and {B.dtype}"
        )
    b = B if left else B.mT
    if b.shape[-2] != LU.shape[-1]:
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({LU.shape[-2]}x{LU.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )
    batch = broadcast_sizes(LU.shape[:-2], b.shape[:-2])
    b = b.expand(*batch, *b.shape[-2:])
    order = _order(pivots, LU.shape[-1]).expand(*batch, LU.shape[-1])
    lower, upper = _parts(LU)
    if adjoint == left:
        x = la.solve_triangular(upper.mT, b, upper=False)
        x = la.solve_triangular(lower.mT, x, upper=True, unitriangular=True)
        x = _rows_in(order.argsort(-1), x)
    else:
        x = la.solve_triangular(lower, _rows_in(order, b), upper=False, unitriangular=True)
        x = la.solve_triangular(upper, x, upper=True)
    return x if left else x.mT


def _deprecated(name, instead):
    warnings.warn(f"torch.{name} is deprecated in favor of {instead}.", stacklevel=4)


def _old_lu(A, pivot=True, get_infos=False, out=None):
    """(LU, pivots) of :func:`wengert.linalg.lu_factor`, and with `get_infos` its info; deprecated.

    Example:
        >>> import warnings; warnings.simplefilter("ignore")
        >>> wg.lu(wg.tensor([[1., 2.], [2., 2.]]))[1]
        tensor([2, 2], dtype=torch.int32)
    """
    _deprecated("lu", "torch.linalg.lu_factor / torch.linalg.lu_factor_ex")
    found = _factored("lu_factor", A, pivot)
    if not get_infos:
        _check_info("lu_factor", found[2])
        found = found[:2]
    if out is not None:
        return _core._write_out("lu", out, found, False)
    return _lu_with_info(*found) if get_infos else tuple(found)


def _old_lu_solve(input, LU_data, LU_pivots):
    """X with A·X = input, given A's factors; deprecated for :func:`wengert.linalg.lu_solve`.

    Example:
        >>> import warnings; warnings.simplefilter("ignore")
        >>> wg.lu_solve(wg.ones(1, 1), *wg.linalg.lu_factor(wg.tensor([[2.]])))
        tensor([[0.5000]])
    """
    _deprecated("lu_solve", "torch.linalg.lu_solve, whose arguments are in another order")
    return lu_solve(LU_data, LU_pivots, input)


# The names that linalg's functions have in this file.
_old_lu.__name__, _old_lu_solve.__name__ = "lu", "lu_solve"
composed()(_old_lu)
composed(out=True)(_old_lu_solve)


@composed(out=True)
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """(X with A·X = input for a triangular A, a copy of A); deprecated for :func:`wengert.linalg.solve_triangular`.

    Raises:
        RuntimeError: for sizes that do not fit.

    Example:
        >>> import warnings; warnings.simplefilter("ignore")
        >>> wg.triangular_solve(wg.tensor([[4.]]), wg.tensor([[2.]])).solution
        tensor([[2.]])
    """
    _deprecated("triangular_solve", "torch.linalg.solve_triangular, whose arguments are in another order")
    for name, value in (("input", input), ("A", A)):
        if value.ndim < 2:
            raise RuntimeError(
                f"triangular_solve(): {name} must have at least 2 dimensions, but has {value.ndim}"
            )
    if A.shape[-1] != A.shape[-2] or A.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for triangular_solve: each A matrix is {A.shape[-2]} by {A.shape[-1]} but "
            f"each b matrix is {input.shape[-2]} by {input.shape[-1]}"
        )
    matrix = A.mT if transpose else A
    solution = la.solve_triangular(matrix, input, upper=upper != transpose, unitriangular=unitriangular)
    return _triangular_solve(solution, A.expand(*solution.shape[:-2], *A.shape[-2:]).clone())


@composed(out=True)
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """P, L and U of what :func:`wengert.linalg.lu_factor` gives; what is not asked for is an empty tensor.

    Raises:
        RuntimeError: for pivots that are not int32, or no matrices.

    Example:
        >>> LU, pivots = wg.linalg.lu_factor(wg.tensor([[1., 2.], [2., 2.]]))
        >>> wg.lu_unpack(LU, pivots).U
        tensor([[2., 2.],
                [0., 1.]])
    """
    if LU_data.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected LU_data with 2 or more dimensions, but got {list(LU_data.shape)}"
        )
    if unpack_pivots and LU_pivots.dtype != _core.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype, got "
            f"{LU_pivots.dtype}"
        )
    nothing = LU_data.new_empty(0)
    P = _permutation(LU_pivots, LU_data) if unpack_pivots else nothing
    return _lu_unpack(P, *(_parts(LU_data) if unpack_data else (nothing, nothing)))
