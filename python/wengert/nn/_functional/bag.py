"""Sums, means and maxima of looked-up rows."""

from wengert import _core

from .linear import _renormalise


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """For each bag of indices the sum, mean or maximum of their rows of `weight` (n, d): (bags, d).

    Args:
        input: indices (bags, m), or (k) with `offsets`.
        offsets: where in `input` each bag begins; with `include_last_offset` also where the last one ends.
        max_norm: rows longer than this (by the `norm_type`-norm) are scaled down in place first.
        per_sample_weights: a factor for each index, for mode 'sum'.
        padding_idx: an index that does not count.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.embedding_bag(wg.tensor([0, 1, 1]), wg.eye(2), wg.tensor([0, 2]), mode="sum")
        tensor([[1., 1.],
                [0., 1.]])
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if scale_grad_by_freq or sparse:
        raise ValueError(
            "embedding_bag(): scale_grad_by_freq and sparse gradients are not supported; leave them False"
        )
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}')."
            )
        if tuple(per_sample_weights.shape) != tuple(input.shape):
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({list(per_sample_weights.shape)}) is not None, then it must "
                f"have the same shape as the input ({list(input.shape)})"
            )
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of bags"
            )
        bags = input.shape[0]
        bag = _core.arange(bags, device=input.device).repeat_interleave(input.shape[1])
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.ndim == 1:
        if not isinstance(offsets, _core.Tensor):
            raise ValueError(f"offsets has to be a 1D Tensor but got {type(offsets)}")
        if offsets.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        starts = offsets[:-1] if include_last_offset else offsets
        bags = starts.numel()
        if bags and int(starts[0]) != 0:
            raise RuntimeError(f"embedding_bag: the first offset must be 0, but got {int(starts[0])}")
        from wengert._functions.ordering import searchsorted

        bag = searchsorted(starts, _core.arange(input.numel(), device=input.device), right=True) - 1
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if padding_idx is not None:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise AssertionError("padding_idx must be within the number of embeddings")
        kept = input != padding_idx % weight.shape[0]
        input, bag = input[kept], bag[kept]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights[kept]
    if max_norm is not None:
        _renormalise(weight, input, max_norm, norm_type)
    rows = weight.index_select(0, input)
    counts = bag.new_zeros(bags).index_add_(0, bag, _core.ones_like(bag))
    if mode == "max":
        return _largest(rows, bag, counts)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    sums = weight.new_zeros(bags, weight.shape[1]).index_add(0, bag, rows)
    return sums if mode == "sum" else sums / counts.clamp(min=1).unsqueeze(-1)


def _largest(rows, bag, counts):
    """The largest of each bag's rows, 0 for empty bags; `bag` is in ascending order."""
    width = int(counts.max()) if counts.numel() else 0
    if width == 0:
        return rows.new_zeros(counts.numel(), rows.shape[1])
    first = counts.cumsum(0) - counts
    place = bag * width + _core.arange(bag.numel(), device=bag.device) - first[bag]
    spread = rows.new_full((counts.numel() * width, rows.shape[1]), float("-inf"))
    values = spread.index_copy(0, place, rows).unflatten(0, (-1, width)).max(1).values
    return _core.where((counts > 0).unsqueeze(-1), values, 0.0)
