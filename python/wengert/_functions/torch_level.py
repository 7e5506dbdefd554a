"""Linear algebra under PyTorch's older top-level names."""

from .. import _core
from . import linear_algebra as la
from ._compose import composed, results

_svd = results("svd", "U", "S", "V")
_qr = results("qr", "Q", "R")
_slogdet = results("slogdet", "sign", "logabsdet")


@composed(out=True)
def inverse(input):
    """The inverse; see :func:`wengert.linalg.inv`.

    Example:
        >>> wg.inverse(wg.tensor([[2.]]))
        tensor([[0.5000]])
    """
    return la.inv(input)


@composed()
def det(input):
    """The determinant; see :func:`wengert.linalg.det`.

    Example:
        >>> wg.det(wg.tensor([[2.]]))
        tensor(2.)
    """
    return la.det(input)


@composed()
def logdet(input):
    """log det, NaN where the determinant is negative.

    Example:
        >>> wg.logdet(wg.eye(2))
        tensor(0.)
    """
    sign, value = la.slogdet(input)
    return _core.where(sign < 0, float("nan"), value)


@composed(out=True)
def slogdet(input):
    """(sign, log |det|).

    Example:
        >>> wg.slogdet(wg.eye(2)).logabsdet
        tensor(0.)
    """
    return _slogdet(*la.slogdet(input))


@composed(out=True)
def svd(input, some=True, compute_uv=True):
    """U, S and V (not transposed); `some` gives the thin factors.

    Example:
        >>> wg.svd(wg.tensor([[3., 0.], [0., 2.]])).S
        tensor([3., 2.])
    """
    u, s, vh = la.svd(input, full_matrices=not some)
    if not compute_uv:
        rows, columns = input.shape[-2:]
        return _svd(
            input.new_zeros(*input.shape[:-2], rows, rows),
            s,
            input.new_zeros(*input.shape[:-2], columns, columns),
        )
    return _svd(u, s, vh.mT)


@composed(out=True)
def qr(input, some=True):
    """Q and R; `some` gives the thin factors.

    Example:
        >>> wg.qr(wg.ones(3, 2)).Q.shape
        torch.Size([3, 2])
    """
    return _qr(*la.qr(input, "reduced" if some else "complete"))


@composed()
def cholesky(input, upper=False):
    """The Cholesky factor; see :func:`wengert.linalg.cholesky`.

    Example:
        >>> wg.cholesky(wg.tensor([[4.]]))
        tensor([[2.]])
    """
    return la.cholesky(input, upper=upper)


@composed(out="cast")
def cholesky_solve(input, L, upper=False):
    """X with A X = input, given A's Cholesky factor.

    Example:
        >>> wg.cholesky_solve(wg.tensor([[4.]]), wg.tensor([[2.]]))
        tensor([[1.]])
    """
    first, second = (L.mT, L) if upper else (L, L.mT)
    return la.solve_triangular(second, la.solve_triangular(first, input, upper=False), upper=True)


@composed(out="cast")
def cholesky_inverse(L, upper=False):
    """A⁻¹, given A's Cholesky factor.

    Example:
        >>> wg.cholesky_inverse(wg.tensor([[2.]]))
        tensor([[0.2500]])
    """
    la._matrix("cholesky_inverse", L, True)
    return cholesky_solve(_core.eye(L.shape[-1], dtype=L.dtype, device=L.device), L, upper)


@composed(out=True)
def matrix_power(input, n):
    """The n-th power of square matrices.

    Example:
        >>> wg.matrix_power(wg.tensor([[2.]]), 2)
        tensor([[4.]])
    """
    return la.matrix_power(input, n)


@composed()
def matrix_exp(input):
    """The exponential of square matrices.

    Example:
        >>> wg.matrix_exp(wg.zeros(1, 1))
        tensor([[1.]])
    """
    return la.matrix_exp(input)


@composed()
def pinverse(input, rcond=1e-15):
    """The Moore-Penrose inverse.

    Example:
        >>> wg.pinverse(wg.tensor([[2.]]))
        tensor([[0.5000]])
    """
    return la.pinv(input, rcond=rcond)
