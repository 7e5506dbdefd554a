"""`wengert.linalg`: factorizations, solves and norms over the core's kernels."""

from .. import _core
from ._compose import composed, results
from ._dims import product, wrap_dim
from .products import cross_along, multi_dot_chain
from .reductions import HALVES, constant_of, safe_root, vector_norm_over

_qr = results("linalg_qr", "Q", "R")
_eigh = results("linalg_eigh", "eigenvalues", "eigenvectors")
_svd = results("linalg_svd", "U", "S", "Vh")
_slogdet = results("linalg_slogdet", "sign", "logabsdet")
_lstsq = results("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
_INF = float("inf")


def _matrix(name, a, square=False):
    if not isinstance(a, _core.Tensor):
        raise TypeError(f"linalg.{name}(): argument 'A' (position 1) must be Tensor, not {type(a).__name__}")
    if a.ndim < 2:
        raise RuntimeError(f"linalg.{name}: The input tensor A must have at least 2 dimensions.")
    if not a.is_floating_point() or a.dtype in HALVES:
        raise NotImplementedError(
            f"linalg.{name}: Expected a floating point tensor (float32 or float64) as input. Got {a.dtype}"
        )
    if square and a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are {a.shape[-2]} by "
            f"{a.shape[-1]} matrices"
        )
    return a


def _linalg(*, out=True, **options):
    return composed(method=False, out=out, namespace="linalg", **options)


@_linalg()
def inv(A):
    """The inverse of square matrices `[…, n, n]`.

    Example:
        >>> wg.linalg.inv(wg.tensor([[2., 0.], [0., 4.]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.2500]])
    """
    return _core._inverse(_matrix("inv", A, True))


@_linalg()
def det(A):
    """The determinant of square matrices.

    Example:
        >>> wg.linalg.det(wg.tensor([[2., 0.], [0., 4.]]))
        tensor(8.)
    """
    return _core._det(_matrix("det", A, True))


@_linalg()
def slogdet(A):
    """(sign, log |det|) of square matrices.

    Example:
        >>> wg.linalg.slogdet(wg.eye(2)).sign
        tensor(1.)
    """
    return _slogdet(*_core._slogdet(_matrix("slogdet", A, True)))


@_linalg()
def cholesky(A, *, upper=False):
    """The Cholesky factor of symmetric positive-definite matrices.

    Example:
        >>> wg.linalg.cholesky(wg.tensor([[4.]]))
        tensor([[2.]])
    """
    return _core._cholesky(_matrix("cholesky", A, True), upper)


@_linalg()
def qr(A, mode="reduced"):
    """Q with orthonormal columns and upper triangular R; modes "reduced", "complete", "r".

    Example:
        >>> wg.linalg.qr(wg.ones(3, 2)).R.shape
        torch.Size([2, 2])
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    q, r = _core._qr(_matrix("qr", A), mode == "complete")
    return _qr(q.new_empty((0,)) if mode == "r" else q, r)


def _uplo(name, UPLO):
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"linalg.{name}: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper() == "U"


@_linalg()
def eigh(A, UPLO="L"):
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices.

    Example:
        >>> wg.linalg.eigh(wg.tensor([[1., 0.], [0., 2.]])).eigenvalues
        tensor([1., 2.])
    """
    return _eigh(*_core._eigh(_matrix("eigh", A, True), _uplo("eigh", UPLO)))


@_linalg()
def eigvalsh(A, UPLO="L"):
    """Eigenvalues of symmetric matrices, ascending.

    Example:
        >>> wg.linalg.eigvalsh(wg.eye(2))
        tensor([1., 1.])
    """
    return _core._eigh(_matrix("eigvalsh", A, True), _uplo("eigvalsh", UPLO))[0]


@_linalg()
def svd(A, full_matrices=True, *, driver=None):
    """U, singular values (falling) and Vᵀ.

    Example:
        >>> wg.linalg.svd(wg.tensor([[3., 0.], [0., 2.]])).S
        tensor([3., 2.])
    """
    return _svd(*_core._svd(_matrix("svd", A), full_matrices))


@_linalg()
def svdvals(A, *, driver=None):
    """Singular values, falling.

    Example:
        >>> wg.linalg.svdvals(wg.eye(2))
        tensor([1., 1.])
    """
    return _core._svd(_matrix("svdvals", A), False)[1]


