"""The older weight normalisation: a hook that sets the weight before each forward."""

from ..parameter import Parameter
from .parametrizations import norm_except

__all__ = ["remove_weight_norm", "weight_norm"]


class WeightNorm:
    """The hook of one weight."""

    def __init__(self, name, dim):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module):
        """The weight of the present magnitude and direction."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except(v, self.dim))

    def __call__(self, module, inputs):
        module.__dict__[self.name] = self.compute_weight(module)


def weight_norm(module, name="weight", dim=0):
    """The weight as `name_g`, its norm for each index of `dim` (one for all if None), times the direction of `name_v`.

    Example:
        >>> layer = wg.nn.utils.weight_norm(wg.nn.Linear(2, 3, bias=False))
        >>> list(layer.state_dict())
        ['weight_g', 'weight_v']
    """
    if any(isinstance(h, WeightNorm) and h.name == name for h in module._forward_pre_hooks.values()):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module, name="weight"):
    """Makes the weight a parameter again.

    Example:
        >>> layer = wg.nn.utils.weight_norm(wg.nn.Linear(2, 3, bias=False))
        >>> list(wg.nn.utils.remove_weight_norm(layer).state_dict())
        ['weight']
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            weight = hook.compute_weight(module).detach()
            module.__dict__.pop(name, None)
            del module._parameters[name + "_g"], module._parameters[name + "_v"]
            module.register_parameter(name, Parameter(weight))
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
