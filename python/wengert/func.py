"""Functions of functions: what needs no tracing."""

from .nn.utils.stateless import functional_call

__all__ = ["functional_call", "stack_module_state"]


def stack_module_state(models):
    """Parameters and buffers of like modules, stacked along a new first dim: two dicts by name.

    Raises:
        RuntimeError: for no models, or models of different classes or modes.

    Example:
        >>> params, buffers = wg.func.stack_module_state([wg.nn.Linear(2, 3) for _ in range(4)])
        >>> params["weight"].shape
        torch.Size([4, 3, 2])
    """
    from . import _core

    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(m.training != models[0].training for m in models):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(of):
        columns = [dict(getattr(m, of)()) for m in models]
        result = {}
        for name, first in columns[0].items():
            made = _core.stack([column[name].detach() for column in columns])
            result[name] = made.requires_grad_(first.requires_grad)
        return result

    return stacked("named_parameters"), stacked("named_buffers")


def __getattr__(name):
    raise AttributeError(f"wengert has no func.{name} yet")
