"""Steps divided by roots of gathered squares: RMSprop, Adagrad, Adadelta."""

from wengert import _core

from ._simple import EachParameter, decayed, zeros
from .optimizer import step_count


class RMSprop(EachParameter):
    """v ← αv + (1 − α)g², p ← p − lr · g / (√v + eps).

    Args:
        lr: learning rate.
        alpha: how slowly v forgets.
        weight_decay: adds weight_decay · p to the gradient.
        momentum: steps along b ← momentum · b + g / (√v + eps) instead.
        centered: divides by the root of the variance v − m², with m the mean of g.
        maximize: ascends instead.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.RMSprop([w], lr=0.1, alpha=0.75).step()
        >>> w
        tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        options = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        state = {"step": step_count(), "square_avg": zeros(param)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros(param)
        if group["centered"]:
            state["grad_avg"] = zeros(param)
        return state

    def _move(self, param, grad, state, group):
        grad, alpha, lr = decayed(param, grad, group), group["alpha"], float(group["lr"])
        squares = state["square_avg"].mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(grad, 1 - alpha)
            scale = squares.addcmul(mean, mean, value=-1).sqrt_()
        else:
            scale = squares.sqrt()
        scale.add_(group["eps"])
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(grad, scale)
            param.add_(buffer, alpha=-lr)
        else:
            param.addcdiv_(grad, scale, value=-lr)


class Adagrad(EachParameter):
    """s ← s + g², p ← p − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps).

    Args:
        lr, lr_decay: the learning rate, and how it falls with the number of steps t.
        weight_decay: adds weight_decay · p to the gradient.
        initial_accumulator_value: where s begins.
        maximize: ascends instead.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
    ):
        if not initial_accumulator_value >= 0.0:
            raise ValueError(f"Invalid initial_accumulator_value value: {initial_accumulator_value}")
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, options)
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param].update(self._start(param, group))

    def _start(self, param, group):
        value = group["initial_accumulator_value"]
        return {"step": step_count(), "sum": _core.full_like(param.detach(), value)}

    def _move(self, param, grad, state, group):
        grad = decayed(param, grad, group)
        lr = float(group["lr"]) / (1 + (float(state["step"]) - 1) * group["lr_decay"])
        scale = state["sum"].addcmul_(grad, grad).sqrt().add_(group["eps"])
        param.addcdiv_(grad, scale, value=-lr)


class Adadelta(EachParameter):
    """v ← ρv + (1 − ρ)g², d = √((u + eps) / (v + eps)) · g, u ← ρu + (1 − ρ)d², p ← p − lr · d.

    Args:
        lr: a factor of the steps, whose size is the squares' doing.
        rho: how slowly v and u forget.
        weight_decay: adds weight_decay · p to the gradient.
        maximize: ascends instead.
    """

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
    ):
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        options = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        return {"step": step_count(), "square_avg": zeros(param), "acc_delta": zeros(param)}

    def _move(self, param, grad, state, group):
        grad, rho, eps = decayed(param, grad, group), group["rho"], group["eps"]
        squares, moved = state["square_avg"], state["acc_delta"]
        squares.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = moved.add(eps).sqrt_().div_(squares.add(eps).sqrt_()).mul_(grad)
        moved.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        param.add_(delta, alpha=-float(group["lr"]))
