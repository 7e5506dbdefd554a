"""Attention by several heads at once, with the linear maps before and after it."""

import math
import warnings

from wengert import _core
from wengert._core import linear

from .activation import softmax
from .attention import hiding, scaled_dot_product_attention
from .dropout import dropout
from .padding import pad


def additive_mask(mask, name, dtype, other=None, other_name=""):
    """A mask as numbers to add to scores: −∞ where one of bools is True. Warns if `other` has another dtype."""
    if mask is None:
        return None
    if mask.dtype != _core.bool and not mask.is_floating_point():
        raise AssertionError(
            f"only bool and floating types of {name} are supported, but got {mask.dtype}; convert it with .bool()"
        )
    if other is not None and other.dtype != mask.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    return hiding(mask, dtype) if mask.dtype == _core.bool else mask


def _require(holds, message):
    if not holds:
        raise AssertionError(f"multi_head_attention_forward: {message}")


def _check_dims(query, key, value, num_heads, key_padding_mask, attn_mask):
    dims = query.ndim
    _require(dims in (2, 3), f"query should be unbatched 2D or batched 3D, but got {dims}D")
    for name, tensor, wanted in (
        ("key", key, dims),
        ("value", value, dims),
        ("key_padding_mask", key_padding_mask, dims - 1),
    ):
        got = wanted if tensor is None else tensor.ndim
        _require(got == wanted, f"For a {dims}-D query, expected {name} to be {wanted}-D but got {got}-D")
    if attn_mask is not None:
        got = tuple(attn_mask.shape)
        _require(len(got) in (2, 3), f"expected attn_mask to be 2-D or 3-D but got {len(got)}-D")
        wanted = (num_heads, query.shape[0], key.shape[0])
        fits = dims == 3 or len(got) == 2 or got == wanted
        _require(fits, f"For a 2-D query, expected a 3-D attn_mask of shape {wanted} but got {got}")


def _heads(x, parts, num_heads, batch_first):
    """The parts of (N, L, parts · E), or (L, N, parts · E), as views (N, H, L, D): attention reads heads where they
    lie, and one operation takes the gradients of all parts together."""
    x = x.unflatten(-1, (parts, num_heads, -1))
    return x.permute(2, *((0, 3, 1) if batch_first else (1, 3, 0)), 4).unbind(0)


