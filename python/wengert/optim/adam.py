"""Adam and AdamW."""

from wengert import _core
from wengert._core import Tensor, _adam_step

from .optimizer import Optimizer, check_options, step_count


class Adam(Optimizer):
    """Steps by running means of the gradient and of its square, each freed of its bias towards 0.

    m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − lr · m̂ / (√v̂ + eps).

    Args:
        lr: learning rate.
        betas: β₁ and β₂.
        weight_decay: adds weight_decay · p to the gradient; with `decoupled_weight_decay` p is
            instead multiplied by 1 − lr · weight_decay.
        amsgrad: divides by the largest v̂ so far.
        maximize: ascends instead.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.Adam([w], lr=0.1).step()
        >>> w
        tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        foreach=None,
        maximize=False,
        capturable=False,
        differentiable=False,
        fused=None,
        decoupled_weight_decay=False,
    ):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 <= eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i in range(2):
            if not 0.0 <= betas[i] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        check_options(type(self).__name__, foreach, fused, differentiable)
        defaults = {
            "lr": lr,
            "betas": (float(betas[0]), float(betas[1])),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _update(self, group):
        _adam_step(group, self.state, self._start_amsgrad if group["amsgrad"] else self._start)

    def _start(self, param, *more):
        """The state of a parameter that makes its first step; others get none. It is there whole or, where there is
        too little memory, not at all."""
        values = param.detach()
        moments = {name: _core.zeros_like(values) for name in ("exp_avg", "exp_avg_sq", *more)}
        state = self.state[param] = {"step": step_count(), **moments}
        return state

    def _start_amsgrad(self, param):
        return self._start(param, "max_exp_avg_sq")


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters directly instead of entering the gradient."""

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
