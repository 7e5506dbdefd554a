"""Losses of margins and distances, and of several labels."""

import math

from wengert import _core
from wengert._core import where

from .activation import logsigmoid
from .linear import pairwise_distance
from .loss import _legacy_reduction, _reduce


def _same_shape(name, input, target):
    if tuple(input.shape) != tuple(target.shape):
        raise RuntimeError(
            f"{name}(): input {list(input.shape)} and target {list(target.shape)} must have the same shape"
        )


def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 − cos(x₁, x₂) where target is 1, max(0, cos(x₁, x₂) − margin) where it is −1: (N, D), (N, D), (N).

    Example:
        >>> import wengert as wg
        >>> x = wg.tensor([[1.0, 0.0]])
        >>> wg.nn.functional.cosine_embedding_loss(x, x, wg.tensor([-1]))
        tensor(1.)
    """
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if (
        target.ndim not in (0, 1)
        or input1.ndim != target.ndim + 1
        or tuple(input1.shape) != tuple(input2.shape)
    ):
        raise RuntimeError(
            "cosine_embedding_loss(): 1D target tensor expects 2D input tensors of one shape, and a 0D target 1D ones, "
            f"but found {list(input1.shape)} and {list(input2.shape)} with target {list(target.shape)}"
        )
    product = (input1 * input2).sum(-1)
    lengths = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cosine = product / lengths.sqrt()
    loss = where(target == 1, 1 - cosine, 0.0) + where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return _reduce(loss, reduction)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, −target · (x₁ − x₂) + margin): with target 1 the first should be larger, with −1 the second."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return _reduce((margin - target * (input1 - input2)).clamp(min=0), reduction)


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where target is 1, max(0, margin − x) where it is −1."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    far = where(target == 1, 0.0, (margin - input).clamp(min=0))
    return _reduce(far + where(target == -1, 0.0, input), reduction)


def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-6,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """max(0, d(anchor, positive) − d(anchor, negative) + margin) with the p-norm's distance over the last dim.

    Args:
        swap: use d(positive, negative) where it is the smaller one.

    Example:
        >>> import wengert as wg
        >>> a, b = wg.zeros(1, 2), wg.ones(1, 2)
        >>> wg.nn.functional.triplet_margin_loss(a, a, b, margin=2.0, p=1, eps=0.0)
        tensor(0.)
    """

    def distance(x, y):
        return pairwise_distance(x, y, p, eps)

    reduction = _legacy_reduction(size_average, reduce, reduction)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "All inputs should have same dimension but got "
            f"{anchor.ndim}D, {positive.ndim}D and {negative.ndim}D inputs."
        )
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """:func:`triplet_margin_loss` with a distance of the caller's, of two tensors (N, D) → (N)."""
    return _triplet(
        anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction
    )


def _triplet(anchor, positive, negative, distance, margin, swap, reduction):
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = _core.minimum(far, distance(positive, negative))
    return _reduce((near - far + margin).clamp(min=0), reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(−target · x)) with targets 1 and −1."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    return _reduce((-target * input).exp().log1p(), reduction)


def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """Σ over wrong classes i of max(0, margin − x[target] + x[i])^p / C, of (N, C) or (C) and class indices.

    Args:
        p: 1 or 2.
        weight: a factor for each class, shape (C).
    """
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if input.ndim not in (1, 2) or tuple(target.shape) != tuple(input.shape[:-1]):
        raise RuntimeError(
            f"multi_margin_loss(): expected input (N, C) and target (N), or (C) and a scalar, but got input "
            f"{list(input.shape)} and target {list(target.shape)}"
        )
    classes = input.shape[-1]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(f"inconsistent weight size, expected ({classes},) but got {list(weight.shape)}")
    chosen = target.unsqueeze(-1)
    terms = (margin - input.gather(-1, chosen) + input).clamp(min=0)
    if p == 2:
        terms = terms * terms
    if weight is not None:
        terms = terms * weight[chosen]
    others = _core.arange(classes, device=input.device) != chosen
    return _reduce(where(others, terms, 0.0).sum(-1) / classes, reduction)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Σ over labels j and other classes i of max(0, 1 − (x[j] − x[i])) / C, of (N, C) or (C).

    Args:
        target: the class indices that are labels, up to the first −1: the input's shape, int64.
    """
    reduction = _legacy_reduction(size_average, reduce, reduction)
    if input.ndim not in (1, 2):
        raise RuntimeError(
            f"multilabel_margin_loss(): Expected non-empty vector or matrix, but got {list(input.shape)}"
        )
    _same_shape("multilabel_margin_loss", input, target)
    listed = (target >= 0).long().cumprod(-1) > 0
    chosen = where(listed, target, 0)
    classes = input.shape[-1]
    # Which classes are labels: hits of any listed position.
    is_label = (
        (_core.arange(classes, device=input.device) == chosen.unsqueeze(-1)) & listed.unsqueeze(-1)
    ).any(-2)
    gaps = (1 - input.gather(-1, chosen).unsqueeze(-1) + input.unsqueeze(-2)).clamp(min=0)
    counts = listed.unsqueeze(-1) & ~is_label.unsqueeze(-2)
    return _reduce(where(counts, gaps, 0.0).sum((-2, -1)) / classes, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the last dim of the binary cross-entropies of sigmoid(x) with targets 0 and 1."""
    reduction = _legacy_reduction(size_average, reduce, reduction)
    loss = (target - 1) * logsigmoid(-input) - target * logsigmoid(input)
    return _reduce((loss if weight is None else loss * weight).mean(-1), reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(log var + (input − target)² / var) / 2: the negative log-likelihood of a normal distribution.

    Args:
        var: of the input's shape, or without its last dim, or with one dim of size 1; or a number.
        full: add the constant log(2π) / 2.
        eps: variances are at least this; no gradient passes through the limit.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.gaussian_nll_loss(wg.zeros(1), wg.ones(1), wg.ones(1))
        tensor(0.5000)
    """
    if not isinstance(var, _core.Tensor):
        var = _core.full_like(input, var)
    if (var.detach() < 0).any():
        raise ValueError("var has negative entry/entries")
    if tuple(var.shape) != tuple(input.shape):
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or sorted(
            b for a, b in zip(input.shape, var.shape, strict=True) if a != b
        ) != [1]:
            raise ValueError(
                f"var is of incorrect size: {list(var.shape)} does not go with input {list(input.shape)}"
            )
    # The limited value, with the slope of var itself.
    var = var + (var.clamp(min=eps) - var).detach()
    difference = input - target
    loss = 0.5 * (var.log() + difference * difference / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)
