"""Symmetric factors P·L·D·Lᵀ·Pᵀ with blocks of one or two rows in D, in LAPACK's storage.

Bunch and Kaufman, "Some stable methods for calculating inertia and solving symmetric linear systems" (1977). One matrix
after the other, in Python: for solving with many right sides `lu_factor` is faster.
"""

import math

from .. import _core
from . import linear_algebra as la
from ._compose import results
from ._dims import broadcast_sizes, product

_ldl_factor = results("linalg_ldl_factor", "LD", "pivots")
_ldl_factor_ex = results("linalg_ldl_factor_ex", "LD", "pivots", "info")
_GROWTH = (1 + math.sqrt(17)) / 8


def _pivot(a, k):
    """(the row that comes to the block's last place, the block's size) for the rest of a matrix from k on."""
    own = abs(a[k, k].item())
    below = a[k + 1 :, k].abs()
    if not below.numel() or own >= _GROWTH * below.max().item():
        return k, 1
    most, largest = k + 1 + int(below.argmax()), below.max().item()
    across = _core.cat([a[most, k:most], a[most + 1 :, most]]).abs().max().item()
    if own * across >= _GROWTH * largest * largest:
        return k, 1
    return most, 1 if abs(a[most, most].item()) >= _GROWTH * across else 2


def _swapped(a, first, second):
    """Exchanges two rows and columns of the lower triangle's rest, whose part before `first` stays."""
    between, end = slice(first + 1, second), slice(second + 1, None)
    for one, other in (
        ((end, first), (end, second)),
        ((between, first), (second, between)),
        ((first, first), (second, second)),
    ):
        held = a[one].clone()
        a[one] = a[other].clone()
        a[other] = held


def _factored(a):
    """Factors the lower triangle of one matrix in place: (pivots, info)."""
    pivots, info, k, n = [], 0, 0, a.shape[0]
    while k < n:
        row, size = _pivot(a, k)
        last = k + size - 1
        if row != last:
            _swapped(a, last, row)
            if size == 2:
                held = a[last, k].clone()
                a[last, k] = a[row, k].clone()
                a[row, k] = held
        pivots += [row + 1] if size == 1 else [-(row + 1)] * 2
        if size == 1 and a[k, k] == 0:
            info = info or k + 1
        elif last + 1 < n:
            columns = a[last + 1 :, k : last + 1].clone()
            scaled = _core._solve(_block(a, k, size), columns.mT).mT
            a[last + 1 :, last + 1 :] -= scaled @ columns.mT
            a[last + 1 :, k : last + 1] = scaled
        k += size
    return pivots, info


def _block(a, k, size):
    """D's block at k, whole."""
    lower = a[k : k + size, k : k + size].tril()
    return lower + lower.tril(-1).mT


def _factors(name, A):
    la._matrix(name, A, True)
    n, batch = A.shape[-1], A.shape[:-2]
    made = A.detach().reshape(product(batch), n, n).tril()
    found = [_factored(matrix) for matrix in made.unbind()] if n else [([], 0)] * len(made)
    pivots = _core.tensor([p for p, _ in found], dtype=_core.int32, device=A.device).reshape(*batch, n)
    info = _core.tensor([i for _, i in found], dtype=_core.int32, device=A.device).reshape(batch)
    return made.tril().reshape(A.shape), pivots, info


@la._linalg()
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """The factors of :func:`ldl_factor`, and for each matrix the place of the first block of D that is 0, or 0.

    Args:
        A, hermitian: as for :func:`ldl_factor`.
        check_errors: raises its error instead.

    Returns:
        `LD` `[…, n, n]`, `pivots` `[…, n]` and `info` `[…]`, both int32; without a gradient.

    Example:
        >>> wg.linalg.ldl_factor_ex(wg.zeros(1, 1)).info
        tensor(1, dtype=torch.int32)
    """
    ld, pivots, info = _factors("ldl_factor_ex", A)
    if check_errors:
        _check_info("ldl_factor_ex", info)
    return _ldl_factor_ex(ld, pivots, info)