@_linalg()
def solve(A, B, *, left=True):
    """X with A X = B (X A = B if not `left`); B is matrices or vectors.

    Example:
        >>> wg.linalg.solve(wg.tensor([[2.]]), wg.tensor([4.]))
        tensor([2.])
    """
    _matrix("solve", A, True)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    b = B.unsqueeze(-1) if vector else B
    if not left:
        if vector:
            return _core._solve(A.mT, b).squeeze(-1)
        return _core._solve(A.mT, b.mT).mT
    if b.shape[-2] != A.shape[-1]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({A.shape[-2]}x"
            f"{A.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )
    x = _core._solve(A, b)
    return x.squeeze(-1) if vector else x


@_linalg()
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """X with A X = B (X A = B if not `left`) for triangular A.

    Example:
        >>> wg.linalg.solve_triangular(wg.tensor([[2.]]), wg.tensor([[4.]]), upper=True)
        tensor([[2.]])
    """
    _matrix("solve_triangular", A, True)
    if left:
        return _core._solve_triangular(A, B, upper, unitriangular)
    return _core._solve_triangular(A.mT, B.mT, not upper, unitriangular).mT


def _tolerance(a, s, atol, rtol):
    """The cut below which singular values count as 0, by NumPy's rules."""
    eps = _core.finfo(a.dtype).eps
    if rtol is None:
        rtol = (
            max(a.shape[-2:]) * eps if atol is None or (isinstance(atol, (int, float)) and atol == 0) else 0.0
        )
    if atol is None:
        atol = 0.0
    rtol = rtol.unsqueeze(-1) if isinstance(rtol, _core.Tensor) and rtol.ndim else rtol
    atol = atol.unsqueeze(-1) if isinstance(atol, _core.Tensor) and atol.ndim else atol
    cut = rtol * s.narrow(-1, 0, 1)
    return (
        _core.maximum(cut, _core.as_tensor(atol, dtype=cut.dtype, device=cut.device))
        if isinstance(atol, _core.Tensor)
        else cut.clamp(min=atol)
    )


@_linalg(out="cast")
def matrix_rank(A, tol=None, *, atol=None, rtol=None, hermitian=False):
    """The number of singular values above max(atol, rtol · the largest).

    Example:
        >>> wg.linalg.matrix_rank(wg.ones(2, 2))
        tensor(1)
    """
    _matrix("matrix_rank", A)
    a = A.detach()
    if tol is not None:
        atol, rtol = tol, 0.0
    if min(a.shape[-2:]) == 0:
        return a.new_zeros(a.shape[:-2], dtype=_core.int64)
    s = (
        _core.sort(_core._eigh(a, False)[0].abs(), dim=-1, descending=True)[0]
        if hermitian
        else _core._svd(a, False)[1]
    )
    return (s > _tolerance(a, s, atol, rtol)).sum(-1)


@_linalg(out="cast")
def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """The Moore-Penrose inverse `[…, n, m]`.

    Example:
        >>> wg.linalg.pinv(wg.tensor([[2.], [0.]]))
        tensor([[0.5000, 0.0000]])
    """
    _matrix("pinv", A)
    if rcond is not None:
        rtol = rcond
    if min(A.shape[-2:]) == 0:
        return A.new_zeros((*A.shape[:-2], A.shape[-1], A.shape[-2]))
    a = A.detach()
    u, s, vh = _core._svd(a, False)
    keep = s > _tolerance(a, s, atol, rtol)
    inverse = _core.where(keep, 1.0 / s.masked_fill(~keep, 1.0), _core.zeros_like(s))
    p = (vh.mT * inverse.unsqueeze(-2)) @ u.mT
    if not A.requires_grad:
        return p
    return _pinv_differentiable(A, p)


def _pinv_differentiable(A, p):
    """P as a function of A with the derivative of the pseudoinverse at constant rank.

    Where the rank is full, the normal equations say it in differentiable terms; else one Newton step
    from the constant P, P(2I - AP) with the two projector terms, has exactly that derivative.
    """
    rows, columns = A.shape[-2:]
    if bool((matrix_rank(A) == min(rows, columns)).all()):
        if rows >= columns:
            return _core._solve(A.mT @ A, A.mT)
        return _core._solve(A @ A.mT, A).mT
    step = A - A.detach()
    left = _core.eye(columns, dtype=A.dtype, device=A.device) - p @ A.detach()
    right = _core.eye(rows, dtype=A.dtype, device=A.device) - A.detach() @ p
    return p - p @ step @ p + p @ p.mT @ step.mT @ right + left @ step.mT @ p.mT @ p


@_linalg(out="cast")
def lstsq(A, B, rcond=None, *, driver=None):
    """Least squares: solution, residuals (of full-rank tall A and other drivers than "gelsy", the default),
    rank and singular values (of the drivers "gelsd" and "gelss").

    Example:
        >>> wg.linalg.lstsq(wg.tensor([[1.], [1.]]), wg.tensor([[1.], [4.]])).solution
        tensor([[2.5000]])
    """
    _matrix("lstsq", A)
    vector = B.ndim == A.ndim - 1
    b = B.unsqueeze(-1) if vector else B
    if b.shape[-2] != A.shape[-2]:
        raise RuntimeError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)")
    rows, columns = A.shape[-2:]
    rank = matrix_rank(A, rtol=rcond)
    solution = pinv(A, rcond) @ b
    # PyTorch's default driver gives no residuals.
    tall = rows > columns and driver not in (None, "gelsy") and bool((rank == columns).all())
    residuals = (A @ solution - b).square().sum(-2) if tall else A.new_empty((0,))
    values = A.new_empty((0,))
    if driver in ("gelsd", "gelss"):
        values = svdvals(A.detach())
    rank = rank.new_empty((0,)) if driver == "gels" else rank
    return _lstsq(solution.squeeze(-1) if vector else solution, residuals, rank, values)


