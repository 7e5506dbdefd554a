"""The Transformer: layers of attention and feed-forward maps, their stacks, and both stacks together.

Vaswani et al., "Attention Is All You Need" (2017), https://arxiv.org/abs/1706.03762; with the norms first, Xiong et
al., "On Layer Normalization in the Transformer Architecture" (2020), https://arxiv.org/abs/2002.04745.
"""

import copy

from wengert import _core

from .. import functional as F
from .. import init
from .._functional.multi_head_attention import additive_mask
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm


def _activation(activation):
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}; or give a function")
    return getattr(F, activation)


def _causal_mask(size, device=None, dtype=None):
    return _core.full((size, size), float("-inf"), device=device, dtype=dtype).triu(1)


def _is_causal(given, mask, batch, batch_first):
    """Whether the mask is the causal one: as given, else by looking."""
    if given is not None or mask is None:
        return bool(given)
    size = batch.shape[0 if batch.ndim == 2 else int(batch_first)]
    return mask.shape == (size, size) and mask.equal(_causal_mask(size, mask.device, mask.dtype))


class _Layer(Module):
    """What the layers share: attentions, a feed-forward map, and a norm and dropout for each of these blocks."""

    _ATTENTIONS = ()

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        place = {"bias": bias, "device": device, "dtype": dtype}
        for name in self._ATTENTIONS:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **place)
        self.norm_first = norm_first
        blocks = range(1, len(self._ATTENTIONS) + 2)
        for i in blocks:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, **place))
        for i in blocks:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    def _add(self, x, norm, block, *args):
        """The block's result added to its input, normalised before or after."""
        return x + block(norm(x), *args) if self.norm_first else norm(x + block(x, *args))

    def _feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        return self.dropout1(
            self.self_attn(x, x, x, key_padding_mask, False, attn_mask, is_causal=is_causal)[0]
        )


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear maps with an activation between; each is added to its input.

    Args:
        d_model: E, the width of the input and output.
        nhead: heads of the attention.
        dim_feedforward: width between the two linear maps.
        dropout: of attention weights, of the activation and of both results, in training.
        activation: "relu", "gelu", or a function of a tensor.
        layer_norm_eps, bias: of the parts.
        batch_first: input (N, L, E) instead of (L, N, E).
        norm_first: normalise before attention and linear maps instead of after the additions.

    Raises:
        RuntimeError: for another name of an activation.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
        >>> layer(wg.randn(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    _ATTENTIONS = ("self_attn",)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """(L, N, E), (N, L, E) or (L, E) → the same.

        Masks and `is_causal` are those of :func:`wengert.nn.functional.multi_head_attention_forward`.
        """
        padding = additive_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype, src_mask, "src_mask")
        mask = additive_mask(src_mask, "src_mask", src.dtype)
        x = self._add(src, self.norm1, self._sa_block, mask, padding, is_causal)
        return self._add(x, self.norm2, self._ff_block)

    def _ff_block(self, x):
        return self.dropout2(self._feed_forward(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output (`memory`), then two linear maps; each added to its input.

    Arguments and errors are those of :class:`TransformerEncoderLayer`.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
        >>> layer(wg.randn(4, 3, 8), wg.randn(5, 3, 8)).shape
        torch.Size([4, 3, 8])
    """

    _ATTENTIONS = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        """`tgt` (L, N, E) and `memory` (S, N, E), the batch first or left out as in the encoder → (L, N, E)."""
        x = self._add(tgt, self.norm1, self._sa_block, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        to_memory = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._add(x, self.norm2, self._mha_block, *to_memory)
        return self._add(x, self.norm3, self._ff_block)

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        attended = self.multihead_attn(x, mem, mem, key_padding_mask, False, attn_mask, is_causal=is_causal)
        return self.dropout2(attended[0])

    def _ff_block(self, x):
        return self.dropout3(self._feed_forward(x))


class TransformerEncoder(Module):
    """`num_layers` copies of an encoder layer one after the other, then `norm`.

    Args:
        enable_nested_tensor, mask_check: accepted and kept; there are no nested tensors, so that padded places are
            computed like the others.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.TransformerEncoderLayer(8, 2, 16)
        >>> encoder = wg.nn.TransformerEncoder(layer, num_layers=2)
        >>> encoder(wg.randn(5, 3, 8), wg.nn.Transformer.generate_square_subsequent_mask(5)).shape
        torch.Size([5, 3, 8])
    """

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = False
        self.mask_check = mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """As a layer's; with `is_causal` None the mask is compared with the causal one."""
        padding = additive_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype, mask, "mask")
        mask = additive_mask(mask, "mask", src.dtype)
        causal = _is_causal(is_causal, mask, src, self.layers[0].self_attn.batch_first)
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=causal, src_key_padding_mask=padding)
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """`num_layers` copies of a decoder layer one after the other, then `norm`.

    Example:
        >>> import wengert as wg
        >>> decoder = wg.nn.TransformerDecoder(wg.nn.TransformerDecoderLayer(8, 2, 16), num_layers=2)
        >>> decoder(wg.randn(4, 3, 8), wg.randn(5, 3, 8)).shape
        torch.Size([4, 3, 8])
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """As a layer's; with `tgt_is_causal` None the mask is compared with the causal one."""
        causal = _is_causal(tgt_is_causal, tgt_mask, tgt, self.layers[0].self_attn.batch_first)
        x = tgt
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder, and a decoder that attends to its output; both end in a norm. Matrices start Xavier-uniform.

    Args:
        custom_encoder, custom_decoder: modules instead of those that the other arguments describe; these are
            the arguments of :class:`TransformerEncoderLayer`.

    Raises:
        RuntimeError: if batches of `src` and `tgt` differ, or widths from `d_model`.

    Example:
        >>> import wengert as wg
        >>> model = wg.nn.Transformer(8, 2, 1, 1, 16)
        >>> model(wg.randn(5, 3, 8), wg.randn(4, 3, 8)).shape
        torch.Size([4, 3, 8])
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=F.relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        place = {"bias": bias, "device": device, "dtype": dtype}
        options = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
        )
        if custom_encoder is None:
            layer = TransformerEncoderLayer(*options, **place)
            norm = LayerNorm(d_model, layer_norm_eps, **place)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*options, **place)
            norm = LayerNorm(d_model, layer_norm_eps, **place)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """`src` (S, N, E) and `tgt` (L, N, E), the batch first with `batch_first`, or without it → as `tgt`."""
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(
                f"Transformer: the batch number of src and tgt must be equal, but got shapes {tuple(src.shape)} "
                f"and {tuple(tgt.shape)}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                f"Transformer: the feature number of src and tgt must be equal to d_model ({self.d_model}), but got "
                f"shapes {tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """(sz, sz), −∞ above the diagonal and 0 elsewhere: position i sees the positions up to i.

        Example:
            >>> import wengert as wg
            >>> wg.nn.Transformer.generate_square_subsequent_mask(2)
            tensor([[0., -inf],
                    [0., 0.]])
        """
        return _causal_mask(sz, device, dtype)

    def _reset_parameters(self):
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)
