"""Recurrent layers, and single cells to write the loop oneself."""

import math
import numbers
import warnings

from wengert import _core

from .. import init
from .._functional.recurrent import cell, gate_count, pair, recurrent
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module


def _draw(module):
    """Draw all parameters from U(−k, k) with k = 1 / sqrt(hidden_size)."""
    bound = 1 / math.sqrt(module.hidden_size) if module.hidden_size > 0 else 0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


def _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size):
    if isinstance(dropout, bool) or not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being "
            f"zeroed, but got {dropout!r}"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero, but got {value}")
    if proj_size < 0:
        raise ValueError(
            f"proj_size should be a positive integer or zero to disable projections, but got {proj_size}"
        )
    if proj_size >= hidden_size:
        raise ValueError(
            f"proj_size has to be smaller than hidden_size, but got {proj_size} and {hidden_size}"
        )


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the weights of all layers and directions, and checks of what comes in.

    Weights are named `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0` (and `weight_hr_l0` of a
    projection), then those of the other direction, `…_l0_reverse`, and of the next layer, `…_l1`.
    All start from U(−k, k) with k = 1 / sqrt(hidden_size).

    Args:
        mode: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".

    Raises:
        ValueError: for an unknown mode, sizes below 1, `dropout` outside [0, 1] or `proj_size` outside
            [0, hidden_size).
        TypeError: for sizes that are not int, flags that are not bool.

    Example:
        >>> [w.shape for w in wg.nn.RNNBase("GRU", 2, 3).parameters()]
        [torch.Size([9, 2]), torch.Size([9, 3]), torch.Size([9]), torch.Size([9])]
    """

    def __init__(
        self,
        mode,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, output_size, directions = (
            gate_count(mode) * hidden_size,
            proj_size or hidden_size,
            self._directions,
        )
        self._all_weights = []
        for layer in range(num_layers):
            features = output_size * directions if layer else input_size
            shapes = {"weight_ih": (rows, features), "weight_hh": (rows, output_size)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                names = {f"{kind}_l{layer}{suffix}": shape for kind, shape in shapes.items()}
                for name, shape in names.items():
                    self.register_parameter(name, Parameter(_core.empty(*shape, device=device, dtype=dtype)))
                self._all_weights.append(list(names))
        self.reset_parameters()

    @property
    def _directions(self):
        return 2 if self.bidirectional else 1

    @property
    def _flat_weights_names(self):
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self):
        """The weights, one list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def reset_parameters(self):
        """Draw all weights anew."""
        _draw(self)

    def flatten_parameters(self):
        """Nothing to do: the weights are used where they lie."""

    def check_input(self, input, batch_sizes):
        """Raises unless `input` is (L, N, input_size), or (ΣNₜ, input_size) where `batch_sizes` is given.

        Raises:
            ValueError: if its dtype is not the weights'.
            RuntimeError: if its shape does not fit.
        """
        dtype = self.weight_ih_l0.dtype
        if input.dtype != dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {input.shape[-1]}"
            )

    def _state_size(self, input, batch_sizes, features):
        batch = input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])
        return (self.num_layers * self._directions, batch, features)

    def get_expected_hidden_size(self, input, batch_sizes):
        """The shape of h for this input: (layers · directions, N, proj_size or hidden_size)."""
        return self._state_size(input, batch_sizes, self.proj_size or self.hidden_size)

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}"):
        """Raises a RuntimeError with the text `msg` unless `hx` has the expected shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input, hidden, batch_sizes):
        """:meth:`check_input` and :meth:`check_hidden_size` of what `forward` is about to use."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx, permutation):
        """The state with its batch (dim 1) in the order `permutation`, or as it is for None."""
        return hx if permutation is None else self._each(lambda h: h.index_select(1, permutation), hx)

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        return text + "".join(
            f", {name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value
        )

    # -- what the three forwards share; the state is a tensor, or of an LSTM a pair ---------------------

    def _states(self, hx):
        return hx if self.mode == "LSTM" else (hx,)

    def _each(self, fn, hx):
        return tuple(fn(h) for h in hx) if self.mode == "LSTM" else fn(hx)

    def _zeros(self, input, batch_sizes):
        return input.new_zeros(self.get_expected_hidden_size(input, batch_sizes))

    def _check_state_dims(self, hx, wanted):
        dims = [h.dim() for h in self._states(hx)]
        if any(dim != wanted for dim in dims):
            given, pair = "batched" if wanted == 3 else "unbatched", len(dims) == 2
            listed = ", ".join(f"{dim}-D" for dim in dims)
            raise RuntimeError(
                f"For {given} {wanted}-D input, {'hx and cx' if pair else 'hx'} should also be {wanted}-D "
                f"but got {f'({listed}) tensors' if pair else f'{listed} tensor'}"
            )

    def _run(self, input, hx):
        if self.proj_size and self.mode != "LSTM":
            raise RuntimeError(f"proj_size argument is only supported for LSTM, not {self.mode}")
        if isinstance(input, PackedSequence):
            rows, batch_sizes, order, back = input
            hx = self._zeros(rows, batch_sizes) if hx is None else self.permute_hidden(hx, order)
            self.check_forward_args(rows, hx, batch_sizes)
            output, hx = self._layers(rows, batch_sizes.tolist(), hx)
            return PackedSequence(output, batch_sizes, order, back), self.permute_hidden(hx, back)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched, batch_dim = input.dim() == 3, 0 if self.batch_first else 1
        if hx is not None:
            self._check_state_dims(hx, input.dim())
        if not batched:
            input = input.unsqueeze(batch_dim)
            hx = None if hx is None else self._each(lambda h: h.unsqueeze(1), hx)
        hx = self._zeros(input, None) if hx is None else hx
        self.check_forward_args(input, hx, None)
        steps = input.transpose(0, 1) if self.batch_first else input
        length, batch = steps.shape[:2]
        output, hx = self._layers(steps.flatten(0, 1), [batch] * length, hx)
        output = output.reshape(length, batch, output.shape[1])
        output = output.transpose(0, 1) if self.batch_first else output
        if batched:
            return output, hx
        return output.squeeze(batch_dim), self._each(lambda h: h.squeeze(1), hx)

    def _layers(self, rows, sizes, hx):
        output, state = recurrent(
            self.mode,
            rows,
            sizes,
            self._states(hx),
            self._step_weights(),
            self._directions,
            self.dropout,
            self.training,
        )
        return output, state if self.mode == "LSTM" else state[0]

    def _step_weights(self):
        """(w_ih, w_hh, b_ih, b_hh, w_hr) of each layer and direction, None for what there is not."""
        return [
            (*w[:2], *(w[2:4] if self.bias else (None, None)), w[-1] if self.proj_size else None)
            for w in self.all_weights
        ]


