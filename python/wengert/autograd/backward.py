"""`backward` and `grad`: argument shapes and checks around the core's sweep."""

from .. import _core
from .._core import Tensor


def _tensors(name, given):
    if isinstance(given, Tensor):
        return (given,)
    given = tuple(given)
    for item in given:
        if not isinstance(item, Tensor):
            raise TypeError(f"{name} must be tensors, but one is {type(item).__name__}")
    return given


def _inputs(function, given):
    if isinstance(given, Tensor):
        return (given,)
    given = tuple(given)
    if not given:
        raise RuntimeError(f"`inputs` argument to `{function}()` cannot be empty.")
    for item in given:
        if not isinstance(item, Tensor):
            raise RuntimeError(f"{function}(): all inputs have to be tensors, but got {type(item).__name__}")
    return given


def _seeds(outputs, given, is_grads_batched=False):
    """A list of gradients, one an output, each None or a tensor of the output's shape."""
    if given is None:
        seeds = (None,) * len(outputs)
    elif isinstance(given, Tensor):
        seeds = (given,)
    else:
        seeds = tuple(given)
    if len(seeds) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(seeds)} gradients")
    for seed, output in zip(seeds, outputs, strict=True):
        if seed is None:
            if output.requires_grad and output.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
        elif not isinstance(seed, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(seed).__name__}")
        elif seed.shape != output.shape and not is_grads_batched:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[0] has a shape of {seed.shape} and output[0] has a shape of "
                f"{output.shape}."
            )
    return list(seeds)


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None
):
    """Adds to every leaf's `.grad` (or to those of `inputs`) the sum of the tensors' gradients, each weighted by its
    `grad_tensors` (1 for scalars).

    Example:
        >>> x = wg.tensor(3., requires_grad=True)
        >>> wg.autograd.backward(x * x)
        >>> x.grad
        tensor(6.)
    """
    if grad_tensors is None:
        grad_tensors = grad_variables
    tensors = _tensors("tensors", tensors)
    if inputs is not None:
        inputs = _inputs("backward", inputs)
    retain_graph = create_graph if retain_graph is None else retain_graph
    seeds = _seeds(tensors, grad_tensors)
    _core._backward(
        list(tensors), seeds, retain_graph, create_graph, None if inputs is None else list(inputs)
    )


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of the (weighted) sum of outputs with respect to inputs, a tuple; `.grad` stays as it is.

    Example:
        >>> x = wg.tensor(3., requires_grad=True)
        >>> wg.autograd.grad(x * x, x)
        (tensor(6.),)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    outputs, inputs = _tensors("outputs", outputs), _inputs("grad", inputs)
    retain_graph = create_graph if retain_graph is None else retain_graph
    seeds = _seeds(outputs, grad_outputs, is_grads_batched)
    if is_grads_batched:
        rows = [
            _core._grad(
                list(outputs),
                list(inputs),
                [None if s is None else s[i] for s in seeds],
                True,
                create_graph,
                allow_unused,
            )
            for i in range(next(s for s in seeds if s is not None).shape[0])
        ]
        found = [
            None if column[0] is None else _core.stack(list(column)) for column in zip(*rows, strict=True)
        ]
    else:
        found = _core._grad(list(outputs), list(inputs), seeds, retain_graph, create_graph, allow_unused)
    if materialize_grads:
        found = [_core.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]
    return tuple(found)
