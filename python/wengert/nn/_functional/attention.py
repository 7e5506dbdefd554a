"""Attention as one operation."""

from wengert import _core


def _check(query, key, value):
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if not isinstance(tensor, _core.Tensor):
            raise TypeError(
                f"scaled_dot_product_attention(): argument '{name}' must be Tensor, not {type(tensor).__name__}"
            )
        if tensor.ndim < 2:
            raise RuntimeError(
                "scaled_dot_product_attention: Expected query, key, and value to all be at least 2 dimensional, "
                f"but got {name} of shape {tuple(tensor.shape)}"
            )
        if tensor.dtype != query.dtype:
            raise RuntimeError(
                "scaled_dot_product_attention: Expected query, key, and value to have the same dtype, "
                f"but got {query.dtype}, {key.dtype} and {value.dtype}"
            )


def hiding(hidden, dtype):
    """Numbers to add to scores: −∞ where `hidden`, a tensor of bools, is True, else 0."""
    return _core.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill(hidden, float("-inf"))


def _added(mask, dtype):
    """A mask as numbers to add."""
    if mask.dtype == _core.bool:
        return hiding(~mask, dtype)
    if mask.dtype not in (dtype, _core.float32):
        raise RuntimeError(
            "scaled_dot_product_attention: Expected attn_mask dtype to be bool or float or to match query dtype, but "
            f"got attn_mask of {mask.dtype} and query of {dtype}; convert the mask, with .bool() if it is of 0 and 1"
        )
    return mask.to(dtype)


def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    *,
    scale=None,
    enable_gqa=False,
):
    """softmax(query · keyᵀ · scale + mask) · value: (…, L, E), (…, S, E), (…, S, Ev) → (…, L, Ev).

    The scores of all queries and keys are never in memory at once: it grows with L + S, not L · S. Of weights that
    are dropped the CPU keeps no more than where its random numbers begin; a GPU then has all scores in memory.

    Args:
        attn_mask: broadcasts to (…, L, S); of bools, True for the keys that take part, or of numbers to add.
            A query that it leaves no key gives zeros.
        dropout_p: the share of attention weights that are dropped, in any mode.
        is_causal: query i sees keys 0 … i.
        scale: 1 / sqrt(E) if left out.
        enable_gqa: key and value have fewer heads (dim −3), each of which serves several of the query's.

    Raises:
        RuntimeError: for fewer than two dims, differing dtypes, a mask of other numbers than the query's or
            float32, a mask beside `is_causal`, or a `dropout_p` that is no probability.

    Dao et al., "FlashAttention" (2022), https://arxiv.org/abs/2205.14135.

    Example:
        >>> import wengert as wg
        >>> v = wg.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> wg.nn.functional.scaled_dot_product_attention(wg.zeros(2, 4), wg.zeros(2, 4), v, is_causal=True)
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    _check(query, key, value)
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    if enable_gqa:
        heads = query.shape[-3]
        if heads % key.shape[-3] or heads % value.shape[-3]:
            raise RuntimeError(
                "scaled_dot_product_attention: with enable_gqa the query's heads must be a multiple of the key's and "
                f"value's, but got {heads}, {key.shape[-3]} and {value.shape[-3]}"
            )
        key = key.repeat_interleave(heads // key.shape[-3], -3)
        value = value.repeat_interleave(heads // value.shape[-3], -3)
    if scale is None:
        scale = query.shape[-1] ** -0.5 if query.shape[-1] else 1.0
    mask = None if attn_mask is None else _added(attn_mask, query.dtype)
    return _core._attention(query, key, value, mask, is_causal, scale, dropout_p)
