"""The older spectral normalisation: a hook that sets the weight before each forward."""

from wengert import _core
from wengert.autograd.grad_mode import no_grad

from ..functional import normalize
from ..parameter import Parameter
from .parametrizations import as_matrix

__all__ = ["remove_spectral_norm", "spectral_norm"]


class SpectralNorm:
    """The hook of one weight."""

    def __init__(self, name, n_power_iterations, dim, eps):
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def compute_weight(self, module, do_power_iteration):
        """The weight divided by its largest singular value, as the power iterations have it."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(_core.mv(matrix.T, u), dim=0, eps=self.eps))
                    u.copy_(normalize(_core.mv(matrix, v), dim=0, eps=self.eps))
        return weight / u.clone().dot(_core.mv(matrix, v.clone()))

    def __call__(self, module, inputs):
        module.__dict__[self.name] = self.compute_weight(module, module.training)


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """The weight `name_orig` divided by its largest singular value, which power iterations in training follow.

    Args:
        dim: of the outputs; 0, or 1 for transposed convolutions.

    Example:
        >>> layer = wg.nn.utils.spectral_norm(wg.nn.Linear(2, 3, bias=False))
        >>> list(layer.state_dict())
        ['weight_orig', 'weight_u', 'weight_v']
    """
    if any(isinstance(h, SpectralNorm) and h.name == name for h in module._forward_pre_hooks.values()):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    hook = SpectralNorm(name, n_power_iterations, dim, eps)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    h, w = as_matrix(weight.detach(), dim).shape
    u = normalize(weight.detach().new_empty(h).normal_(0, 1), dim=0, eps=eps)
    v = normalize(weight.detach().new_empty(w).normal_(0, 1), dim=0, eps=eps)
    del module._parameters[name]
    module.register_parameter(name + "_orig", weight)
    module.__dict__[name] = weight.detach()
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module, name="weight"):
    """Makes the weight, as normalised, a parameter again.

    Example:
        >>> layer = wg.nn.utils.spectral_norm(wg.nn.Linear(2, 3, bias=False))
        >>> list(wg.nn.utils.remove_spectral_norm(layer).state_dict())
        ['weight']
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            with no_grad():
                weight = hook.compute_weight(module, False)
            module.__dict__.pop(name, None)
            del module._parameters[name + "_orig"]
            del module._buffers[name + "_u"], module._buffers[name + "_v"]
            module.register_parameter(name, Parameter(weight.detach()))
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"spectral_norm of '{name}' not found in {module}")
