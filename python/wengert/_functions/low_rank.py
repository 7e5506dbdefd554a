"""Singular vectors of the largest singular values, by random projection.

Halko, Martinsson and Tropp, "Finding structure with randomness" (2009), algorithms 4.4 and 5.1.
"""

from .. import _core
from . import linear_algebra as la
from ._compose import composed


def _range(A, q, niter):
    """Q with q orthonormal columns about A's leading left singular vectors."""
    projection = _core.randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    found = la.qr(A @ projection).Q
    for _ in range(niter):
        found = la.qr(A.mT @ found).Q
        found = la.qr(A @ found).Q
    return found


@composed(method=False)
def svd_lowrank(A, q=6, niter=2, M=None):
    """U, S and V with A ≈ U·diag(S)·Vᵀ, of about the q largest singular values.

    A random projection of the default generator and `niter` power iterations find them.

    Args:
        A: `[…, m, n]`, float32 or float64.
        q: more than the rank that is wanted; m or n where that is less.
        M: subtracted from A first.

    Returns:
        U `[…, m, q]`, S `[…, q]` and V `[…, n, q]`.

    Raises:
        NotImplementedError: for another dtype.

    Example:
        >>> wg.svd_lowrank(wg.diag(wg.tensor([3., 2., 0.])), q=2)[1].round()
        tensor([3., 2.])
    """
    A = la._matrix("svd_lowrank", A)
    A = A if M is None else A - M.expand(A.shape)
    turned = A.shape[-2] < A.shape[-1]
    A = A.mT if turned else A
    found = _range(A, min(6 if q is None else q, *A.shape[-2:]), 2 if niter is None else niter)
    u, s, vh = la.svd(found.mT @ A, full_matrices=False)
    u, v = found @ u, vh.mT
    return (v, s, u) if turned else (u, s, v)


@composed(method=False)
def pca_lowrank(A, q=None, center=True, niter=2):
    """Principal components: :func:`svd_lowrank` of A with each column's mean taken off if `center`.

    Args:
        A: `[…, m, n]`, m observations of n variables.
        q: how many; min(6, m, n) by default.

    Returns:
        U `[…, m, q]`, S `[…, q]` and V `[…, n, q]`, whose columns are the directions of most variance.

    Raises:
        ValueError: for a q beyond m or n, or a negative `niter`.

    Example:
        >>> wg.pca_lowrank(wg.tensor([[0., 0.], [1., 1.], [2., 2.]]), q=1)[1].round()
        tensor([2.])
    """
    la._matrix("pca_lowrank", A)
    rows, columns = A.shape[-2:]
    q = min(6, rows, columns) if q is None else q
    if not 0 <= q <= min(rows, columns):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(rows, columns)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
