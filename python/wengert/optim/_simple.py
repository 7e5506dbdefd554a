"""What optimizers written in Python share: checks of options, and one parameter at a time."""

from wengert import _core
from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad

from .optimizer import Optimizer, check_options

_WORDS = {"lr": "learning rate", "eps": "epsilon value"}


def check(name, options):
    """Refuses amounts below 0 and decay rates outside [0, 1)."""
    if isinstance(options["lr"], Tensor) and options["lr"].numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    for key in ("lr", "eps", "momentum", "weight_decay", "alpha", "lambd", "lr_decay", "momentum_decay"):
        if not options.get(key, 0.0) >= 0.0:
            raise ValueError(f"Invalid {_WORDS.get(key, key + ' value')}: {options[key]}")
    for i, beta in enumerate(options.get("betas", ())):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    check_options(name, options["foreach"], options.get("fused"), options["differentiable"])


class EachParameter(Optimizer):
    """An optimizer that defines `_start(param, group)`, a fresh state, and `_move(param, grad, state, group)`."""

    def __init__(self, params, options):
        check(type(self).__name__, options)
        super().__init__(params, options)

    @no_grad()
    def _update(self, group):
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            state = self.state[param]
            if not state:
                state.update(self._start(param, group))
            state["step"] += 1
            self._move(param, -grad if group["maximize"] else grad, state, group)


def decayed(param, grad, group):
    """The gradient with weight decay in it, or as it is where decay shrinks the parameter itself."""
    decay = group["weight_decay"]
    if decay == 0:
        return grad
    if group.get("decoupled_weight_decay"):
        param.mul_(1 - float(group["lr"]) * decay)
        return grad
    return grad.add(param, alpha=decay)


def zeros(param):
    """A state tensor of zeros like a parameter."""
    return _core.zeros_like(param.detach())
