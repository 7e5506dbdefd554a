"""Attention, as products and a softmax."""

from wengert import _core

from .activation import softmax
from .dropout import dropout


def _check(query, key, value):
    for name, tensor in (("query", query), ("key", key), ("value", value)):
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


def _masked(scores, mask):
    """Scores under a mask, and the rows from which it hides every key (None without a mask)."""
    if mask.dtype == _core.bool:
        hidden = ~mask
        scores = scores.masked_fill(hidden, float("-inf"))
    else:
        hidden = mask == float("-inf")
        scores = scores + mask
    return scores, hidden.all(-1, keepdim=True)


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

    Args:
        attn_mask: broadcasts to (…, L, S); of bools, True for the keys that take part, or of numbers to add.
            A query that it leaves no key gives zeros.
        dropout_p: the share of attention weights that are dropped, in any mode.
        is_causal: query i sees keys 0 … i.
        scale: 1 / sqrt(E) if left out.
        enable_gqa: key and value have fewer heads (dim −3), each of which serves several of the query's.

    Raises:
        RuntimeError: for fewer than two dims, differing dtypes, or a mask beside `is_causal`.

    Example:
        >>> import wengert as wg
        >>> v = wg.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> wg.nn.functional.scaled_dot_product_attention(wg.zeros(2, 4), wg.zeros(2, 4), v, is_causal=True)
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000]])
    """
    _check(query, key, value)
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
            )
        attn_mask = _core.ones(query.shape[-2], key.shape[-2], dtype=_core.bool, device=query.device).tril()
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
        scale = query.shape[-1] ** -0.5
    scores = (query * scale) @ key.transpose(-2, -1)
    if attn_mask is None:
        weights = softmax(scores, -1)
    else:
        scores, blind = _masked(scores, attn_mask)
        weights = softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p, training=True)
    return weights @ value