@_linalg()
def matrix_power(A, n):
    """The n-th power of square matrices; negative powers go through the inverse.

    Example:
        >>> wg.linalg.matrix_power(wg.tensor([[2.]]), 3)
        tensor([[8.]])
    """
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are {list(A.shape)}"
        )
    if n == 0:
        one = _core.eye(A.shape[-1], dtype=A.dtype, device=A.device)
        return constant_of(A, one.expand(A.shape).clone())
    base = inv(A) if n < 0 else A
    n = abs(n)
    result = None
    while n:
        if n & 1:
            result = base if result is None else result @ base
        n >>= 1
        base = base @ base if n else base
    return result.clone() if result is A else result


@_linalg(out=False)
def matrix_exp(A):
    """The exponential of square matrices, by scaling and squaring of a Taylor series.

    Example:
        >>> wg.linalg.matrix_exp(wg.zeros(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    _matrix("matrix_exp", A, True)
    if A.numel() == 0:
        return A.clone()
    size = float(A.detach().abs().sum(-2).amax())
    halvings = 0
    while size > 0.5 and size < _INF:
        size, halvings = size / 2, halvings + 1
    x = A * 0.5**halvings
    # 14 terms leave less than half a unit in float64's last place for norms up to a half.
    one = _core.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    result = one + x * (1.0 / 14)
    for k in range(13, 0, -1):
        result = one + (x @ result) * (1.0 / k)
    for _ in range(halvings):
        result = result @ result
    return result


@_linalg()
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The ord-norm of vectors along `dim`, or of all elements.

    Example:
        >>> wg.linalg.vector_norm(wg.tensor([3., 4.]))
        tensor(5.)
    """
    return vector_norm_over("linalg.vector_norm", x, float(ord), dim, keepdim, dtype)


def _largest(x):
    """The largest along the last dim of what is not negative: 0 of nothing."""
    return x.amax(-1) if x.shape[-1] else x.sum(-1)


