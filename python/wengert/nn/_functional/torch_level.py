"""What stands under torch's own name with other arguments than in nn.functional: positional, reductions as numbers."""

from .. import functional as F
from .dropout import _drop_channels
from .loss import _reduce

_REDUCTIONS = ("none", "mean", "sum")


def _named(name, reduction):
    """The reduction of a number: 0 none, 1 mean, 2 sum. Left out it is 0, as it turns out to be in PyTorch."""
    if isinstance(reduction, bool) or not isinstance(reduction, int):
        kind = type(reduction).__name__
        raise TypeError(f"{name}(): argument 'reduction' must be int (0 none, 1 mean, 2 sum), not {kind}")
    return _REDUCTIONS[reduction] if 0 <= reduction <= 2 else "none"


def _checked(p):
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def dropout(input, p, train):
    """`nn.functional.dropout` with all arguments given.

    Example:
        >>> wg.dropout(wg.ones(2), 0.5, False)
        tensor([1., 1.])
    """
    return F.dropout(input, _checked(p), train)


def dropout_(input, p, train):
    """:func:`dropout` in place."""
    return F.dropout(input, _checked(p), train, inplace=True)


def alpha_dropout(input, p, train):
    """`nn.functional.alpha_dropout` with all arguments given."""
    return F.alpha_dropout(input, _checked(p), train)


def alpha_dropout_(input, p, train):
    """:func:`alpha_dropout` in place."""
    return F.alpha_dropout(input, _checked(p), train, inplace=True)


def feature_dropout(input, p, train):
    """Dropout of whole channels of (N, C, …)."""
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _drop_channels(input, _checked(p), train, False, 2)


def feature_alpha_dropout(input, p, train):
    """`nn.functional.feature_alpha_dropout` with all arguments given."""
    return F.feature_alpha_dropout(input, _checked(p), train)


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled):
    """`nn.functional.batch_norm`, weight and bias before the running statistics."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled
):
    """`nn.functional.instance_norm`, weight and bias before the running statistics."""
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """`nn.functional.layer_norm`.

    Example:
        >>> wg.layer_norm(wg.tensor([[1.0, 3.0]]), (2,))
        tensor([[-1.0000,  1.0000]])
    """
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """`nn.functional.group_norm`."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """`nn.functional.embedding`, the table first; `padding_idx` −1 is none.

    Example:
        >>> wg.embedding(wg.eye(2), wg.tensor([1]))
        tensor([[0., 1.]])
    """
    padding_idx = None if padding_idx < 0 else padding_idx
    return F.embedding(indices, weight, padding_idx, None, 2.0, scale_grad_by_freq, sparse)


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`nn.functional.rrelu`."""
    return F.rrelu(input, lower, upper, training)


def constant_pad_nd(input, pad, value=0):
    """`nn.functional.pad` with a constant."""
    return F.pad(input, pad, "constant", value)


def adaptive_max_pool1d(input, output_size):
    """Values and positions of `nn.functional.adaptive_max_pool1d`."""
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


def kl_div(input, target, reduction=0, *, log_target=False):
    """`nn.functional.kl_div` with the reduction as a number: 0 none, 1 mean, 2 sum.

    Example:
        >>> wg.kl_div(wg.tensor([0.5]).log(), wg.tensor([0.5]), reduction=2)
        tensor(0.)
    """
    loss = F.kl_div(input, target, reduction="none", log_target=log_target)
    return _reduce(loss, _named("kl_div", reduction))


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=0):
    """`nn.functional.binary_cross_entropy_with_logits` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    named = _named("binary_cross_entropy_with_logits", reduction)
    return F.binary_cross_entropy_with_logits(input, target, weight, pos_weight=pos_weight, reduction=named)


def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """`nn.functional.poisson_nll_loss` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    named = _named("poisson_nll_loss", reduction)
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=named)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=0):
    """`nn.functional.cosine_embedding_loss` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    named = _named("cosine_embedding_loss", reduction)
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=named)


def hinge_embedding_loss(input, target, margin=1.0, reduction=0):
    """`nn.functional.hinge_embedding_loss` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    return F.hinge_embedding_loss(input, target, margin, reduction=_named("hinge_embedding_loss", reduction))


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=0):
    """`nn.functional.margin_ranking_loss` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    named = _named("margin_ranking_loss", reduction)
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=named)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction=0):
    """`nn.functional.triplet_margin_loss` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    named = _named("triplet_margin_loss", reduction)
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=named)
