"""Reducing the rate when a metric stops getting better."""

import math

from ._scheduler import LRScheduler, _check_optimizer, _one_for_each_group


class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor` once a metric has not got better for more than `patience` epochs.

    Args:
        mode: 'min' or 'max', the better direction.
        threshold, threshold_mode: by how much ('rel' or 'abs') a better value must be better.
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: lower limit, one or a list by group.
        eps: smaller reductions are not made.
    """

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0,
        eps=1e-8,
    ):
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.optimizer = _check_optimizer(optimizer)
        self.min_lrs = _one_for_each_group("min_lr", min_lr, optimizer)
        self.factor = factor
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    @property
    def in_cooldown(self):
        """Whether a reduction was made within the last `cooldown` epochs."""
        return self.cooldown_counter > 0

    def _is_better(self, value):
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            limit = self.best * (1.0 + sign * self.threshold)
        else:
            limit = self.best + sign * self.threshold
        return value > limit if self.mode == "max" else value < limit

    def step(self, metrics, epoch=None):
        """Note this epoch's metric and reduce the rates if it is time."""
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            rates = []
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                old = float(group["lr"])
                new = max(old * self.factor, least)
                rates.append(new if old - new > self.eps else group["lr"])
            self._set(rates)
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
