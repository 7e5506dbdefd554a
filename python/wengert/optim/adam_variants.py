"""Relatives of Adam: Adamax, NAdam, RAdam."""

from wengert import _core

from ._simple import EachParameter, decayed, zeros
from .optimizer import step_count


class Adamax(EachParameter):
    """m ← β₁m + (1 − β₁)g, u ← max(β₂u, |g| + eps), p ← p − lr / (1 − β₁ᵗ) · m / u.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.Adamax([w], lr=0.1).step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        return {"step": step_count(), "exp_avg": zeros(param), "exp_inf": zeros(param)}

    def _move(self, param, grad, state, group):
        grad, (beta1, beta2) = decayed(param, grad, group), group["betas"]
        mean = state["exp_avg"].lerp_(grad, 1 - beta1)
        largest = state["exp_inf"].mul_(beta2)
        largest.copy_(_core.maximum(largest, grad.abs().add_(group["eps"])))
        lr = float(group["lr"]) / (1 - beta1 ** float(state["step"]))
        param.addcdiv_(mean, largest, value=-lr)


def _moments(grad, state, group):
    """The running means of the gradient and of its square, moved on, and 1 − βᵗ of each."""
    beta1, beta2 = group["betas"]
    step = float(state["step"])
    mean = state["exp_avg"].lerp_(grad, 1 - beta1)
    square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    return mean, square, 1 - beta1**step, 1 - beta2**step


class NAdam(EachParameter):
    """Adam with Nesterov's momentum: the step looks ahead by the next momentum μₜ = β₁(1 − 0.96^(tψ) / 2).

    Args:
        lr, betas, eps, weight_decay, decoupled_weight_decay, maximize: as for Adam.
        momentum_decay: ψ.
    """

    def __init__(
        self,
        params,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        momentum_decay=4e-3,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        product = _core.ones((), dtype=step_count().dtype)
        return {
            "step": step_count(),
            "mu_product": product,
            "exp_avg": zeros(param),
            "exp_avg_sq": zeros(param),
        }

    def _move(self, param, grad, state, group):
        grad = decayed(param, grad, group)
        mean, square, _, unbias = _moments(grad, state, group)
        step, lr = float(state["step"]), float(group["lr"])
        now, ahead = (
            group["betas"][0] * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)
        )
        product = float(state["mu_product"].mul_(now))
        scale = square.div(unbias).sqrt_().add_(group["eps"])
        param.addcdiv_(grad, scale, value=-lr * (1 - now) / (1 - product))
        param.addcdiv_(mean, scale, value=-lr * ahead / (1 - product * ahead))


class RAdam(EachParameter):
    """Adam that steps by the plain mean while the mean square is of too few gradients to be relied on.

    Args:
        lr, betas, eps, weight_decay, decoupled_weight_decay, maximize: as for Adam.
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        decoupled_weight_decay=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
    ):
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        return {"step": step_count(), "exp_avg": zeros(param), "exp_avg_sq": zeros(param)}

    def _move(self, param, grad, state, group):
        grad = decayed(param, grad, group)
        mean, square, unbias1, unbias2 = _moments(grad, state, group)
        lr, beta2, step = float(group["lr"]) / unbias1, group["betas"][1], float(state["step"])
        # The length of the simple average that the mean square amounts to: in the limit, and now.
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * step * beta2**step / unbias2
        if length <= 5.0:
            param.add_(mean, alpha=-lr)
            return
        rectified = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        scale = square.sqrt().add_(group["eps"])
        param.addcdiv_(mean, scale, value=-lr * (rectified * unbias2) ** 0.5)