@_linalg()
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """Norms of matrices in two dims: "fro", "nuc", inf, -inf, 1, -1, 2, -2.

    Example:
        >>> wg.linalg.matrix_norm(wg.tensor([[3., 0.], [0., 4.]]))
        tensor(5.)
    """
    if A.ndim < 2:
        raise RuntimeError("linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    x = A if dtype is None else A.to(dtype)
    if not x.is_floating_point():
        raise NotImplementedError(
            f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {x.dtype}"
        )
    if len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {tuple(dim)}")
    rows, columns = (wrap_dim(d, x.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got {tuple(dim)}")
    x = x.movedim((rows, columns), (-2, -1))
    if ord == "fro":
        result = safe_root(x.square().sum((-2, -1)), _core.sqrt)
    elif ord == "nuc":
        result = _core._svd(x, False)[1].sum(-1)
    elif ord in (2, -2):
        s = _core._svd(x, False)[1]
        result = _largest(s) if ord == 2 else s.amin(-1)
    elif ord in (1, -1, _INF, -_INF):
        sums = x.abs().sum(-2 if abs(ord) == 1 else -1)
        result = _largest(sums) if ord > 0 else sums.amin(-1)
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if keepdim:
        result = result.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns))
    return result


@_linalg()
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector or matrix norm, as NumPy chooses: 2-norm of all elements by default.

    Example:
        >>> wg.linalg.norm(wg.tensor([[3., 0.], [0., 4.]]))
        tensor(5.)
    """
    if dim is not None and not isinstance(dim, int):
        dim = tuple(dim)
    if ord is None and dim is None:
        result = vector_norm(A.reshape(-1), 2, dtype=dtype)
        return result.reshape((1,) * A.ndim) if keepdim else result
    if (
        isinstance(ord, str)
        or (isinstance(dim, tuple) and len(dim) == 2 and ord is not None)
        or (dim is None and A.ndim == 2)
    ):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if dim is None and A.ndim != 1:
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
        )
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


@_linalg(out="cast")
def cond(A, p=None):
    """The condition number in a matrix norm (2 by default).

    Example:
        >>> wg.linalg.cond(wg.eye(2))
        tensor(1.)
    """
    _matrix("cond", A)
    if p is None or p in (2, -2):
        if 0 in A.shape[-2:]:
            return A.new_zeros(A.shape[:-2])
        s = svdvals(A)
        top, low = s.select(-1, 0), s.select(-1, -1)
        return low / top if p == -2 else top / low
    if 0 in A.shape[-2:]:
        return A.new_zeros(A.shape[:-2])
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


@_linalg()
def multi_dot(tensors):
    """The product of two or more matrices in the cheapest order; the ends may be vectors.

    Example:
        >>> wg.linalg.multi_dot([wg.ones(2), wg.ones(2, 3), wg.ones(3)])
        tensor(6.)
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(tensors)))
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if first:
        tensors[0] = tensors[0].unsqueeze(0)
    if last:
        tensors[-1] = tensors[-1].unsqueeze(1)
    for t in tensors:
        if t.ndim != 2:
            raise RuntimeError(
                f"multi_dot(): tensors must be 2D (the first and last may be 1D) but got {t.ndim}D"
            )
    result = multi_dot_chain(tensors)
    result = result.squeeze(0) if first else result
    return result.squeeze(-1) if last else result


@_linalg()
def cross(input, other, *, dim=-1):
    """The cross product along `dim`.

    Example:
        >>> wg.linalg.cross(wg.tensor([1., 0., 0.]), wg.tensor([0., 1., 0.]))
        tensor([0., 0., 1.])
    """
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    return cross_along(input, other, dim)


@_linalg()
def vecdot(x, y, *, dim=-1):
    """Dot products along `dim`.

    Example:
        >>> wg.linalg.vecdot(wg.tensor([1., 2.]), wg.tensor([3., 4.]))
        tensor(11.)
    """
    return (x * y).sum(dim)


@_linalg(out=False)
def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """Diagonals of matrices, as a view.

    Example:
        >>> wg.linalg.diagonal(wg.eye(2))
        tensor([1., 1.])
    """
    return A.diagonal(offset, dim1, dim2)


@_linalg(out=False)
def vander(x, *, N=None):
    """Rows of powers 0 … N - 1 of the last dim's elements.

    Example:
        >>> wg.linalg.vander(wg.tensor([2., 3.]))
        tensor([[1., 2.],
                [1., 3.]])
    """
    n = N if N is not None else x.shape[-1] if x.ndim else 1
    if n <= 1:
        raise RuntimeError("linalg.vander: N must be greater than 1.")
    x = x.reshape(1) if x.ndim == 0 else x
    x = x if x.is_floating_point() else x.to(_core.int64)
    columns = [_core.ones_like(x)]
    while len(columns) < n:
        columns.append(columns[-1] * x)
    return _core.stack(columns, -1)


@_linalg(out="cast")
def tensorinv(A, ind=2):
    """The inverse for tensordot, the first `ind` dims against the rest.

    Example:
        >>> wg.linalg.tensorinv(wg.eye(4).reshape(2, 2, 2, 2)).shape
        torch.Size([2, 2, 2, 2])
    """
    if ind <= 0 or ind > A.ndim:
        raise RuntimeError(
            f"tensorinv: Expected a strictly positive integer for 'ind', at most the {A.ndim} dims, got {ind}"
        )
    rows, columns = product(A.shape[:ind]), product(A.shape[ind:])
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but "
            f"got {columns} != {rows}"
        )
    return inv(A.reshape(rows, columns)).reshape(A.shape[ind:] + A.shape[:ind])


@_linalg(out="cast")
def tensorsolve(A, B, dims=None):
    """X with tensordot(A, X, X.ndim) = B.

    Example:
        >>> wg.linalg.tensorsolve(wg.eye(4).reshape(2, 2, 2, 2), wg.ones(2, 2)).shape
        torch.Size([2, 2])
    """
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = A.shape[B.ndim :]
    count = B.numel()
    if product(shape) != count:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {product(shape)} != {count}"
        )
    return solve(A.reshape(count, count), B.reshape(-1)).reshape(shape)
