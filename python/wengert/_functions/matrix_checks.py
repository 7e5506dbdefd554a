"""Factors, inverses and solutions that tell of failure by a number instead of an exception."""

from .. import _core
from . import linear_algebra as la
from ._compose import results
from .lu import _factored

_cholesky_ex = results("linalg_cholesky_ex", "L", "info")
_inv_ex = results("linalg_inv_ex", "inverse", "info")
_solve_ex = results("linalg_solve_ex", "result", "info")
_NAN = float("nan")


def _where_it_fails(compute, A, info_of):
    """(compute(A), info): where `info_of` finds failure, the result is NaN and has no gradient."""
    try:
        return compute(A), A.new_zeros(A.shape[:-2], dtype=_core.int32)
    except _core.LinAlgError:
        info = info_of(A.detach())
    failed = (info > 0).reshape(*info.shape, 1, 1)
    one = _core.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    return compute(_core.where(failed, one, A)).masked_fill(failed, _NAN), info


def _indefinite_minor(a):
    """For each matrix the order of its first leading minor that is not positive, or 0."""
    a, info = a.clone(), a.new_zeros(a.shape[:-2], dtype=_core.int32)
    for k in range(a.shape[-1]):
        pivot = a[..., k, k]
        info = _core.where((info == 0) & ~(pivot > 0), k + 1, info).to(_core.int32)
        column = a[..., k + 1 :, k : k + 1]
        a[..., k + 1 :, k + 1 :] -= column @ (column / pivot[..., None, None]).mT
    return info


def _singular_pivot(a):
    """For each matrix the place of its first pivot of 0, or 0."""
    return _factored("lu", a, True)[2]


@la._linalg()
def cholesky_ex(A, *, upper=False, check_errors=False):
    """The Cholesky factor, and for each matrix the order of its first leading minor that is not positive definite.

    Args:
        A: symmetric matrices `[…, n, n]`, float32 or float64.
        upper: gives Lᵀ.
        check_errors: raises LinAlgError instead of giving an `info` other than 0.

    Returns:
        `L` `[…, n, n]`, NaN for the matrices that fail, and `info` `[…]`, int32: 0 for the others.

    Example:
        >>> wg.linalg.cholesky_ex(wg.tensor([[1., 2.], [2., 1.]])).info
        tensor(2, dtype=torch.int32)
    """
    la._matrix("cholesky_ex", A, True)

    def info_of(a):
        return _indefinite_minor(a.mT if upper else a)

    factor, info = _where_it_fails(lambda a: _core._cholesky(a, upper), A, info_of)
    if check_errors and bool(info.any()):
        raise _core.LinAlgError(
            "linalg.cholesky_ex: The factorization could not be completed because the input is not "
            f"positive-definite (the leading minor of order {int(info.max())} is not positive-definite)."
        )
    return _cholesky_ex(factor, info)


@la._linalg()
def inv_ex(A, *, check_errors=False):
    """The inverse, and for each matrix the place of its first pivot of 0.

    Args:
        A: `[…, n, n]`, float32 or float64.
        check_errors: raises LinAlgError instead of giving an `info` other than 0.

    Returns:
        `inverse` `[…, n, n]`, NaN for singular matrices, and `info` `[…]`, int32: 0 for the others.

    Example:
        >>> wg.linalg.inv_ex(wg.ones(2, 2)).info
        tensor(2, dtype=torch.int32)
    """
    la._matrix("inv_ex", A, True)
    inverse, info = _where_it_fails(_core._inverse, A, _singular_pivot)
    if check_errors and bool(info.any()):
        raise _core.LinAlgError(
            f"linalg.inv_ex: The diagonal element {int(info.max())} is zero, the inversion could not be completed "
            "because the input matrix is singular."
        )
    return _inv_ex(inverse, info)


@la._linalg()
def solve_ex(A, B, *, left=True, check_errors=False):
    """The solution of :func:`solve`, and for each matrix the place of its first pivot of 0.

    Args:
        A, B, left: as for :func:`solve`.
        check_errors: raises LinAlgError instead of giving an `info` other than 0.

    Returns:
        `result`, NaN where A is singular, and `info`, int32: 0 for the others.

    Example:
        >>> wg.linalg.solve_ex(wg.tensor([[2.]]), wg.tensor([4.])).result
        tensor([2.])
    """
    la._matrix("solve_ex", A, True)
    try:
        result, info = la.solve(A, B, left=left), A.new_zeros(A.shape[:-2], dtype=_core.int32)
    except _core.LinAlgError:
        info = _singular_pivot(A.detach())
        failed = (info > 0).reshape(*info.shape, 1, 1)
        one = _core.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        result = la.solve(_core.where(failed, one, A), B, left=left)
        dims = result.ndim - info.ndim
        result = result.masked_fill(failed.reshape(*info.shape, *[1] * dims), _NAN)
    if check_errors and bool(info.any()):
        raise _core.LinAlgError("linalg.solve_ex: The solver failed because the input matrix is singular.")
    return _solve_ex(result, info)
