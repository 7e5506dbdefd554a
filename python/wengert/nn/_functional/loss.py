"""Loss functions."""

import math
import warnings

from wengert import _core
from wengert._core import _cross_entropy, where

from .activation import logsigmoid


def _legacy_reduction(size_average, reduce, reduction):
    """torch's two old boolean arguments as a `reduction`."""
    if size_average is None and reduce is None:
        return reduction
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    reduction = "none" if not reduce else ("mean" if size_average else "sum")
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
        stacklevel=3,
    )
    return reduction


def _reduce(loss, reduction):
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction; use 'mean', 'sum' or 'none'")


def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """Cross-entropy of logits (N, C, …) or (C) with class indices (N, …) or probabilities (N, C, …).

    Args:
        weight: a factor for each class, shape (C).
        ignore_index: a label whose positions do not count.
        label_smoothing: the share of the target spread evenly over the classes.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.cross_entropy(wg.zeros(3, 2), wg.tensor([0, 1, 1]))
        tensor(0.6931)
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy_reduction(size_average, reduce, reduction)
    if weight is None and label_smoothing == 0.0 and input.ndim == 2 and target.ndim == 1:
        return _cross_entropy(input, target, reduction, ignore_index)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.ndim == 0:
        raise RuntimeError("cross_entropy(): input must have at least one dimension, but got a scalar")
    class_dim = 0 if input.ndim == 1 else 1
    log_prob = _core.log_softmax(input, class_dim)
    if tuple(target.shape) == tuple(input.shape):
        return _probability_loss(log_prob, target, weight, reduction, label_smoothing, class_dim)
    if target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities of shape "
            f"{list(input.shape)} or int64 class indices, but got {target.dtype} of shape "
            f"{list(target.shape)}"
        )
    loss = nll_loss(log_prob, target, weight, ignore_index=ignore_index, reduction=reduction)
    if label_smoothing == 0.0:
        return loss
    target = target.to(_core.int64)
    counted = target != ignore_index
    if weight is None:
        spread = -log_prob.sum(class_dim)
        share = counted.to(input.dtype)
    else:
        spread = -(log_prob * _along(weight, class_dim, input.ndim)).sum(class_dim)
        share = where(counted, weight[where(counted, target, 0)], 0.0)
    spread = where(counted, spread, 0.0)
    if reduction == "mean":
        spread = spread.sum() / share.sum()
    elif reduction == "sum":
        spread = spread.sum()
    return loss * (1 - label_smoothing) + spread * (label_smoothing / input.shape[class_dim])


def _along(weight, dim, ndim):
    return weight.reshape(*(-1 if d == dim else 1 for d in range(ndim)))


def _probability_loss(log_prob, target, weight, reduction, label_smoothing, class_dim):
    if not target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {target.dtype}"
        )
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / log_prob.shape[class_dim]
    if weight is not None:
        log_prob = log_prob * _along(weight, class_dim, log_prob.ndim)
    loss = -(log_prob * target).sum(class_dim)
    if reduction == "mean":
        return loss.sum() / max(loss.numel(), 1)
    return _reduce(loss, reduction)


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """Negative log-likelihood of class indices under log-probabilities (N, C, …) or (C)."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    class_dim = 0 if input.ndim == 1 else 1
    expected = tuple(input.shape[:class_dim]) + tuple(input.shape[class_dim + 1 :])
    if tuple(target.shape) != expected:
        if target.ndim and input.ndim and target.shape[0] != input.shape[0]:
            raise ValueError(
                f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]})."
            )
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(target.shape)}")
    if target.dtype not in (_core.int64, _core.uint8):
        raise RuntimeError(
            f"nll_loss(): expected target dtype to be Long or Byte (class indices), but got {target.dtype}; "
            "cast the target with .long()"
        )
    target = target.to(_core.int64)
    classes = input.shape[class_dim]
    counted = target != ignore_index
    chosen = where(counted, target, 0)
    if chosen.numel():
        for extreme in (chosen.min().item(), chosen.max().item()):
            if not 0 <= extreme < classes:
                raise IndexError(f"Target {extreme} is out of bounds.")
    loss = -input.gather(class_dim, chosen.unsqueeze(class_dim)).squeeze(class_dim)
    if weight is not None:
        if tuple(weight.shape) != (classes,):
            raise RuntimeError(
                f"weight tensor should be defined either for all {classes} classes or no classes "
                f"but got weight tensor of shape: {list(weight.shape)}"
            )
        share = where(counted, weight[chosen], 0.0)
        loss = loss * share
    else:
        share = counted.to(input.dtype)
    loss = where(counted, loss, 0.0)
    if reduction == "mean":
        return loss.sum() / share.sum()
    return _reduce(loss, reduction)


