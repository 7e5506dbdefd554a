"""The one-cycle schedule."""

import math

from ._scheduler import LRScheduler, _check_optimizer, _one_for_each_group


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down again over all steps of the training, momentum going the other way.

    Args:
        total_steps: or `epochs` and `steps_per_epoch`.
        pct_start: the share of steps that go up.
        anneal_strategy: 'cos' or 'linear'.
        div_factor: max_lr / initial rate.
        final_div_factor: initial rate / last rate.
        three_phase: first go down symmetrically, then to the last rate.
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        self.optimizer = _check_optimizer(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or pct_start < 0 or pct_start > 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_func_type = anneal_strategy
        up = float(pct_start * self.total_steps) - 1
        last = self.total_steps - 1
        # Each phase: its last step, and the group's keys between which rate and momentum go.
        self._phases = [(up, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))]
        if three_phase:
            down = float(2 * pct_start * self.total_steps) - 2
            self._phases.append((down, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum")))
            self._phases.append((last, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")))
        else:
            self._phases.append((last, ("max_lr", "min_lr"), ("base_momentum", "max_momentum")))
        max_lrs = _one_for_each_group("max_lr", max_lr, optimizer)
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _start_momentum(self, base_momentum, max_momentum, last_epoch):
        optimizer = self.optimizer
        self.use_beta1 = "betas" in optimizer.defaults
        if not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        tops = _one_for_each_group("max_momentum", max_momentum, optimizer)
        bases = _one_for_each_group("base_momentum", base_momentum, optimizer)
        if last_epoch == -1:
            for group, top, base in zip(optimizer.param_groups, tops, bases, strict=True):
                self._set_momentum(group, top)
                group["max_momentum"] = top
                group["base_momentum"] = base

    def _set_momentum(self, group, value):
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value

    def _between(self, start, end, share):
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
        return (end - start) * share + start

    def get_lr(self):
        self._present()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is {self.total_steps}"
            )
        ends = [phase[0] for phase in self._phases[:-1]]
        i = next((i for i, end in enumerate(ends) if step <= end), len(ends))
        last, rate_keys, momentum_keys = self._phases[i]
        first = ends[i - 1] if i else 0.0
        share = (step - first) / (last - first)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(*(group[key] for key in rate_keys), share))
            if self.cycle_momentum:
                self._set_momentum(group, self._between(*(group[key] for key in momentum_keys), share))
        return rates


def _total_steps(total_steps, epochs, steps_per_epoch):
    if total_steps is None and epochs is not None and steps_per_epoch is not None:
        for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"Expected positive integer {name}, but got {value}")
        return epochs * steps_per_epoch
    if total_steps is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    if not isinstance(total_steps, int) or total_steps <= 0:
        raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
    return total_steps
