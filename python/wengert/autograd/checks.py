"""`gradcheck` and `gradgradcheck`: analytic gradients against central differences in float64."""

from .. import _core
from .._core import Tensor
from .backward import grad


class GradcheckError(RuntimeError):
    """Raised by gradcheck where gradients disagree."""


def _tensors_of(given):
    return tuple(given) if isinstance(given, (tuple, list)) else (given,)


def _outputs(func, inputs):
    found = [o for o in _tensors_of(func(*inputs)) if isinstance(o, Tensor)]
    return [o for o in found if o.is_floating_point()]


def _places(inputs):
    return [
        i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.is_floating_point() and x.requires_grad
    ]


def _numerical(func, inputs, which, eps):
    """d outputs / d inputs[which]: one `[n, m]` float64 matrix (a list of n columns) per output."""
    x = inputs[which]
    flat = x.detach().clone().contiguous().reshape(-1)
    values = flat.tolist()
    rows = []
    for j, value in enumerate(values):
        sides = []
        for sign in (1, -1):
            moved = list(values)
            moved[j] = value + sign * eps
            probe = x.new_tensor(moved).reshape(x.shape).requires_grad_()
            at = [
                probe
                if i == which
                else (a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a)
                for i, a in enumerate(inputs)
            ]
            sides.append([o.detach().to(_core.float64).reshape(-1) for o in _outputs(func, at)])
        rows.append([(a - b) / (2 * eps) for a, b in zip(*sides, strict=True)])
    if not rows:
        return [o.new_zeros(0, o.numel(), dtype=_core.float64) for o in _outputs(func, inputs)]
    return [_core.stack(list(column)) for column in zip(*rows, strict=True)]


def _analytic(output, inputs, places):
    """d output / d inputs: an `[n, m]` float64 matrix per input, row by row through backward."""
    chosen = [inputs[i] for i in places]
    columns = [[] for _ in chosen]
    for j in range(output.numel()):
        seed = output.new_zeros(output.numel())
        seed[j] = 1.0
        found = grad(output, chosen, seed.reshape(output.shape), retain_graph=True, allow_unused=True)
        for column, g, x in zip(columns, found, chosen, strict=True):
            if g is not None and g.shape != x.shape:
                raise GradcheckError(
                    f"Analytical gradient has incorrect size: {tuple(g.shape)} for an input of shape "
                    f"{tuple(x.shape)}"
                )
            g = (
                x.new_zeros(x.numel(), dtype=_core.float64)
                if g is None
                else g.detach().to(_core.float64).reshape(-1)
            )
            column.append(g)
    return [
        _core.stack(c, 1) if c else x.new_zeros(x.numel(), 0, dtype=_core.float64)
        for c, x in zip(columns, chosen, strict=True)
    ]


def _close(a, b, rtol, atol):
    # NaN agrees with NaN, as in PyTorch's comparison.
    same = (a == b) | (a.isnan() & b.isnan()) | ((a - b).abs() <= atol + rtol * b.abs())
    return bool(same.all())


def _check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad):
    places = _places(inputs)
    if not places:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have "
            "requires_grad=True."
        )
    outputs = _outputs(func, inputs)
    differentiable = [o for o in outputs if o.requires_grad]
    if not differentiable:
        for i in places:
            for n in _numerical(func, inputs, i, eps):
                if not _close(n, _core.zeros_like(n), 0, 1e-12):
                    raise GradcheckError(
                        "Numerical gradient for function expected to be zero, but no output of the "
                        "function requires grad"
                    )
        return
    numerical = {i: _numerical(func, inputs, i, eps) for i in places}
    for k, output in enumerate(outputs):
        analytic = _analytic(output, inputs, places) if output.requires_grad else None
        for position, i in enumerate(places):
            n = numerical[i][k]
            a = _core.zeros_like(n) if analytic is None else analytic[position]
            if not _close(a, n, rtol, atol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {i},\nnumerical:{n}\n"
                    f"analytical:{a}\n"
                )
        if output.requires_grad and nondet_tol is not None:
            again = _analytic(_outputs(func, inputs)[k], inputs, places)
            for i, (a, b) in zip(places, zip(analytic, again, strict=True), strict=True):
                if not _close(a, b, 0, nondet_tol):
                    raise GradcheckError(
                        f"Backward is not reentrant, i.e., running backward with same input and grad_output "
                        f"multiple times gives different values, although analytical gradient matches "
                        f"numerical gradient. Output {k}, input {i}. The tolerance for nondeterminism was "
                        f"{nondet_tol}."
                    )
    if check_undefined_grad:
        _check_zero_seed(func, inputs, places)


def _check_zero_seed(func, inputs, places):
    """A zero gradient coming in must give zero (or none) going out."""
    outputs = [o for o in _outputs(func, inputs) if o.requires_grad]
    found = grad(
        outputs, [inputs[i] for i in places], [_core.zeros_like(o) for o in outputs], allow_unused=True
    )
    for i, g in zip(places, found, strict=True):
        if g is not None and not bool((g.detach() == 0).all()) and not bool(g.detach().isnan().any()):
            raise GradcheckError(
                f"backward not multiplied by grad_output (input {i}: a zero gradient of the outputs gave a "
                "nonzero one)"
            )


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Whether the gradients of `func` at `inputs` (float64, requires_grad) agree with central differences.

    Raises GradcheckError, or gives False with raise_exception=False. `fast_mode` is accepted and checks as fully.

    Example:
        >>> x = wg.tensor([0.5, 2.], dtype=wg.float64, requires_grad=True)
        >>> wg.autograd.gradcheck(wg.sin, x)
        True
    """
    if check_forward_ad or check_batched_forward_grad or check_batched_grad:
        raise ValueError(
            "gradcheck: forward-mode and batched checks are not available here; pass check_forward_ad=False, "
            "check_batched_grad=False"
        )
    inputs = _tensors_of(inputs)
    try:
        if check_backward_ad:
            _check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad)
        if check_grad_dtypes:
            _check_dtypes(func, inputs)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check_dtypes(func, inputs):
    places = _places(inputs)
    outputs = [o for o in _outputs(func, inputs) if o.requires_grad]
    found = grad(
        outputs, [inputs[i] for i in places], [_core.ones_like(o) for o in outputs], allow_unused=True
    )
    for i, g in zip(places, found, strict=True):
        if g is not None and g.dtype != inputs[i].dtype:
            raise GradcheckError(
                f"Gradient has dtype mismatch: input {i} is {inputs[i].dtype}, its gradient {g.dtype}"
            )


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """Whether the second derivatives of `func` agree with central differences of the first.

    Example:
        >>> x = wg.tensor([0.5, 2.], dtype=wg.float64, requires_grad=True)
        >>> wg.autograd.gradgradcheck(wg.exp, x)
        True
    """
    inputs = _tensors_of(inputs)
    places = _places(inputs)
    if grad_outputs is None:
        outputs = _outputs(func, inputs)
        seeds = tuple(_core.randn(o.shape, dtype=o.dtype, device=o.device).requires_grad_() for o in outputs)
    else:
        seeds = _tensors_of(grad_outputs)
    count = len(inputs)

    def first(*args):
        inner, weights = args[:count], args[count:]
        inner = tuple(
            a if not isinstance(a, Tensor) or a.requires_grad or i not in places else a.requires_grad_()
            for i, a in enumerate(inner)
        )
        outputs = _outputs(func, inner)
        chosen = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
        found = grad(
            [o for o, _ in chosen],
            [inner[i] for i in places],
            [w for _, w in chosen],
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first,
        inputs + seeds,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
        masked=masked,
    )
