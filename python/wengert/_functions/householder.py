"""Reflections I − tau·v·vᵀ, in LAPACK's storage: v below the diagonal of a column, its first element 1 not kept."""

from .. import _core
from . import linear_algebra as la
from ._compose import composed, results
from .reductions import constant_of

_geqrf = results("geqrf", "a", "tau")


def _check(name, A, tau):
    la._matrix(name, A)
    if A.shape[-2] < A.shape[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1], but they are "
            f"{A.shape[-2]} and {A.shape[-1]}"
        )
    if tau.shape[-1] > A.shape[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1], but they are "
            f"{A.shape[-1]} and {tau.shape[-1]}"
        )
    if tau.shape[:-1] != A.shape[:-2]:
        raise RuntimeError(
            f"{name}: tau of shape {list(tau.shape)} does not fit an input of shape {list(A.shape)}"
        )
    if tau.dtype != A.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype} does not match input dtype {A.dtype}")


def _reflected(A, tau, k, x):
    """(I − tau·v·vᵀ)·x for the k-th reflection."""
    rows = A.shape[-2]
    first = (_core.arange(rows, device=A.device) == k).to(A.dtype)
    v = (A[..., k : k + 1].tril(-k - 1) + first.unsqueeze(-1)).to(A.dtype)
    return x - tau[..., k, None, None] * v @ (v.mT @ x)


@la._linalg(out="cast")
def householder_product(A, tau):
    """The first n columns of H₁·H₂·…·H_k, for the reflections that :func:`wengert.geqrf` gives.

    Args:
        A: `[…, m, n]` with m ≥ n, a v in each column; float32 or float64.
        tau: `[…, k]` with k ≤ n.

    Returns:
        `[…, m, n]`, with orthonormal columns for true reflections; differentiable to any order.

    Raises:
        RuntimeError: for shapes or dtypes that do not fit.

    Example:
        >>> wg.linalg.householder_product(wg.ones(2, 1), wg.tensor([1.]))
        tensor([[ 0.],
                [-1.]])
    """
    _check("linalg.householder_product", A, tau)
    rows, columns = A.shape[-2:]
    x = _core.eye(rows, columns, dtype=A.dtype, device=A.device).expand(A.shape)
    for k in reversed(range(tau.shape[-1])):
        x = _reflected(A, tau, k, x)
    return x if tau.shape[-1] else constant_of(A, x.clone())


@composed(out="cast")
def orgqr(input, tau):
    """Another name of :func:`wengert.linalg.householder_product`.

    Example:
        >>> wg.orgqr(wg.ones(2, 1), wg.tensor([1.]))
        tensor([[ 0.],
                [-1.]])
    """
    return householder_product(input, tau)


@composed(out=True)
def ormqr(input, tau, other, left=True, transpose=False):
    """Q·other for Q = H₁·…·H_k of :func:`wengert.geqrf`; `transpose` takes Qᵀ, without `left` it stands right.

    Args:
        input, tau: `[…, m, n]` and `[…, k]`.
        other: `[…, m, p]`, or `[…, p, m]` without `left`.

    Raises:
        RuntimeError: for shapes or dtypes that do not fit.

    Example:
        >>> wg.ormqr(wg.ones(2, 1), wg.tensor([1.]), wg.ones(2, 1))
        tensor([[-1.],
                [-1.]])
    """
    la._matrix("ormqr", input)
    x = other if left else other.mT
    if other.ndim < 2 or x.shape[-2] != input.shape[-2]:
        raise RuntimeError(
            f"ormqr(): other of shape {list(other.shape)} does not fit the {input.shape[-2]} rows of the input"
        )
    if tau.shape[-1] > min(input.shape[-2:]) or tau.shape[:-1] != input.shape[:-2]:
        raise RuntimeError(f"ormqr(): tau of shape {list(tau.shape)} does not fit {list(input.shape)}")
    if not input.dtype == tau.dtype == other.dtype:
        raise RuntimeError(
            f"ormqr(): expected one dtype, but got {input.dtype}, {tau.dtype} and {other.dtype}"
        )
    # Q's last reflection comes first to what stands on its right; transposes turn that round.
    order = range(tau.shape[-1])
    for k in order if transpose == left else reversed(order):
        x = _reflected(input, tau, k, x)
    return x if left else x.mT


@composed(out="cast")
def geqrf(input):
    """The reflections that make R of a matrix, in LAPACK's storage: R above them; see `linalg.qr` for Q itself.

    Args:
        input: `[…, m, n]`, float32 or float64. Has no gradient.

    Returns:
        `a` `[…, m, n]` and `tau` `[…, min(m, n)]`.

    Example:
        >>> wg.geqrf(wg.tensor([[3.], [4.]])).a
        tensor([[-5.0000],
                [ 0.5000]])
    """
    a = la._matrix("geqrf", input).detach().clone()
    rows, columns = a.shape[-2:]
    tau = a.new_zeros(*a.shape[:-2], min(rows, columns))
    for k in range(min(rows, columns)):
        head, tail = a[..., k, k].clone(), a[..., k + 1 :, k]
        # A column that is done already keeps its sign, by a reflection of tau 0.
        done = (tail == 0).all(-1)
        norm = (head.square() + tail.square().sum(-1)).sqrt()
        turned = _core.where(done, head, -_core.copysign(norm, head))
        scale = _core.where(done, 1.0, head - turned)
        tau[..., k] = _core.where(done, 0.0, (turned - head) / _core.where(done, 1.0, turned))
        tail /= scale.unsqueeze(-1)
        a[..., k:, k + 1 :] = _reflected(a[..., k:, k:], tau[..., k : k + 1], 0, a[..., k:, k + 1 :])
        a[..., k, k] = turned
    return _geqrf(a, tau)
