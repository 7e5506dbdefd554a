"""Connectionist temporal classification."""

from wengert import _core


def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):
    """−log of the probability of all alignments of label sequences with frames of class log-probabilities.

    Args:
        log_probs: (T, N, C) or (T, C), of a log-softmax.
        targets: (N, S), or all label sequences in a row, without blanks.
        input_lengths, target_lengths: how many frames and labels each of the N has.
        reduction: "none", "sum", or "mean": each divided by its number of labels, then averaged.
        zero_infinity: 0, with no gradient, instead of infinity where the labels do not fit the frames.

    Example:
        >>> import wengert as wg
        >>> log_probs = wg.full((3, 1, 2), 0.5).log()
        >>> wg.nn.functional.ctc_loss(log_probs, wg.tensor([[1]]), (3,), (1,))
        tensor(0.2877)
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if log_probs.ndim not in (2, 3):
        raise RuntimeError(f"ctc_loss: log_probs must have 2 or 3 dims, but got {tuple(log_probs.shape)}")
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)
    frames, count, classes = log_probs.shape
    ours, theirs = (_lengths(x) for x in (input_lengths, target_lengths))
    if len(ours) != count or len(theirs) != count:
        raise RuntimeError(
            f"ctc_loss: input_lengths and target_lengths must have the batch's size {count}, "
            f"but have {len(ours)} and {len(theirs)}"
        )
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be in label range 0 … {classes - 1}, but is {blank}")
    if ours and (max(ours) > frames or min(ours) < 0):
        raise RuntimeError(
            f"ctc_loss: Expected input_lengths to have values from 0 to {frames}, but got {ours}"
        )
    labels = _padded(targets, theirs, blank)
    losses = _alignments(log_probs, labels, ours, theirs, blank)
    if zero_infinity:
        losses = _core.where(losses == float("inf"), 0.0, losses)
    if reduction == "mean":
        return (losses / losses.new_tensor(theirs).clamp(min=1)).mean()
    if reduction == "sum":
        return losses.sum()
    return losses.squeeze(0) if single else losses


def _lengths(values):
    if isinstance(values, _core.Tensor):
        values = values.reshape(-1).tolist()
    return [int(n) for n in ([values] if isinstance(values, int) else values)]


def _padded(targets, lengths, blank):
    """The label sequences as rows, filled up with blanks."""
    longest = max(lengths, default=0)
    if targets.ndim == 1:
        if sum(lengths) > targets.shape[0]:
            raise RuntimeError(
                f"ctc_loss: target_lengths sum to {sum(lengths)}, but there are {targets.shape[0]} targets"
            )
        rows = targets[: sum(lengths)].split(lengths) if lengths else []
    else:
        if longest > targets.shape[1]:
            raise RuntimeError(f"ctc_loss: a target of length {longest} in rows of {targets.shape[1]}")
        rows = [row[:n] for row, n in zip(targets, lengths, strict=True)]
    filling = [targets.new_full((longest - n,), blank, dtype=_core.int64) for n in lengths]
    return _core.stack([_core.cat([row.long(), fill]) for row, fill in zip(rows, filling, strict=True)])


def _logaddexp(*terms):
    """log of the sum of exponentials, −∞ (with no gradient) where all terms are."""
    stacked = _core.stack(terms)
    empty = (stacked == float("-inf")).all(0)
    return stacked.masked_fill(empty, 0.0).logsumexp(0).masked_fill(empty, float("-inf"))


def _alignments(log_probs, labels, frames, lengths, blank):
    """−log p for each of the batch, by the forward recursion over blank, label, blank, …, blank."""
    count = labels.shape[0]
    states = 2 * labels.shape[1] + 1
    path = labels.new_full((count, states), blank)
    path[:, 1::2] = labels
    # A label may follow another without a blank between them if the two differ.
    skips = labels.new_zeros(count, states, dtype=_core.bool)
    skips[:, 2:] = (path[:, 2:] != blank) & (path[:, 2:] != path[:, :-2])
    never = log_probs.new_full((count, 2), float("-inf"))
    start = log_probs.new_full((count, states), float("-inf"))
    start[:, 0] = 0.0
    frames, lengths = (labels.new_tensor(x) for x in (frames, lengths))
    alpha = None
    for t in range(log_probs.shape[0]):
        emitted = log_probs[t].gather(1, path)
        if alpha is None:
            moved = _logaddexp(start, _core.cat([never[:, :1], start[:, :-1]], 1))
        else:
            before = _core.cat([never, alpha], 1)
            jump = before[:, :-2].masked_fill(~skips, float("-inf"))
            moved = _logaddexp(alpha, before[:, 1:-1], jump)
        following = moved + emitted
        going = (t < frames).unsqueeze(1)
        alpha = _core.where(going, following, start if alpha is None else alpha)
    if alpha is None:
        alpha = start
    ends = 2 * lengths.unsqueeze(1)
    last = alpha.gather(1, ends).squeeze(1)
    label = alpha.gather(1, (ends - 1).clamp(min=0)).squeeze(1)
    label = label.masked_fill(lengths == 0, float("-inf"))
    return -_logaddexp(last, label)
