"""Adafactor: squares of matrices' gradients kept as one row and one column."""

from wengert import _core
from wengert._core import Tensor

from ._simple import EachParameter
from .optimizer import Optimizer, step_count


def _mean_square(grad, dim):
    return grad.norm(dim=dim, keepdim=True).square_().div_(grad.shape[dim])


class Adafactor(EachParameter):
    """p ← p − α·u / max(1, rms(u) / d), with u = g / √v and α = max(eps[1], rms(p)) · min(lr, 1 / √t).

    v forgets by t^beta2_decay in step t. Of gradients with two dims or more v is the product of its rows' and its
    columns' means over their mean. Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory
    cost" (2018).

    Args:
        lr: the largest relative step.
        beta2_decay: ≤ 0, the exponent of the step that says how fast v forgets.
        eps: (the least mean of v's rows, the dtype's epsilon if None; the least size of a parameter).
        d: a step's largest root mean square.
        weight_decay: shrinks parameters by 1 − lr · weight_decay in each step.
        foreach: accepted; each parameter is stepped by itself.
        maximize: ascends instead.

    Raises:
        ValueError: for options out of these bounds.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.Adafactor([w], lr=0.1).step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        beta2_decay=-0.8,
        eps=(None, 1e-3),
        d=1.0,
        weight_decay=0.0,
        *,
        foreach=None,
        maximize=False,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        options = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        # Its options are other ones than EachParameter checks.
        Optimizer.__init__(self, params, options)

    def _start(self, param, group):
        value = param.detach()
        if param.ndim < 2:
            return {"step": step_count(), "variance": _core.zeros_like(value)}
        rows = value.new_zeros((*param.shape[:-1], 1))
        columns = value.new_zeros((*param.shape[:-2], 1, param.shape[-1]))
        return {"step": step_count(), "row_var": rows, "col_var": columns}

    def _move(self, param, grad, state, group):
        lr, step, (least, smallest) = float(group["lr"]), float(state["step"]), group["eps"]
        least = _core.finfo(param.dtype).eps if least is None else least
        fresh = step ** group["beta2_decay"]
        size = max(smallest, param.norm(2).item() / param.numel() ** 0.5)
        alpha = size * min(lr, 1 / step**0.5)
        if group["weight_decay"]:
            param.mul_(1 - lr * group["weight_decay"])
        if grad.ndim > 1:
            rows = state["row_var"].lerp_(_mean_square(grad, -1), fresh)
            columns = state["col_var"].lerp_(_mean_square(grad, -2), fresh)
            variance = (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))
        else:
            variance = state["variance"].lerp_(grad.square(), fresh).clone()
        update = variance.clamp_(min=least * least).rsqrt_().mul_(grad)
        clipped = max(1.0, update.norm(2).item() / (update.numel() ** 0.5 * group["d"]))
        param.add_(update, alpha=-alpha / clipped)
