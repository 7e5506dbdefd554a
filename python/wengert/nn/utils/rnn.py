"""Sequences of different lengths as one tensor: padded to the longest, or packed step by step."""

from collections.abc import Iterable
from typing import NamedTuple

from wengert import _core
from wengert._core import Tensor

from .._functional.packing import padded, present

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences packed step by step: the first rows of all, then the second rows of those that have one, …

    :func:`pack_sequence` and :func:`pack_padded_sequence` make them; the recurrent modules read them.

    Attributes:
        data: the rows, (ΣLᵢ, …), the longest sequence first in each step.
        batch_sizes: how many rows each step has, int64 on the CPU, never growing.
        sorted_indices: where in the batch the sequences were, by descending length, or None if they were so.
        unsorted_indices: the inverse, which brings them back.

    Raises:
        ValueError: if `batch_sizes` is not on the CPU.

    Example:
        >>> packed = wg.nn.utils.rnn.pack_sequence([wg.tensor([1, 2, 3]), wg.tensor([4])])
        >>> packed.data, packed.batch_sizes
        (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("PackedSequence needs batch_sizes, or a pair (data, batch_sizes)")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                f"PackedSequence: batch_sizes should always be on the CPU, but got {batch_sizes.device}; "
                "let pack_sequence or pack_padded_sequence make them"
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """With the data moved or cast as by `Tensor.to`; itself if that changes nothing."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = (i if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices))
        return type(self)(data, self.batch_sizes, *moved)

    def cpu(self):
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, *args, **kwargs):
        """On a CUDA device, where there is one; the arguments are those of `Tensor.cuda`."""
        return self.to(self.data.new_empty(0).cuda(*args, **kwargs).device)

    def double(self):
        """As float64."""
        return self.to(_core.float64)

    def float(self):
        """As float32."""
        return self.to(_core.float32)

    def half(self):
        """As float16."""
        return self.to(_core.float16)

    def long(self):
        """As int64."""
        return self.to(_core.int64)

    def int(self):
        """As int32."""
        return self.to(_core.int32)

    def short(self):
        """As int16."""
        return self.to(_core.int16)

    def char(self):
        """As int8."""
        return self.to(_core.int8)

    def byte(self):
        """As uint8."""
        return self.to(_core.uint8)

    @property
    def is_cuda(self):
        """Whether the data is on a CUDA device."""
        return self.data.is_cuda

    def is_pinned(self):
        """Whether the data is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation):
    """The permutation that undoes a permutation (n) of int64; None for None.

    Example:
        >>> wg.nn.utils.rnn.invert_permutation(wg.tensor([2, 0, 1]))
        tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    places = _core.arange(permutation.numel(), device=permutation.device)
    return _core.empty_like(permutation).scatter_(0, permutation, places)


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """The sequences of a padded batch (L, N, …), or (N, L, …) with `batch_first`, as a PackedSequence.

    Args:
        lengths: the lengths of the N sequences, a list or a tensor on the CPU; at least 1, at most L.
        enforce_sorted: whether the lengths must descend; otherwise the sequences are sorted first, and the
            recurrent modules and :func:`pad_packed_sequence` give them back in their order.

    Raises:
        RuntimeError: for an empty batch, lengths that do not fit, or that do not descend where they must.

    Example:
        >>> padded = wg.tensor([[1, 2, 0], [3, 4, 5]])
        >>> wg.nn.utils.rnn.pack_padded_sequence(padded, [2, 3], batch_first=True, enforce_sorted=False)
        PackedSequence(data=tensor([3, 1, 4, 2, 5]), batch_sizes=tensor([2, 2, 1]),
                       sorted_indices=tensor([1, 0]), unsorted_indices=tensor([1, 0]))
    """
    lengths = lengths if isinstance(lengths, Tensor) else _core.as_tensor(lengths, device="cpu")
    lengths = lengths.to(_core.int64)
    order = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    steps = input.transpose(0, 1) if batch_first else input
    _check_lengths(lengths, steps)
    batch_sizes = (_core.arange(int(lengths[0]), device="cpu").unsqueeze(1) < lengths).sum(1)
    data = steps[: len(batch_sizes)][present(batch_sizes, steps.device)]
    return PackedSequence(data, batch_sizes, order)


def _check_lengths(lengths, steps):
    if steps.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if lengths.ndim != 1 or lengths.device.type != "cpu":
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.ndim}D on {lengths.device}"
        )
    if len(lengths) != steps.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={steps.shape[1]})"
        )
    if (lengths <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (lengths[1:] > lengths[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. Pass "
            "`enforce_sorted=False` to pack_padded_sequence or pack_sequence to have it sorted."
        )
    if lengths[0] > steps.shape[0]:
        raise RuntimeError(
            f"pack_padded_sequence: the longest length is {int(lengths[0])}, but the input has only "
            f"{steps.shape[0]} steps"
        )


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """The padded batch (L, N, …), or (N, L, …) with `batch_first`, and the lengths (N) of a PackedSequence.

    Args:
        total_length: L, if it is to be more than the longest length.

    Raises:
        ValueError: if `total_length` is less than the longest length.

    Example:
        >>> packed = wg.nn.utils.rnn.pack_sequence([wg.tensor([1, 2]), wg.tensor([3])])
        >>> wg.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        (tensor([[1, 2],
                [3, 0]]), tensor([2, 1]))
    """
    data, batch_sizes, _, back = sequence
    longest = len(batch_sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    steps = padded(data, batch_sizes, padding_value, total_length)
    lengths = present(batch_sizes, "cpu").sum(0)
    batch = steps.transpose(0, 1) if batch_first else steps
    if back is None:
        return batch, lengths
    return batch.index_select(0 if batch_first else 1, back), lengths[back.cpu()]


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
    filled = []
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
        filled.append(_core.cat([sequence, filling] if padding_side == "right" else [filling, sequence]))
    return _core.stack(filled, 0 if batch_first else 1)


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


def pack_sequence(sequences, enforce_sorted=True):
    """Sequences of shapes (Lᵢ, …) as a PackedSequence; see :func:`pack_padded_sequence`.

    Example:
        >>> wg.nn.utils.rnn.pack_sequence([wg.tensor([1, 2]), wg.tensor([3])]).data
        tensor([1, 3, 2])
    """
    lengths = _core.tensor([s.shape[0] for s in sequences], dtype=_core.int64, device="cpu")
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The sequences of :func:`pack_sequence` again, a list.

    Example:
        >>> wg.nn.utils.rnn.unpack_sequence(wg.nn.utils.rnn.pack_sequence([wg.tensor([1, 2]), wg.tensor([3])]))
        [tensor([1, 2]), tensor([3])]
    """
    batch, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(batch, lengths, batch_first=True)