def _check_info(name, info):
    if bool(info.any()):
        raise _core.LinAlgError(
            f"linalg.{name}: The factorization could not be completed because the input is singular: block "
            f"{int(info.max())} of D is zero"
        )


@la._linalg()
def ldl_factor(A, *, hermitian=False):
    """L and D in one lower triangle, and LAPACK's interchanges, of symmetric matrices that may be indefinite.

    Args:
        A: `[…, n, n]`, float32 or float64, of which the lower triangle is read.
        hermitian: the same for real matrices.

    Returns:
        `LD` `[…, n, n]` and `pivots` `[…, n]`, int32, for :func:`ldl_solve`; without a gradient.

    Raises:
        LinAlgError: for a matrix with a block of D that is 0.

    Example:
        >>> wg.linalg.ldl_factor(wg.tensor([[0., 1.], [1., 0.]])).pivots
        tensor([-2, -2], dtype=torch.int32)
    """
    ld, pivots, info = _factors("ldl_factor", A)
    _check_info("ldl_factor", info)
    return _ldl_factor(ld, pivots)


def _exchanged(b, first, second):
    if first != second:
        b[[first, second]] = b[[second, first]]


def _solved(ld, pivots, b):
    """The solution for one matrix and its right sides, in place."""
    n, k, blocks = len(pivots), 0, []
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        last = k + size - 1
        _exchanged(b, last, abs(pivots[k]) - 1)
        b[last + 1 :] -= ld[last + 1 :, k : last + 1] @ b[k : last + 1]
        b[k : last + 1] = _core._solve(_block(ld, k, size), b[k : last + 1].clone())
        blocks.append((k, last))
        k = last + 1
    for k, last in reversed(blocks):
        b[k : last + 1] -= ld[last + 1 :, k : last + 1].mT @ b[last + 1 :]
        _exchanged(b, last, abs(pivots[k]) - 1)
    return b


@la._linalg()
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """X with A·X = B, given the factors of A from :func:`ldl_factor`.

    Args:
        LD, pivots: `[…, n, n]` and `[…, n]`, an integer dtype.
        B: `[…, n, k]`; leading dims broadcast. There is no gradient.

    Raises:
        RuntimeError: for shapes or dtypes that do not fit.

    Example:
        >>> factors = wg.linalg.ldl_factor(wg.tensor([[0., 2.], [2., 0.]]))
        >>> wg.linalg.ldl_solve(*factors, wg.tensor([[2.], [4.]]))
        tensor([[2.],
                [1.]])
    """
    la._matrix("ldl_solve", LD, True)
    if B.ndim < 2:
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Expected B to have at least 2 dimensions, but it has {B.ndim} dimensions instead"
        )
    if B.shape[-2] != LD.shape[-1]:
        raise RuntimeError(
            f"linalg.ldl_solve: Incompatible shapes of A and B for the equation AX = B ({LD.shape[-2]}x"
            f"{LD.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )
    if pivots.shape != LD.shape[:-1]:
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if pivots.is_floating_point() or pivots.dtype == _core.bool:
        raise RuntimeError(f"torch.linalg.ldl_solve: Expected pivots to be integers. Got {pivots.dtype}")
    if LD.dtype != B.dtype:
        raise RuntimeError(f"torch.linalg.ldl_solve: LD dtype {LD.dtype} does not match b dtype {B.dtype}")
    batch = broadcast_sizes(LD.shape[:-2], B.shape[:-2])
    n, count = LD.shape[-1], product(batch)
    matrices = LD.detach().expand(*batch, n, n).reshape(count, n, n)
    orders = pivots.expand(*batch, n).reshape(count, n).tolist()
    result = B.detach().expand(*batch, *B.shape[-2:]).clone()
    for matrix, order, b in zip(
        matrices.unbind(), orders, result.reshape(count, *B.shape[-2:]).unbind(), strict=True
    ):
        _solved(matrix, order, b)
    return result
