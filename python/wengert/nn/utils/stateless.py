"""Calling a module with other parameters than its own."""

from wengert._core import Tensor

__all__ = ["functional_call"]


def _tied(module, given):
    """The given tensors, also under the further names that the module has for the same parameter."""
    names = {}
    for entries in (module.named_parameters, module.named_buffers):
        for name, tensor in entries(remove_duplicate=False):
            names.setdefault(id(tensor), []).append(name)
    result = dict(given)
    for group in names.values():
        values = {id(given[name]): given[name] for name in group if name in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(group)}, which are tied. "
                "Consider using tie_weights=False"
            )
        for value in values.values():
            result.update(dict.fromkeys(group, value))
    return result


def _place(module, path):
    """The registry of a parameter or buffer, and its name there; None where there is no such thing."""
    path, _, name = path.rpartition(".")
    try:
        owner = module.get_submodule(path)
    except AttributeError:
        return None
    for registry in (owner._parameters, owner._buffers):
        if name in registry:
            return registry, name
    return None


def functional_call(
    module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False
):
    """`module(*args, **kwargs)` with the named parameters and buffers replaced for this call.

    Args:
        parameters_and_buffers: a dict of dotted names and tensors (gradients flow to them), or a sequence of
            such dicts. A buffer that the call replaces is replaced there.
        args: a tuple, or one argument.
        tie_weights: replace a tensor under all the names that the module has for it.
        strict: refuse names that are missing or unknown.

    Example:
        >>> layer = wg.nn.Linear(2, 1, bias=False)
        >>> wg.func.functional_call(layer, {"weight": wg.tensor([[2.0, 3.0]])}, wg.ones(2))
        tensor([5.])
    """
    given = parameters_and_buffers
    if not isinstance(given, dict):
        given = {name: tensor for part in given for name, tensor in part.items()}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    if strict:
        known = {n for n, _ in module.named_parameters(remove_duplicate=False)}
        known |= {n for n, _ in module.named_buffers(remove_duplicate=False)}
        unknown, missing = sorted(given.keys() - known), sorted(known - given.keys())
        if unknown or missing:
            raise RuntimeError(
                f"Error(s) in running functional_call for {type(module).__name__}: "
                f"unexpected keys {unknown}, missing keys {missing}"
            )
    before = []
    try:
        for path, tensor in (_tied(module, given) if tie_weights else given).items():
            if not isinstance(tensor, Tensor):
                raise TypeError(f"functional_call: {path} must be a Tensor, but got {type(tensor).__name__}")
            place = _place(module, path)
            if place is not None:
                registry, name = place
                before.append((registry, name, registry[name], path, tensor))
                registry[name] = tensor
        return module(*args, **(kwargs or {}))
    finally:
        for registry, name, own, path, tensor in reversed(before):
            if registry[name] is not tensor and path in given:
                given[path] = registry[name]
            registry[name] = own
