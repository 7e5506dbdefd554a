"""Derivatives of functions at points: jacobian, hessian, and their products with vectors."""

from .. import _core
from .._core import Tensor
from .backward import grad
from .grad_mode import enable_grad


def _as_tuple(what, given):
    if isinstance(given, Tensor):
        return (given,), False
    given = tuple(given)
    for item in given:
        if not isinstance(item, Tensor):
            raise TypeError(
                f"The {what} given must be either a Tensor or a tuple of Tensors, but one is "
                f"{type(item).__name__}"
            )
    return given, True


def _fresh(inputs, create_graph):
    """Inputs to differentiate by: views on the graph of the given ones if a graph is wanted, else new leaves."""
    if create_graph:
        return tuple(x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs)
    return tuple(x.detach().requires_grad_() for x in inputs)


def _run(func, inputs):
    return _as_tuple("outputs of the user-provided function", func(*inputs))


def _gradients(outputs, inputs, seeds, create_graph, strict, retain=True):
    """Like grad over those outputs that depend on anything, with zeros for inputs that nothing depends on."""
    pairs = [(o, s) for o, s in zip(outputs, seeds, strict=True) if o.requires_grad]
    if strict and len(pairs) != len(outputs):
        raise RuntimeError(
            "The output of the user-provided function is independent of the input. This is not allowed in "
            "strict mode."
        )
    found = (
        grad(
            [o for o, _ in pairs],
            inputs,
            [s for _, s in pairs],
            retain_graph=retain,
            create_graph=create_graph,
            allow_unused=True,
        )
        if pairs
        else (None,) * len(inputs)
    )
    if strict and any(g is None for g in found):
        raise RuntimeError(
            "The output of the user-provided function is independent of an input. This is not allowed in "
            "strict mode."
        )
    return tuple(_core.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True))


def _settle(parts, create_graph, many):
    parts = tuple(p if create_graph else p.detach() for p in parts)
    return parts if many else parts[0]


def _vectors(name, v, references, many):
    if v is None:
        if len(references) != 1 or references[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if the {name} is a single Tensor with a single element"
            )
        return (_core.ones_like(references[0]),)
    v, _ = _as_tuple("vector v", v)
    if len(v) != len(references):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(references)} but got {len(v)}")
    for a, b in zip(v, references, strict=True):
        if a.shape != b.shape:
            raise RuntimeError(f"v has invalid size: should be {b.shape} but got {a.shape}")
    return v


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), vᵀ J): v has the outputs' shapes, the product the inputs'.

    Example:
        >>> wg.autograd.functional.vjp(lambda x: x * x, wg.tensor([3.]), wg.tensor([1.]))[1]
        tensor([6.])
    """
    with enable_grad():
        inputs, many_in = _as_tuple("inputs", inputs)
        inputs = _fresh(inputs, create_graph)
        outputs, many_out = _run(func, inputs)
        v = _vectors("output", v, outputs, many_out)
        found = _gradients(outputs, inputs, v, create_graph, strict)
    return _settle(outputs, create_graph, many_out), _settle(found, create_graph, many_in)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), J v): v has the inputs' shapes, the product the outputs'. By differentiating vjp twice.

    Example:
        >>> wg.autograd.functional.jvp(lambda x: x * x, wg.tensor([3.]), wg.tensor([1.]))[1]
        tensor([6.])
    """
    with enable_grad():
        inputs, many_in = _as_tuple("inputs", inputs)
        v = _vectors("input to the function", v, inputs, many_in)
        inputs = _fresh(inputs, create_graph)
        outputs, many_out = _run(func, inputs)
        # vᵀJ is linear in its vector, so its derivative by that vector, weighted with v, is J v.
        dummies = tuple(_core.zeros_like(o).requires_grad_() for o in outputs)
        back = _gradients(outputs, inputs, dummies, True, strict)
        found = _gradients(back, dummies, v, create_graph, False)
    return _settle(outputs, create_graph, many_out), _settle(found, create_graph, many_out)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """d outputs / d inputs, of shape output shape + input shape; nested tuples for several of either.

    Example:
        >>> wg.autograd.functional.jacobian(lambda x: x * x, wg.tensor([1., 2.]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(
            f'Expected strategy to be either "forward-mode" or "reverse-mode". Got {strategy!r}'
        )
    with enable_grad():
        inputs, many_in = _as_tuple("inputs", inputs)
        inputs = _fresh(inputs, create_graph)
        outputs, many_out = _run(func, inputs)
        table = []
        for output in outputs:
            rows = []
            for j in range(output.numel()):
                seed = output.new_zeros(output.numel())
                seed[j] = 1.0
                rows.append(
                    _gradients((output,), inputs, (seed.reshape(output.shape),), create_graph, strict)
                )
            table.append(
                tuple(
                    _core.stack([row[i] for row in rows]).reshape(tuple(output.shape) + tuple(x.shape))
                    if rows
                    else x.new_zeros(tuple(output.shape) + tuple(x.shape))
                    for i, x in enumerate(inputs)
                )
            )
    rows = tuple(_settle(row, create_graph, many_in) for row in table)
    return rows if many_out else rows[0]


def _scalar(func):
    def checked(*inputs):
        output = func(*inputs)
        if not isinstance(output, Tensor):
            raise RuntimeError("The function given to hessian should return a single Tensor")
        if output.numel() != 1:
            raise RuntimeError(
                "The Tensor returned by the function given to hessian should contain a single element, but it "
                f"has shape {tuple(output.shape)}"
            )
        return output.reshape(())

    return checked


def hessian(
    func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"
):
    """The second derivatives of a scalar function: input shape + input shape; nested tuples for several inputs.

    Example:
        >>> wg.autograd.functional.hessian(lambda x: (x**3).sum(), wg.tensor([1., 2.]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    _, many = _as_tuple("inputs", inputs)
    scalar = _scalar(func)

    def gradient(*points):
        found = jacobian(scalar, points, create_graph=True)
        return found if many else found[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), vᵀ H) of a scalar function.

    Example:
        >>> wg.autograd.functional.vhp(lambda x: (x**3).sum(), wg.tensor([2.]), wg.tensor([1.]))[1]
        tensor([12.])
    """
    with enable_grad():
        inputs, many = _as_tuple("inputs", inputs)
        v = _vectors("input to the function", v, inputs, many)
        inputs = _fresh(inputs, create_graph)
        output = _scalar(func)(*inputs)
        first = _gradients((output,), inputs, (None,), True, strict)
        found = _gradients(first, inputs, v, create_graph, strict)
    return _settle((output,), create_graph, False), _settle(found, create_graph, many)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(inputs), H v) of a scalar function; H is symmetric, so this is vhp.

    Example:
        >>> wg.autograd.functional.hvp(lambda x: (x**3).sum(), wg.tensor([2.]), wg.tensor([1.]))[1]
        tensor([12.])
    """
    return vhp(func, inputs, v, create_graph, strict)
