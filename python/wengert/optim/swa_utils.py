"""Averages of a model's parameters over its training."""

import math
from copy import deepcopy

from wengert import _core
from wengert.autograd.grad_mode import no_grad

from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ._scheduler import LRScheduler, _one_for_each_group

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay):
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_multi_avg_fn(decay=0.999):
    """Averages lists of tensors exponentially, in place: decay · average + (1 − decay) · current.

    Example:
        >>> averages = [wg.zeros(1)]
        >>> wg.optim.swa_utils.get_ema_multi_avg_fn(0.9)(averages, [wg.ones(1)], 1)
        >>> averages
        [tensor([0.1000])]
    """
    _check_decay(decay)
    average = get_ema_avg_fn(decay)

    @no_grad()
    def update(averaged, current, num_averaged):
        for a, c in zip(averaged, current, strict=True):
            a.copy_(average(a, c, num_averaged))

    return update


def get_ema_avg_fn(decay=0.999):
    """The exponential average of two tensors: decay · average + (1 − decay) · current.

    Example:
        >>> wg.optim.swa_utils.get_ema_avg_fn(0.9)(wg.zeros(1), wg.ones(1), 1)
        tensor([0.1000])
    """
    _check_decay(decay)

    @no_grad()
    def average(averaged, current, num_averaged):
        return decay * averaged + (1 - decay) * current

    return average


def get_swa_multi_avg_fn():
    """Averages lists of tensors equally, in place: average + (current − average) / (count + 1).

    Example:
        >>> averages = [wg.zeros(1)]
        >>> wg.optim.swa_utils.get_swa_multi_avg_fn()(averages, [wg.ones(1)], 1)
        >>> averages
        [tensor([0.5000])]
    """
    average = get_swa_avg_fn()

    @no_grad()
    def update(averaged, current, num_averaged):
        for a, c in zip(averaged, current, strict=True):
            a.copy_(average(a, c, num_averaged))

    return update


def get_swa_avg_fn():
    """The equal average of `num_averaged` tensors and one more.

    Example:
        >>> wg.optim.swa_utils.get_swa_avg_fn()(wg.zeros(1), wg.ones(1), 3)
        tensor([0.2500])
    """

    @no_grad()
    def average(averaged, current, num_averaged):
        return averaged + (current - averaged) / (num_averaged + 1)

    return average


class AveragedModel(Module):
    """A copy of a model (under the name `module`) whose parameters are averages of the model's.

    Args:
        avg_fn: `(averaged, current, num_averaged) -> averaged`, for one tensor.
        multi_avg_fn: the same for lists of tensors, in place; at most one of the two. Equal weights if neither.
        use_buffers: average the buffers, too, instead of copying them.

    Example:
        >>> model = wg.nn.Linear(1, 1, bias=False)
        >>> averaged = wg.optim.swa_utils.AveragedModel(model)
        >>> for value in (1.0, 2.0, 6.0):
        ...     _ = wg.nn.init.constant_(model.weight, value)
        ...     averaged.update_parameters(model)
        >>> averaged.module.weight.item()
        3.0
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", _core.tensor(0, dtype=_core.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def _tensors(self, model):
        own = [*model.parameters()]
        return [*own, *model.buffers()] if self.use_buffers else own

    @no_grad()
    def update_parameters(self, model):
        """Take the model's present parameters into the averages."""
        averaged = [t.detach() for t in self._tensors(self.module)]
        current = [t.detach().to(a.device) for t, a in zip(self._tensors(model), averaged, strict=True)]
        if self.n_averaged == 0:
            for a, c in zip(averaged, current, strict=True):
                a.copy_(c)
        else:
            self._average(averaged, current)
        if not self.use_buffers:
            for own, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                own.copy_(theirs)
        self.n_averaged += 1

    def _average(self, averaged, current):
        if self.multi_avg_fn is not None:
            self.multi_avg_fn(averaged, current, self.n_averaged)
            return
        average = self.avg_fn or get_swa_avg_fn()
        for a, c in zip(averaged, current, strict=True):
            # Counts of batches are no numbers to average, but for a function that says how.
            whole = self.avg_fn is None and not a.is_floating_point()
            a.copy_(c if whole else average(a, c, self.n_averaged))


@no_grad()
def update_bn(loader, model, device=None):
    """Sets the running statistics of the model's BatchNorm layers to the averages over the loader's batches.

    A batch that is a list or tuple has its inputs first.

    Example:
        >>> model = wg.nn.BatchNorm1d(1)
        >>> wg.optim.swa_utils.update_bn([wg.tensor([[1.0], [3.0]])], model)
        >>> model.running_mean
        tensor([2.])
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    before = [m.momentum for m in layers]
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    for batch in loader:
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(inputs if device is None else inputs.to(device))
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneals the rate to `swa_lr` over `anneal_epochs` epochs, and keeps it there.

    Args:
        anneal_strategy: "cos" or "linear".

    Example:
        >>> optimizer = wg.optim.SGD([wg.ones(1, requires_grad=True)], lr=1.0)
        >>> schedule = wg.optim.swa_utils.SWALR(optimizer, 0.5, anneal_epochs=2, anneal_strategy="linear")
        >>> for _ in range(3):
        ...     optimizer.step(); schedule.step(); print(schedule.get_last_lr())
        [0.75]
        [0.5]
        [0.5]
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for group, rate in zip(
            optimizer.param_groups, _one_for_each_group("swa_lr", swa_lr, optimizer), strict=True
        ):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step):
        """How much of the way to the final rate is done at a step."""
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * part)) / 2 if self._anneal_strategy == "cos" else part

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group, rate in zip(self.optimizer.param_groups, self._present(), strict=True):
            final = group["swa_lr"]
            start = final if before == 1 else (rate - final * before) / (1 - before)
            rates.append(final * now + start * (1 - now))
        return rates
