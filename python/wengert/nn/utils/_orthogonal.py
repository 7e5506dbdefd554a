"""Matrices with orthonormal columns, computed from any matrix."""

from wengert import _core, linalg
from wengert.autograd.grad_mode import no_grad

from ..modules.module import Module

_MAPS = ("matrix_exp", "cayley", "householder")


def _reflections(vectors):
    """The first k columns of H₁ … H_k, H = I − 2 v vᵀ / vᵀv, for the columns v of (…, n, k), below a unit diagonal.

    In one solve where `linalg.householder_product` takes k steps:
    H₁ … H_k = I − V S⁻¹ Vᵀ with S upper triangular: VᵀV above its diagonal, and half of VᵀV on it.
    Puglisi, "Modification of the Householder method based on the compact WY representation" (1992).
    """
    k = vectors.shape[-1]
    v = vectors.tril(-1) + _core.eye(*vectors.shape[-2:], dtype=vectors.dtype, device=vectors.device)
    products = v.mT @ v
    s = products.triu() - 0.5 * _core.eye(k, dtype=v.dtype, device=v.device) * products
    first = linalg.solve_triangular(s, v[..., :k, :].mT, upper=True)
    return _core.eye(*v.shape[-2:], dtype=v.dtype, device=v.device) - v @ first


def _vectors(q):
    """What `_reflections` makes orthonormal columns from: what `geqrf` gives, with signs alone on the diagonal."""
    found, tau = q.geqrf()
    signs = found.diagonal(dim1=-2, dim2=-1).sign()
    # Without a reflection the column stays, where `_reflections` turns it round by one of its own axis.
    found.diagonal(dim1=-2, dim2=-1).copy_(_core.where(tau == 0, -signs, signs))
    return found


def _orthonormal(a):
    """Q of the QR factorisation whose R has a positive diagonal."""
    q, r = linalg.qr(a)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def _is_orthonormal(q):
    n, k = q.shape[-2:]
    identity = _core.eye(k, dtype=q.dtype, device=q.device)
    return bool(((q.mT @ q - identity).abs() <= 10.0 * n * _core.finfo(q.dtype).eps + 1e-5 * identity).all())


class _Orthogonal(Module):
    """The map of :func:`wengert.nn.utils.parametrizations.orthogonal`, for matrices of the shape of `weight`."""

    def __init__(self, weight, orthogonal_map, use_trivialization=True):
        super().__init__()
        if orthogonal_map not in _MAPS:
            raise ValueError(
                f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
            )
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        wide = X.shape[-2] < X.shape[-1]
        x = X.mT if wide else X
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            q = _reflections(x) * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            lower = x.tril()
            if n != k:
                lower = _core.cat([lower, lower.new_zeros(*lower.shape[:-1], n - k)], -1)
            q = self._rotation(lower - lower.mT)[..., :k]
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    def _rotation(self, skew):
        """The orthogonal matrix of a skew-symmetric one."""
        if self.orthogonal_map == "matrix_exp":
            return linalg.matrix_exp(skew)
        identity = _core.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
        return linalg.solve(identity - 0.5 * skew, identity + 0.5 * skew)

    @no_grad()
    def right_inverse(self, Q):
        """What to start from so that the map gives Q, or what QR makes orthonormal of it."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {tuple(self.shape)}. Got a tensor of shape "
                f"{tuple(Q.shape)}."
            )
        wide = Q.shape[-2] < Q.shape[-1]
        q = Q.mT if wide else Q
        if not hasattr(self, "base"):
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            vectors = _vectors(q)
            return vectors.mT if wide else vectors
        n, k = q.shape[-2:]
        if n != k:
            q = _orthonormal(
                _core.cat([q, _core.randn(*q.shape[:-1], n - k, dtype=q.dtype, device=q.device)], -1)
            )
        elif not _is_orthonormal(q):
            q = _orthonormal(q)
        else:
            q = q.clone()
        self.base = q
        # All maps give the identity for it.
        start = -_core.eye(n, k, dtype=q.dtype, device=q.device).expand(q.shape[:-1] + (k,)).clone()
        return start.mT if wide else start
