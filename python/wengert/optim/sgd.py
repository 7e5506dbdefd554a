"""Stochastic gradient descent."""

from wengert import _core
from wengert._core import Tensor, _sgd_step

from .optimizer import Optimizer, check_options


class SGD(Optimizer):
    """p ← p − lr · d, with d the gradient, or with momentum the buffer b ← momentum · b + (1 − dampening) · d.

    Args:
        lr: learning rate.
        momentum, dampening: as above; the first step sets b to the gradient.
        weight_decay: adds weight_decay · p to the gradient.
        nesterov: steps by gradient + momentum · b.
        maximize: ascends instead.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.SGD([w], lr=0.25).step()
        >>> w
        tensor([0.5000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_options("SGD", foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _update(self, group):
        params = group["params"]
        lr, momentum = float(group["lr"]), float(group["momentum"])
        decay, nesterov = float(group["weight_decay"]), bool(group["nesterov"])
        maximize = bool(group["maximize"])
        if momentum == 0.0:
            _sgd_step(params, [None] * len(params), lr, 0.0, 0.0, decay, nesterov, maximize)
            return
        old, buffers, fresh, fresh_buffers = [], [], [], []
        for param in params:
            # .get, so that parameters without gradients get no entry in the state.
            state = self.state.get(param)
            buffer = None if state is None else state.get("momentum_buffer")
            if buffer is not None:
                old.append(param)
                buffers.append(buffer)
            elif param.grad is not None:
                buffer = self.state[param]["momentum_buffer"] = _core.zeros_like(param.detach())
                fresh.append(param)
                fresh_buffers.append(buffer)
        dampening = float(group["dampening"])
        if old:
            _sgd_step(old, buffers, lr, momentum, dampening, decay, nesterov, maximize)
        if fresh:
            # momentum · 0 + gradient: the first step is an undamped one from an empty buffer.
            _sgd_step(fresh, fresh_buffers, lr, momentum, 0.0, decay, nesterov, maximize)