class RNN(RNNBase):
    """hₜ = tanh(xₜ W_ihᵀ + b_ih + hₜ₋₁ W_hhᵀ + b_hh), or relu: J. Elman, "Finding structure in time", 1990.

    Shapes, for D = 2 if `bidirectional` and 1 otherwise: input (L, N, input_size), with `batch_first`
    (N, L, input_size), without a batch (L, input_size), or a PackedSequence; `hx`, zeros if it is not
    given, (D · num_layers, N, hidden_size), without a batch (D · num_layers, hidden_size). The result is the
    last layer's h of all steps, (L, N, D · hidden_size) or laid out as the input was, and the last state
    like `hx`. Everything has the weights' dtype.

    Args:
        input_size, hidden_size: the features of xₜ and of hₜ.
        num_layers: further layers read the h of the layer below.
        nonlinearity: "tanh" or "relu".
        bias: whether there are b_ih and b_hh.
        batch_first: whether N stands before L in input and output.
        dropout: in training, the probability of dropout on the output of all layers but the last.
        bidirectional: whether each layer also reads its input backwards; both outputs stand side by side.

    Raises:
        ValueError: for options out of range, and for input that is not 2- or 3-dimensional or of another dtype.
        RuntimeError: for input or `hx` of a shape that does not fit, or no steps.

    Example:
        >>> output, h = wg.nn.RNN(2, 3)(wg.ones(5, 1, 2))
        >>> output.shape, bool((output[-1] == h[0]).all())
        (torch.Size([5, 1, 3]), True)
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        return self._run(input, hx)


class LSTM(RNNBase):
    """Long short-term memory: S. Hochreiter, J. Schmidhuber, 1997, with F. Gers's forget gate, 2000.

    With (i, f, g, o) = xₜ W_ihᵀ + b_ih + hₜ₋₁ W_hhᵀ + b_hh, cut in four:
    cₜ = σ(f) · cₜ₋₁ + σ(i) · tanh(g) and hₜ = σ(o) · tanh(cₜ). With `proj_size`, hₜ is projected by W_hr
    (H. Sak et al., 2014) and has proj_size features, cₜ still hidden_size.

    Shapes and options are those of :class:`RNN` (there is no `nonlinearity`), but that `hx` and the last
    state are pairs (h, c).

    Raises:
        ValueError: for options out of range, and for input that is not 2- or 3-dimensional or of another dtype.
        RuntimeError: for input or states of a shape that does not fit, or no steps.
        TypeError: if `hx` is a tensor.

    Example:
        >>> output, (h, c) = wg.nn.LSTM(2, 3, num_layers=2, bidirectional=True)(wg.ones(5, 1, 2))
        >>> output.shape, h.shape, c.shape
        (torch.Size([5, 1, 6]), torch.Size([4, 1, 3]), torch.Size([4, 1, 3]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input, batch_sizes):
        """The shape of c for this input: (layers · directions, N, hidden_size)."""
        return self._state_size(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input, hidden, batch_sizes):
        self.check_input(input, batch_sizes)
        expected = (
            self.get_expected_hidden_size(input, batch_sizes),
            self.get_expected_cell_size(input, batch_sizes),
        )
        for k in range(2):
            self.check_hidden_size(hidden[k], expected[k], f"Expected hidden[{k}] size {{}}, got {{}}")

    def _zeros(self, input, batch_sizes):
        return super()._zeros(input, batch_sizes), input.new_zeros(
            self.get_expected_cell_size(input, batch_sizes)
        )

    def forward(self, input, hx=None):
        return self._run(input, None if hx is None else pair("lstm", hx))


class GRU(RNNBase):
    """Gated recurrent unit: K. Cho et al., 2014, with the reset gate after the product, not before it.

    r = σ(xₜ W_irᵀ + b_ir + hₜ₋₁ W_hrᵀ + b_hr), z = σ(xₜ W_izᵀ + b_iz + hₜ₋₁ W_hzᵀ + b_hz),
    n = tanh(xₜ W_inᵀ + b_in + r · (hₜ₋₁ W_hnᵀ + b_hn)) and hₜ = (1 − z) · n + z · hₜ₋₁; `weight_ih`,
    `weight_hh` and the biases hold the parts r, z, n one under the other.

    Shapes, options and errors are those of :class:`RNN` (there is no `nonlinearity`).

    Example:
        >>> packed = wg.nn.utils.rnn.pack_sequence([wg.ones(3, 2), wg.ones(1, 2)])
        >>> output, h = wg.nn.GRU(2, 4)(packed)
        >>> output.data.shape, h.shape
        (torch.Size([4, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input, hx=None):
        return self._run(input, hx)


class RNNCellBase(Module):
    """What the cells share: weight_ih (num_chunks · hidden_size, input_size), weight_hh, and their biases.

    All start from U(−k, k) with k = 1 / sqrt(hidden_size).
    """

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        for name, shape in (("weight_ih", (rows, input_size)), ("weight_hh", (rows, hidden_size))):
            self.register_parameter(name, Parameter(_core.empty(*shape, device=device, dtype=dtype)))
        for name in ("bias_ih", "bias_hh"):
            made = Parameter(_core.empty(rows, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all weights anew."""
        _draw(self)

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _run(self, mode, input, state, labels):
        """One step of a batch, or of one example as of a batch of 1; the state None is zeros."""
        if input.dim() not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        batched = input.dim() == 2
        input = input if batched else input.unsqueeze(0)
        if state is None:
            state = (input.new_zeros(input.shape[0], self.hidden_size),) * len(labels)
        else:
            for label, h in zip(labels, state, strict=True):
                if h.dim() not in (1, 2):
                    raise ValueError(
                        f"{self._get_name()}: Expected {label} to be 1D or 2D, got {h.dim()}D instead"
                    )
            state = state if batched else tuple(h.unsqueeze(0) for h in state)
        state = cell(mode, input, state, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return state if batched else tuple(h.squeeze(0) for h in state)


class RNNCell(RNNCellBase):
    """h′ = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh), or relu: one step of :class:`RNN`.

    x is (N, input_size) or (input_size), h (N, hidden_size) or (hidden_size), zeros if not given, and so
    the result.

    Raises:
        ValueError: for tensors of other numbers of dims.
        RuntimeError: for shapes or dtypes that do not fit, or an unknown `nonlinearity`.

    Example:
        >>> wg.nn.RNNCell(2, 3)(wg.ones(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}; use 'tanh' or 'relu'")
        mode = f"RNN_{self.nonlinearity.upper()}"
        return self._run(mode, input, None if hx is None else (hx,), ["hidden"])[0]


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: x, (h, c) → (h′, c′).

    x is (N, input_size) or (input_size), h and c (N, hidden_size) or (hidden_size), zeros if not given.

    Raises:
        ValueError: for tensors of other numbers of dims.
        RuntimeError: for shapes or dtypes that do not fit, or other than two states.
        TypeError: if `hx` is a tensor.

    Example:
        >>> h, c = wg.nn.LSTMCell(2, 3)(wg.ones(5, 2))
        >>> h.shape, c.shape
        (torch.Size([5, 3]), torch.Size([5, 3]))
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        state = None if hx is None else pair("lstm_cell", hx)
        return self._run("LSTM", input, state, ["hx[0]", "hx[1]"])


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`: x, h → h′, of the shapes of :class:`RNNCell`, with its errors.

    Example:
        >>> wg.nn.GRUCell(2, 3)(wg.ones(2)).shape
        torch.Size([3])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        return self._run("GRU", input, None if hx is None else (hx,), ["hidden"])[0]
