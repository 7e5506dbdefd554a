"""Steps by the gradient's sign (Rprop), and averaged descent (ASGD)."""

from wengert import _core

from ._simple import EachParameter, decayed, zeros
from .optimizer import step_count


class Rprop(EachParameter):
    """Each element moves against its gradient's sign by a step of its own, which grows while the sign lasts.

    Args:
        lr: the first step's size.
        etas: factors of the step where the sign has changed, and where it has not.
        step_sizes: the smallest and the largest step.
        maximize: ascends instead.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0, -1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.Rprop([w], lr=0.25).step()
        >>> w
        tensor([ 0.7500, -0.7500], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
    ):
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        options = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        size = _core.full_like(param.detach(), float(group["lr"]))
        return {"step": step_count(), "prev": zeros(param), "step_size": size}

    def _move(self, param, grad, state, group):
        shrink, grow = group["etas"]
        turned = grad * state["prev"]
        factor = _core.ones_like(turned).masked_fill_(turned > 0, grow).masked_fill_(turned < 0, shrink)
        size = state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        # Where the sign has changed the element stays, and the next step counts as a first one.
        grad = grad.masked_fill(turned < 0, 0.0)
        param.addcmul_(grad.sign(), size, value=-1)
        state["prev"].copy_(grad)


class ASGD(EachParameter):
    """Stochastic gradient descent with falling steps that also keeps the average `ax` of the parameters.

    Args:
        lr: the first learning rate η₀; later η = η₀ / (1 + lambd · η₀ · t)^alpha.
        lambd: shrinks parameters by 1 − lambd · η in each step.
        t0: the step from which averages are taken.
        weight_decay: adds weight_decay · p to the gradient.
        maximize: ascends instead.
    """

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
    ):
        options = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, options)

    def _start(self, param, group):
        kind = step_count().dtype
        eta, mu = _core.tensor(float(group["lr"]), dtype=kind), _core.ones((), dtype=kind)
        return {"step": step_count(), "eta": eta, "mu": mu, "ax": zeros(param)}

    def _move(self, param, grad, state, group):
        grad, lr, step = decayed(param, grad, group), float(group["lr"]), float(state["step"])
        eta, mu, average = float(state["eta"]), float(state["mu"]), state["ax"]
        param.mul_(1 - group["lambd"] * eta).add_(grad, alpha=-eta)
        if mu == 1:
            average.copy_(param)
        else:
            average.add_(param - average, alpha=mu)
        state["eta"].fill_(lr / (1 + group["lambd"] * lr * step) ** group["alpha"])
        state["mu"].fill_(1 / max(1.0, step - group["t0"]))