def _warn_sizes(input, target):
    if tuple(input.shape) != tuple(target.shape):
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Squared difference.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.mse_loss(wg.tensor([1.0, 2.0]), wg.tensor([1.0, 4.0]))
        tensor(2.)
    """
    _warn_sizes(input, target)
    reduction = _legacy_reduction(size_average, reduce, reduction)
    loss = _core.squared_difference(input, target)
    if weight is None:
        return _reduce(loss, reduction)
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else _reduce(loss, reduction)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Absolute difference."""
    _warn_sizes(input, target)
    reduction = _legacy_reduction(size_average, reduce, reduction)
    loss = (input - target).abs()
    if weight is None:
        return _reduce(loss, reduction)
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else _reduce(loss, reduction)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """Squared difference / (2 · beta) below `beta`, absolute difference − beta / 2 above."""
    _warn_sizes(input, target)
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0.0:
        return l1_loss(input, target, reduction=reduction)
    return _reduce(_core.smooth_l1(input, target, beta), reduction)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Half the squared difference up to `delta`, delta · (absolute difference − delta / 2) beyond."""
    _warn_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    loss = _core.smooth_l1(input, target, delta) * delta
    if weight is None:
        return _reduce(loss, reduction)
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else _reduce(loss, reduction)


def _weighted(loss, weight, dtype):
    """loss · weight, in the dtype given and the loss's shape."""
    if weight is not None:
        shape = loss.shape
        loss = loss * weight
        if loss.shape != shape:
            raise RuntimeError(
                f"output with shape {list(shape)} doesn't match the broadcast shape {list(loss.shape)}"
            )
    return loss if loss.dtype == dtype else loss.to(dtype)


def _floored_log(x):
    """log(x), at least −100; below 1e-12 the slope is held at 1e12 so that gradients stay finite."""
    tiny = x < 1e-12
    fixed = x.detach()
    near = fixed.log().clamp(min=-100.0) + (x - fixed) * 1e12
    return where(tiny, near, where(tiny, 1.0, x).log())


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """−(t · log p + (1 − t) · log(1 − p)) of probabilities p in [0, 1]."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if target.dtype != input.dtype:
        raise RuntimeError(
            f"binary_cross_entropy(): Found dtype {target.dtype} but expected {input.dtype}: cast the target"
        )
    if not input.is_floating_point():
        raise NotImplementedError(f"binary_cross_entropy() is not implemented for {input.dtype}")
    for name, given in (("input", input.detach()), ("target", target.detach())):
        if not ((given >= 0) & (given <= 1)).all():
            raise RuntimeError(f"all elements of {name} should be between 0 and 1")
    loss = (target - 1) * _floored_log(1 - input) - target * _floored_log(input)
    return _reduce(_weighted(loss, weight, input.dtype), reduction)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """binary_cross_entropy of sigmoid(input), computed without overflow."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if not input.is_floating_point():
        raise NotImplementedError(f"binary_cross_entropy_with_logits() is not implemented for {input.dtype}")
    opposite = 1 - target
    if not target.is_floating_point():
        raise RuntimeError(
            f"binary_cross_entropy_with_logits(): result type {input.dtype} can't be cast to the target's "
            f"{target.dtype}: cast the target with .float()"
        )
    log_prob = logsigmoid(input)
    if pos_weight is not None:
        log_prob = log_prob * ((pos_weight - 1) * target + 1)
    return _reduce(_weighted(opposite * input - log_prob, weight, target.dtype), reduction)


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target · (log target − input) of log-probabilities `input`."""
    if reduction != "batchmean":
        reduction = _legacy_reduction(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if not (input.is_floating_point() and target.is_floating_point()):
        raise RuntimeError(f"kl_div: Integral inputs not supported, got {input.dtype} and {target.dtype}")
    if log_target:
        loss = target.exp() * (target - input)
    else:
        # 0 · log 0 is 0 here.
        loss = target * where(target > 0, target, 1.0).log() - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.ndim else loss.sum()
    return _reduce(loss, reduction)


def poisson_nll_loss(
    input,
    target,
    log_input=True,
    full=False,
    size_average=None,
    eps=1e-8,
    reduce=None,
    reduction="mean",
):
    """Negative log-likelihood of counts `target` under a Poisson distribution of (log) rate `input`."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        large = where(target > 1, target, 2.0)
        stirling = large * large.log() - large + 0.5 * (2 * math.pi * large).log()
        loss = loss + where(target > 1, stirling, 0.0)
    return _reduce(loss, reduction)
