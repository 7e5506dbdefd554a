"""Muon: steps of matrices along the orthogonal factor of their momentum."""

from wengert import _core
from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad

from .optimizer import Optimizer


def _orthogonal(matrix, coefficients, steps, eps):
    """About U·Vᵀ of the matrix's singular vectors: an odd polynomial of it, again and again, in bfloat16."""
    a, b, c = coefficients
    x = matrix.bfloat16()
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = Tensor.addmm(x, Tensor.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if turned else x


def _scale(how, rows, columns):
    """The factor of the learning rate for a matrix of this shape."""
    return 0.2 * max(rows, columns) ** 0.5 if how == "match_rms_adamw" else max(1, rows / columns) ** 0.5


class Muon(Optimizer):
    """m ← momentum · m + (1 − momentum) · g, p ← (1 − lr · weight_decay) · p − lr' · orthogonal(m).

    For matrices; other parameters are for another optimizer, such as AdamW. Jordan and others, "Muon: an optimizer
    for hidden layers in neural networks" (2024), with the decay of Liu and others, "Muon is scalable for LLM
    training" (2025).

    Args:
        params: 2-D tensors.
        nesterov: steps along g mixed with m.
        ns_coefficients, ns_steps: of Newton and Schulz's iteration a·x + b·x³ + c·x⁵ for the orthogonal factor.
        eps: the least norm that is divided by.
        adjust_lr_fn: "original" (as None), lr' = lr · √max(1, rows / columns), or "match_rms_adamw",
            lr' = lr · 0.2 · √max(rows, columns).

    Raises:
        ValueError: for parameters that are not 2-D, or options below 0.

    Example:
        >>> import wengert as wg
        >>> w = wg.eye(2, requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.Muon([w], lr=0.1).step()
        >>> bool((w.diagonal() < 1).all())
        True
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Adjust learning rate function {adjust_lr_fn} is not supported; use 'original' or 'match_rms_adamw'"
            )
        options = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, options)
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}"
                    )

    @no_grad()
    def _update(self, group):
        lr, momentum = float(group["lr"]), group["momentum"]
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            state = self.state[param]
            if not state:
                state["momentum_buffer"] = _core.zeros_like(grad)
            mean = state["momentum_buffer"].lerp_(grad, 1 - momentum)
            step = grad.lerp(mean, momentum) if group["nesterov"] else mean
            step = _orthogonal(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
            param.mul_(1 - lr * group["weight_decay"])
            param.add_(step.to(param.dtype), alpha=-lr * _scale(group["adjust_lr_fn"], *param.shape))