def _project(query, key, value, width, weights, bias, split):
    """Heads of queries, keys and values by three maps, or by those that stand one below the other in `weights`;
    `split` makes so many parts of a product heads."""
    got = query.shape[-1]
    _require(got == width, f"was expecting embedding dimension of {width}, but got {got}")
    packed = not isinstance(weights, tuple)
    _require(
        key.shape == value.shape if packed else key.shape[:2] == value.shape[:2],
        f"key of shape {tuple(key.shape)} does not match value of shape {tuple(value.shape)}",
    )
    if packed:
        _require(weights is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        if query is key and key is value:
            return split(linear(query, weights, bias), 3)
        if key is value:
            parts = weights.split([width, 2 * width])
            biases = (None, None) if bias is None else bias.split([width, 2 * width])
            return *split(linear(query, parts[0], biases[0]), 1), *split(linear(key, parts[1], biases[1]), 2)
        weights = weights.chunk(3)
    projected, biases = [], (None,) * 3 if bias is None else bias.chunk(3)
    for name, x, w, b in zip("qkv", (query, key, value), weights, biases, strict=True):
        _require(w is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
        wanted = (width, x.shape[-1])
        _require(w.shape == wanted, f"expecting {name} weights of shape {wanted}, but got {tuple(w.shape)}")
        projected += split(linear(x, w, b), 1)
    return projected


def _mask_for_heads(mask, batch, heads, queries, keys):
    """(1, 1, L, S) or (N, H, L, S) of (L, S) or (N · H, L, S)."""
    wanted = (queries, keys) if mask.ndim == 2 else (batch * heads, queries, keys)
    if mask.shape != wanted:
        raise RuntimeError(
            f"multi_head_attention_forward: The shape of the {mask.ndim}D attn_mask is {tuple(mask.shape)}, "
            f"but should be {wanted}."
        )
    return mask[None, None] if mask.ndim == 2 else mask.unflatten(0, (batch, heads))


def _fixed(static, name, batch, heads, size):
    """Keys or values given as (N · H, S, D), as (N, H, S, D)."""
    for dim, wanted in ((0, batch * heads), (2, size)):
        got = static.shape[dim]
        _require(got == wanted, f"expecting {name}.size({dim}) of {wanted}, but got {got}")
    return static.unflatten(0, (batch, heads))


def _behind(x, one):
    """The keys or values (N, H, S, D), and one more."""
    return _core.cat([x, one.expand(*x.shape[:2], 1, x.shape[3])], 2)


def _weighted(q, k, v, mask, dropout_p):
    """What :func:`scaled_dot_product_attention` gives, with the weights; NaN for a query that sees no key."""
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    weights = dropout(softmax(scores if mask is None else scores + mask, -1), dropout_p)
    return weights @ v, weights


def attend(
    query,
    key,
    value,
    embed_dim,
    num_heads,
    weights,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    key_padding_mask,
    need_weights,
    attn_mask,
    average_attn_weights,
    is_causal,
    batch_first,
    static_k=None,
    static_v=None,
):
    """:func:`multi_head_attention_forward` with the batch first or second, of packed `weights` or of three."""
    _check_dims(query, key, value, num_heads, key_padding_mask, attn_mask)
    batched = query.ndim == 3
    if not batched:
        # A tensor given thrice stays one.
        batches, batch_first = {id(x): x.unsqueeze(0) for x in (query, key, value)}, True
        query, key, value = (batches[id(x)] for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    padding = additive_mask(key_padding_mask, "key_padding_mask", query.dtype, attn_mask, "attn_mask")
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "multi_head_attention_forward: Need attn_mask if specifying the is_causal hint; "
            "Transformer.generate_square_subsequent_mask makes it"
        )
    # The hint stands for the mask only where nothing else needs the mask.
    is_causal = is_causal and padding is None and not need_weights
    mask = None if is_causal else additive_mask(attn_mask, "attn_mask", query.dtype)

    _require(embed_dim % num_heads == 0, f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")

    def split(x, parts):
        return _heads(x, parts, num_heads, batch_first)

    q, k, v = _project(query, key, value, embed_dim, weights, in_proj_bias, split)
    batch, _, queries, size = q.shape
    if mask is not None:
        mask = _mask_for_heads(mask, batch, num_heads, queries, k.shape[2])
    _require((bias_k is None) == (bias_v is None), "bias_k and bias_v are given together or not at all")
    if bias_k is not None:
        _require(static_k is None and static_v is None, "bias cannot be added to static key or value.")
        k, v = (_behind(x, b.reshape(1, num_heads, 1, size)) for x, b in ((k, bias_k), (v, bias_v)))
    k = k if static_k is None else _fixed(static_k, "static_k", batch, num_heads, size)
    v = v if static_v is None else _fixed(static_v, "static_v", batch, num_heads, size)
    if add_zero_attn:
        k, v = (_behind(x, x.new_zeros(1, 1, 1, 1)) for x in (k, v))
    # What is added behind the keys is seen by all.
    behind = (0, (bias_k is not None) + bool(add_zero_attn))
    if mask is not None and behind[1]:
        mask = pad(mask, behind)
    if padding is not None:
        padding = pad(padding, behind) if behind[1] else padding
        wanted = (batch, k.shape[2])
        _require(
            padding.shape == wanted,
            f"Expected key_padding_mask of shape {(batch, wanted[1] - behind[1])}, but got "
            f"{tuple(key_padding_mask.shape)}",
        )
        mask = padding[:, None, None] if mask is None else mask + padding[:, None, None]

    if need_weights:
        y, shares = _weighted(q, k, v, mask, dropout_p)
        shares = shares.mean(1) if average_attn_weights else shares
        shares = shares if batched else shares.squeeze(0)
    else:
        y, shares = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None
    # In memory the batch comes second either way, as in PyTorch: dropout draws its numbers in memory's order.
    y = linear(y.permute(2, 0, 1, 3).flatten(2), out_proj_weight, out_proj_bias)
    y = y.transpose(0, 1) if batch_first else y
    return y if batched else y.squeeze(0), shares


def multi_head_attention_forward(
    query,
    key,
    value,
    embed_dim_to_check,
    num_heads,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    add_zero_attn,
    dropout_p,
    out_proj_weight,
    out_proj_bias,
    training=True,
    key_padding_mask=None,
    need_weights=True,
    attn_mask=None,
    use_separate_proj_weight=False,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    average_attn_weights=True,
    is_causal=False,
):
    """Projected queries attend to projected keys by `num_heads` heads of width E / num_heads, projected in turn.

    Args:
        query, key, value: (L, N, E), (S, N, Ek), (S, N, Ev), or without N.
        embed_dim_to_check: E.
        in_proj_weight, in_proj_bias: (3 E, E) and (3 E), or None: the maps of query, key and value one below the
            other. With `use_separate_proj_weight` the three `*_proj_weight`, (E, E), (E, Ek) and (E, Ev), instead.
        bias_k, bias_v: (1, 1, E), a further key and its value, or None; with `add_zero_attn` zeros are another.
        dropout_p: the share of attention weights that are dropped in `training`.
        out_proj_weight, out_proj_bias: (E, E) and (E), or None.
        key_padding_mask: (N, S), or (S); of bools, True for keys that nobody sees, or of numbers to add.
        attn_mask: (L, S) or (N · num_heads, L, S); of bools, True for keys that a query does not see, or of numbers.
        need_weights: give the weights too. Without, attention is one operation, whose memory grows with L + S.
        static_k, static_v: (N · num_heads, S, E / num_heads) instead of the projected ones.
        average_attn_weights: mean of the weights over the heads.
        is_causal: says that `attn_mask` hides from query i the keys after it, so that it need not be read.

    Returns:
        (L, N, E), and weights (N, L, S), or (N, num_heads, L, S), or None; without N if the inputs are so.

    Raises:
        AssertionError: for shapes that do not fit and masks of integers.
        RuntimeError: for an `attn_mask` of another shape, or `is_causal` without one.

    Vaswani et al., "Attention Is All You Need" (2017), https://arxiv.org/abs/1706.03762.

    Example:
        >>> import wengert as wg
        >>> x, w = wg.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), wg.eye(2)
        >>> y, shares = wg.nn.functional.multi_head_attention_forward(
        ...     x, x, x, 2, 1, wg.cat([w, w, w]), None, None, None, False, 0.0, w, None)
        >>> shares
        tensor([[[0.6698, 0.3302],
                 [0.3302, 0.6698]]])
    """
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    return attend(
        query,
        key,
        value,
        embed_dim_to_check,
        num_heads,
        separate if use_separate_proj_weight else in_proj_weight,
        in_proj_bias,
        bias_k,
        bias_v,
        add_zero_attn,
        dropout_p if training else 0.0,
        out_proj_weight,
        out_proj_bias,
        key_padding_mask,
        need_weights,
        attn_mask,
        average_attn_weights,
        is_causal,
        False,
        static_k,
        static_v,
    )
