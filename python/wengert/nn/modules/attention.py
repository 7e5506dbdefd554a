"""Multi-head attention with its projections."""

from wengert import _core

from .. import init
from .._functional.multi_head_attention import attend
from ..parameter import Parameter
from .linear import NonDynamicallyQuantizableLinear
from .module import Module


class MultiheadAttention(Module):
    """Queries attend to keys by several heads: the values, weighted by softmax(q kᵀ / sqrt(D)), of each head of width
    D = embed_dim / num_heads.

    Query, key and value (L, N, embed_dim), (S, N, kdim) and (S, N, vdim), the batch N first with `batch_first`, or
    without N; the output is as the query. Where one tensor is all three, one product projects it.

    Args:
        dropout: the share of attention weights that are dropped in training.
        bias: of the projections.
        add_bias_kv: learn a further key and its value.
        add_zero_attn: zeros are a further key and value.
        kdim, vdim: widths of key and value, `embed_dim` if left out.

    Raises:
        ValueError: for an `embed_dim` or `num_heads` that is not positive.
        AssertionError: if `num_heads` does not divide `embed_dim`.

    Vaswani et al., "Attention Is All You Need" (2017), https://arxiv.org/abs/1706.03762.

    Example:
        >>> import wengert as wg
        >>> attention = wg.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = wg.randn(3, 5, 8)
        >>> y, weights = attention(x, x, x)
        >>> y.shape, weights.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        device=None,
        dtype=None,
    ):
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(
                f"embed_dim must be divisible by num_heads, but got embed_dim={embed_dim} and num_heads={num_heads}"
            )

        def parameter(present, *shape):
            return Parameter(_core.empty(*shape, device=device, dtype=dtype)) if present else None

        packed = self._qkv_same_embed_dim
        self.register_parameter("in_proj_weight", parameter(packed, 3 * embed_dim, embed_dim))
        for name, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            self.register_parameter(f"{name}_proj_weight", parameter(not packed, embed_dim, width))
        self.register_parameter("in_proj_bias", parameter(bias, 3 * embed_dim))
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k = parameter(add_bias_kv, 1, 1, embed_dim)
        self.bias_v = parameter(add_bias_kv, 1, 1, embed_dim)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _weights(self):
        if self._qkv_same_embed_dim:
            return self.in_proj_weight
        return self.q_proj_weight, self.k_proj_weight, self.v_proj_weight

    def _reset_parameters(self):
        weights = self._weights()
        for weight in weights if isinstance(weights, tuple) else (weights,):
            init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
        is_causal=False,
    ):
        """The output, and the weights (N, L, S), or (N, num_heads, L, S) if they are not averaged, or None.

        Masks and errors are those of :func:`wengert.nn.functional.multi_head_attention_forward`. Without
        `need_weights` attention is one operation, and a query that sees no key gives zeros instead of NaN.
        """
        return attend(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self._weights(),
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout if self.training else 0.0,
            self.out_proj.weight,
            self.out_proj.bias,
            key_padding_mask,
            need_weights,
            attn_mask,
            average_attn_weights,
            is_causal,
            self.batch_first,
        )

    def merge_masks(self, attn_mask, key_padding_mask, query):
        """One mask of both, as numbers to add, and its kind: (None, None), (N, S) and 1, or (N, H, L, S) and 2.

        For self-attention: `query` is (N, L, E), and S = L. Masks are as the forward's, of numbers.
        """
        if attn_mask is None:
            return (None, None) if key_padding_mask is None else (key_padding_mask, 1)
        batch, length, _ = query.shape
        if attn_mask.ndim == 3:
            merged = attn_mask.view(batch, -1, length, length)
        else:
            merged = attn_mask.view(1, 1, length, length).expand(batch, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            merged = merged + key_padding_mask.view(batch, 1, 1, length)
        return merged, 2
