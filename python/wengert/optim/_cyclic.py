"""The cyclic schedule."""

from ._scheduler import LRScheduler, _check_optimizer, _one_for_each_group


class CyclicLR(LRScheduler):
    """Up from `base_lr` to `max_lr` and down again, over and over, momentum going the other way.

    Args:
        step_size_up, step_size_down: steps of the way up and of the way down (as many, if left out).
        mode: 'triangular'; 'triangular2' halves the height in each cycle; 'exp_range' multiplies it by `gamma`
            in each step.
        scale_fn: a function of the cycle or the step (`scale_mode` 'cycle' or 'iterations') in place of a mode.
        cycle_momentum: whether momentum goes between `max_momentum` and `base_momentum`.

    Example:
        >>> import wengert as wg
        >>> opt = wg.optim.SGD([wg.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
        >>> sched = wg.optim.lr_scheduler.CyclicLR(opt, base_lr=0.0, max_lr=1.0, step_size_up=4)
        >>> opt.step(); sched.step()
        >>> sched.get_last_lr()
        [0.25]
    """

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up=2000,
        step_size_down=None,
        mode="triangular",
        gamma=1.0,
        scale_fn=None,
        scale_mode="cycle",
        cycle_momentum=True,
        base_momentum=0.8,
        max_momentum=0.9,
        last_epoch=-1,
    ):
        self.optimizer = _check_optimizer(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"mode must be 'triangular', 'triangular2' or 'exp_range', or scale_fn given, but got mode={mode!r}"
            )
        base_lrs = _one_for_each_group("base_lr", base_lr, optimizer)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        self.max_lrs = _one_for_each_group("max_lr", max_lr, optimizer)
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = (
            scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        )
        self._scale_fn_custom = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
                raise ValueError(
                    "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
                )
            self.use_beta1 = "betas" in optimizer.defaults
            self.base_momentums = _one_for_each_group("base_momentum", base_momentum, optimizer)
            self.max_momentums = _one_for_each_group("max_momentum", max_momentum, optimizer)
            if last_epoch == -1:
                for group, least, most in zip(
                    optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
                ):
                    self._set_momentum(group, most)
                    group["max_momentum"], group["base_momentum"] = most, least
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _set_momentum(self, group, momentum):
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def scale_fn(self, x):
        """The share of the full height in cycle (or at step) `x`."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return self.gamma**x
        return 0.5 ** (x - 1) if self.mode == "triangular2" else 1.0

    def get_lr(self):
        """The groups' next rates; momentum is set on the way."""
        cycle = int(1 + self.last_epoch / self.total_size)
        part = 1.0 + self.last_epoch / self.total_size - cycle
        height = part / self.step_ratio if part <= self.step_ratio else (part - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, least, most in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                self._set_momentum(group, most - (most - least) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]
