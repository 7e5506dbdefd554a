"""Recurrent networks: the step of each cell, and its run over a sequence, in both directions and through layers.

A sequence is the rows (ΣNₜ, features) of its steps, one step after the other, with the list `sizes` of the
Nₜ, which never grow: sequences of different lengths, the longest first. A state is a tuple: (h,), or (h, c).
The input's part of the gates is one product for the whole sequence; a step adds what comes of the state. An
LSTM over sequences of one length is one operation.
"""

from wengert._core import Tensor, _lstm, _lstm_cell, cat, linear, stack, tensor

from .dropout import dropout
from .packing import padded


def _parted(rows, count):
    """(N, count · features) as `count` tensors; the gradient of `unbind`, unlike that of `chunk`, is one stack."""
    return rows.unflatten(1, (count, rows.shape[1] // count)).unbind(1)


def _tanh_step(gates, state, w_hh, b_hh=None, w_hr=None):
    return ((gates + linear(state[0], w_hh, b_hh)).tanh(),)


def _relu_step(gates, state, w_hh, b_hh=None, w_hr=None):
    return ((gates + linear(state[0], w_hh, b_hh)).relu(),)


def _lstm_step(gates, state, w_hh, b_hh=None, w_hr=None):
    h, c = _lstm_cell(gates + linear(state[0], w_hh, b_hh), state[1])
    return h if w_hr is None else linear(h, w_hr), c


def _gru_step(gates, state, w_hh, b_hh=None, w_hr=None):
    (h,) = state
    r, z, n = _parted(gates, 3)
    r_h, z_h, n_h = _parted(linear(h, w_hh, b_hh), 3)
    r, z = (r + r_h).sigmoid(), (z + z_h).sigmoid()
    n = (n + r * n_h).tanh()
    return (n + z * (h - n),)


# Mode → the step, and how many gates of hidden_size it takes.
_STEPS = {
    "RNN_TANH": (_tanh_step, 1),
    "RNN_RELU": (_relu_step, 1),
    "LSTM": (_lstm_step, 4),
    "GRU": (_gru_step, 3),
}


def gate_count(mode):
    """How many rows of weight a hidden unit has in the given mode.

    Raises:
        ValueError: for an unknown mode.
    """
    if mode not in _STEPS:
        raise ValueError(f"Unrecognized RNN mode: {mode}; use one of {', '.join(_STEPS)}")
    return _STEPS[mode][1]


def _by_step(rows, sizes):
    """The rows of each step; unequal ones by way of padded steps, again for the gradient of `unbind`."""
    if sizes[0] == sizes[-1]:
        return rows.reshape(len(sizes), sizes[0], rows.shape[1]).unbind(0)
    steps = padded(rows, tensor(sizes, device="cpu")).unbind(0)
    return [step[:size] for step, size in zip(steps, sizes, strict=True)]


def _scan(step, rows, sizes, initial, weights, reverse):
    """Outputs (ΣNₜ, features) and last state of one layer in one direction, from the state `initial`."""
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    if b_hh is not None and step is not _gru_step:  # only the GRU has something between the two biases
        b_ih, b_hh = b_ih + b_hh, None
    gates = linear(rows, w_ih, b_ih)
    if step is _lstm_step and w_hr is None and sizes[0] == sizes[-1]:
        hs, cs = _lstm(gates.unflatten(0, (len(sizes), sizes[0])), *initial, w_hh, reverse)
        end = 0 if reverse else -1
        return hs.flatten(0, 1), (hs[end], cs[end])
    gates = _by_step(gates, sizes)
    count, outputs, ended = sizes[0], [None] * len(sizes), []
    state = initial
    if reverse and sizes[-1] < count:
        count = sizes[-1]
        state = tuple(s[:count] for s in state)
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        if sizes[t] < count:  # the shorter sequences are over
            ended.append(tuple(s[sizes[t] :] for s in state))
            state = tuple(s[: sizes[t]] for s in state)
        elif sizes[t] > count:  # read from their ends, the shorter ones begin
            begun = [s[count : sizes[t]] for s in initial]
            state = tuple(cat(pair) for pair in zip(state, begun, strict=True))
        count = sizes[t]
        state = step(gates[t], state, w_hh, b_hh, w_hr)
        outputs[t] = state[0]
    if ended:
        state = tuple(cat(parts) for parts in zip(state, *reversed(ended), strict=True))
    return cat(outputs), state


def recurrent(mode, rows, sizes, state, weights, directions=1, p=0.0, training=False):
    """Outputs and last state of a stack of recurrent layers.

    Args:
        rows: the sequence (ΣNₜ, features).
        sizes: the list of the Nₜ, the largest first.
        state: tensors (layers · directions, N₀, features), one or, for "LSTM", two.
        weights: for each layer and direction (w_ih, w_hh, b_ih, b_hh, w_hr), the last three tensors or None.
        directions: 2 to read each layer's input backwards too, the outputs side by side.
        p: the probability of dropout between layers in training.

    Returns:
        Outputs (ΣNₜ, directions · features), and a state like `state`.

    Raises:
        RuntimeError: for a sequence of no steps or with sizes that grow, or a state of another dtype.
    """
    if not sizes:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if sizes != sorted(sizes, reverse=True):
        raise RuntimeError(
            f"the batch sizes of a packed sequence must not grow, but got {sizes}; "
            "let pack_sequence or pack_padded_sequence make them"
        )
    for s in state:
        if s.dtype != rows.dtype:
            raise RuntimeError(
                f"input and hidden state must have the same dtype, but got {rows.dtype} and {s.dtype}; "
                "cast one of them with .to()"
            )
    step, _ = _STEPS[mode]
    initial, final = list(zip(*(s.unbind(0) for s in state), strict=True)), []
    for first in range(0, len(weights), directions):
        if first:
            rows = dropout(rows, p, training)
        runs = [
            _scan(step, rows, sizes, initial[k], weights[k], reverse=k > first)
            for k in range(first, first + directions)
        ]
        rows = runs[0][0] if directions == 1 else cat([outputs for outputs, _ in runs], 1)
        final += [last for _, last in runs]
    return rows, tuple(stack(parts) for parts in zip(*final, strict=True))


def cell(mode, input, state, w_ih, w_hh, b_ih=None, b_hh=None):
    """The state after one step: (N, features), tuple of (N, hidden) → tuple of (N, hidden).

    Raises:
        RuntimeError: if shapes or dtypes do not fit; the message names the sizes.
    """
    step, count = _STEPS[mode]
    if input.ndim != 2:
        raise RuntimeError(f"Expected 2D input (batch x feature), but got {input.ndim}D input")
    if input.shape[1] != w_ih.shape[1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}"
        )
    for k, h in enumerate(state):
        if h.ndim != 2:
            raise RuntimeError(f"Expected 2D hidden{k} (batch x hidden_size), but got {h.ndim}D tensor")
        if h.shape[0] != input.shape[0]:
            raise RuntimeError(
                f"Input batch size {input.shape[0]} doesn't match hidden{k} batch size {h.shape[0]}"
            )
        if h.shape[1] != w_hh.shape[1]:
            raise RuntimeError(
                f"hidden{k} has inconsistent hidden_size: got {h.shape[1]}, expected {w_hh.shape[1]}"
            )
    for name, w in (("weight_ih", w_ih), ("weight_hh", w_hh)):
        if w.shape[0] != count * w_hh.shape[1]:
            raise RuntimeError(
                f"{name} first dim must be {count} * hidden_size = {count * w_hh.shape[1]}, "
                f"but got {w.shape[0]}"
            )
    return step(linear(input, w_ih, b_ih), state, w_hh, b_hh)


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh): x (N, n), h (N, m), W_ih (m, n), W_hh (m, m) → (N, m).

    Raises:
        RuntimeError: if shapes or dtypes do not fit.

    Example:
        >>> wg.rnn_tanh_cell(wg.ones(1, 2), wg.zeros(1, 1), wg.ones(1, 2), wg.ones(1, 1))
        tensor([[0.9640]])
    """
    return cell("RNN_TANH", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """:func:`rnn_tanh_cell` with relu in the place of tanh.

    Example:
        >>> wg.rnn_relu_cell(wg.ones(1, 2), wg.ones(1, 1), wg.ones(1, 2), wg.ones(1, 1))
        tensor([[3.]])
    """
    return cell("RNN_RELU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of :class:`nn.LSTM`: x (N, n), hx = (h, c) of (N, m), W_ih (4m, n), W_hh (4m, m) → (h′, c′).

    Raises:
        TypeError: if `hx` is a tensor.
        RuntimeError: if `hx` is no pair, or shapes or dtypes do not fit.

    Example:
        >>> h, c = wg.zeros(1, 1), wg.ones(1, 1)
        >>> wg.lstm_cell(wg.ones(1, 1), (h, c), wg.zeros(4, 1), wg.zeros(4, 1))
        (tensor([[0.2311]]), tensor([[0.5000]]))
    """
    return cell("LSTM", input, pair("lstm_cell", hx), w_ih, w_hh, b_ih, b_hh)


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of :class:`nn.GRU`: x (N, n), h (N, m), W_ih (3m, n), W_hh (3m, m) → (N, m).

    Raises:
        RuntimeError: if shapes or dtypes do not fit.

    Example:
        >>> wg.gru_cell(wg.ones(1, 1), wg.ones(1, 1), wg.zeros(3, 1), wg.zeros(3, 1))
        tensor([[0.5000]])
    """
    return cell("GRU", input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]


def pair(name, hx):
    """(h, c), checked to be two."""
    if isinstance(hx, Tensor):
        raise TypeError(f"{name}(): argument 'hx' must be a tuple of two tensors, h and c, not a tensor")
    if len(hx) != 2:
        raise RuntimeError(f"{name} expects two hidden states, h and c, but got {len(hx)}")
    return tuple(hx)
