"""Modules whose parameters are not initialised."""

from ..modules.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """A module of that class with parameters and buffers of any values: none is computed, and none drawn.

    Args:
        args, kwargs: the class's own; `device` is where the module will be.

    Raises:
        RuntimeError: if it is no class of modules, or takes no `device`.

    Example:
        >>> wg.nn.utils.skip_init(wg.nn.Linear, 2, 3).weight.shape
        torch.Size([3, 2])
    """
    import inspect

    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(
            f"Module must support a 'device' arg to skip initialization, but {module_cls} does not"
        )
    final = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=final)
