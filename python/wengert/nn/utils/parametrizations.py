"""Weights of a given norm or largest singular value, and orthogonal ones, as parametrizations."""

from wengert import _core
from wengert.autograd.grad_mode import no_grad

from ..functional import normalize
from ..modules.module import Module
from ._orthogonal import _Orthogonal
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v, dim):
    """The 2-norm over all dims but `dim` (over all if −1 or None), with the others' sizes 1.

    Example:
        >>> wg.nn.utils.parametrizations.norm_except(wg.tensor([[3.0, 4.0]]), 0)
        tensor([[5.]])
    """
    if dim is None or dim == -1:
        return v.norm()
    dims = [d for d in range(v.ndim) if d != dim % v.ndim]
    return v.pow(2).sum(dims, keepdim=True).sqrt() if dims else v.abs()


def as_matrix(weight, dim):
    """The weight with `dim` first, and the others flattened.

    Example:
        >>> wg.nn.utils.parametrizations.as_matrix(wg.ones(2, 3, 4), 1).shape
        torch.Size([3, 8])
    """
    return weight.movedim(dim, 0).flatten(1) if weight.ndim > 1 else weight.unsqueeze(-1)


class _WeightNorm(Module):
    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight):
        return norm_except(weight, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """The weight as magnitude `original0` times direction `original1`; `dim` keeps a magnitude for each index.

    Example:
        >>> layer = wg.nn.utils.parametrizations.weight_norm(wg.nn.Linear(2, 3))
        >>> layer.parametrizations.weight.original0.shape
        torch.Size([3, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    return module


class _SpectralNorm(Module):
    """Divides by the largest singular value, followed by power iterations: one a call in training."""

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            h, w = matrix.shape
            u, v = matrix.new_empty(h).normal_(0, 1), matrix.new_empty(w).normal_(0, 1)
            self.register_buffer("_u", normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    @no_grad()
    def _iterate(self, matrix, times):
        for _ in range(times):
            self._u.copy_(normalize(_core.mv(matrix, self._v), dim=0, eps=self.eps))
            self._v.copy_(normalize(_core.mv(matrix.T, self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(_core.mv(matrix, v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """The weight divided by its largest singular value.

    Args:
        dim: of the outputs; 0, or 1 for transposed convolutions.

    Example:
        >>> layer = wg.nn.utils.parametrizations.spectral_norm(wg.nn.Linear(4, 4))
        >>> bool(wg.linalg.matrix_norm(layer.weight, 2) < 1.05)
        True
    """
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    weight = getattr(module, name)
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """The weight as a matrix, or a batch of them, with orthonormal columns, or rows where these are fewer.

    Args:
        orthogonal_map: how it is computed: "matrix_exp" (if left out, for square matrices), "cayley" or
            "householder" (if left out, for others).
        use_trivialization: multiply by the matrix that was last assigned, a buffer `base`. Without it only
            "householder" can be assigned to.

    Raises:
        ValueError: if the module has no such tensor, it has fewer than two dims, or there is no such map.

    Lezcano-Casado, "Trivializations for Gradient-Based Optimization on Manifolds" (2019),
    https://arxiv.org/abs/1909.09501.

    Example:
        >>> layer = wg.nn.utils.parametrizations.orthogonal(wg.nn.Linear(3, 5))
        >>> wg.allclose(layer.weight.T @ layer.weight, wg.eye(3), atol=1e-6)
        True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, _core.Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization)
    register_parametrization(module, name, parametrization, unsafe=True)
    return module


def __getattr__(name):
    raise AttributeError(f"wengert has no nn.utils.parametrizations.{name} yet")
