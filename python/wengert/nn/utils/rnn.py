"""Sequences of different lengths as one tensor."""

from collections.abc import Iterable

from wengert import _core
from wengert._core import Tensor

__all__ = ["pad_sequence", "unpad_sequence"]


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Sequences of shapes (Lᵢ, …) stacked, filled up to the longest, L: (L, N, …), or (N, L, …) with `batch_first`.

    Raises:
        RuntimeError: for no sequences, or if their other dims differ.
        ValueError: if `padding_side` is neither "right" nor "left".

    Example:
        >>> wg.nn.utils.rnn.pad_sequence([wg.tensor([1, 2, 3]), wg.tensor([4])], batch_first=True)
        tensor([[1, 2, 3],
                [4, 0, 0]])
    """
    if isinstance(sequences, Tensor):
        sequences = sequences.unbind(0)
    elif not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences).__name__}"
        )
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("pad_sequence: Expected a non-empty list of Tensors")
    if padding_side not in ("right", "left"):
        raise RuntimeError(f"padding_side should be one of right or left but got {padding_side}")
    first, longest = sequences[0], max(s.shape[0] for s in sequences)
    padded = []
    for sequence in sequences:
        if sequence.shape[1:] != first.shape[1:]:
            raise RuntimeError(
                f"pad_sequence: sequences must agree in all dims but the first, but got shapes "
                f"{tuple(first.shape)} and {tuple(sequence.shape)}"
            )
        missing = longest - sequence.shape[0]
        filling = _core.full(
            (missing, *sequence.shape[1:]), padding_value, dtype=first.dtype, device=first.device
        )
        padded.append(_core.cat([sequence, filling] if padding_side == "right" else [filling, sequence]))
    return _core.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The sequences of :func:`pad_sequence` again, a list.

    Example:
        >>> padded = wg.tensor([[1, 2, 3], [4, 0, 0]])
        >>> wg.nn.utils.rnn.unpad_sequence(padded, wg.tensor([3, 1]), batch_first=True)
        [tensor([1, 2, 3]), tensor([4])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[: int(length)] for row, length in zip(padded_sequences, lengths, strict=True)]


def __getattr__(name):
    raise AttributeError(
        f"wengert has no nn.utils.rnn.{name} yet: packed sequences come with the recurrent modules"
    )
