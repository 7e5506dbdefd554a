"""Packed sequences: what is packed, padded and moved, gradients and errors as torch's."""

import copy
import pickle

import pytest
import wengert as wg
from nn_compare import both, data, same, torch, weighed
from support import is_put, put


@pytest.mark.devices(sample=6)
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 2), (5, 4, 2, 3)])
@pytest.mark.parametrize(
    "lengths, ordered", [([5, 4, 4, 1], True), ([2, 5, 1, 5], False), ([3, 2, 1, 1], True)]
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_packing_and_padding(shape, lengths, ordered, batch_first):
    def program(lib):
        rnn = lib.nn.utils.rnn
        x = data(lib, *shape, grad=True)
        fed = x.transpose(0, 1) if batch_first else x
        p = rnn.pack_padded_sequence(fed, lengths, batch_first, ordered)
        assert lib is torch or is_put(p.data)
        squares = rnn.PackedSequence(p.data * p.data, *p[1:])
        padded, found = rnn.pad_packed_sequence(squares, not batch_first, -1.5, 6)
        weighed(lib, [padded]).backward()
        return [*p, padded, found, x.grad, rnn.pad_packed_sequence(p)[0], rnn.unpack_sequence(p)]

    both(program)


@pytest.mark.parametrize("dtype", ["int64", "bool", "float64"])
def test_packing_of_other_dtypes(dtype):
    def program(lib):
        rnn = lib.nn.utils.rnn
        p = rnn.pack_padded_sequence(data(lib, 3, 2).to(getattr(lib, dtype)), lib.tensor([3.0, 2.0]))
        return [*p, rnn.pad_packed_sequence(p)]

    both(program)


@pytest.mark.parametrize("ordered", [True, False])
def test_packing_of_a_list(ordered):
    def program(lib):
        rnn = lib.nn.utils.rnn
        lengths = (4, 2, 1) if ordered else (2, 4, 1)
        sequences = [data(lib, n, 2, seed=n, grad=True) for n in lengths]
        p = rnn.pack_sequence(sequences, ordered)
        weighed(lib, [p.data]).backward()
        return [*p, [s.grad for s in sequences], rnn.unpack_sequence(p)]

    both(program)


PACKING_ERRORS = {
    "lengths that grow": lambda lib, r, x: r.pack_padded_sequence(x, [2, 3, 5]),
    "a length of 0": lambda lib, r, x: r.pack_padded_sequence(x, [5, 3, 0]),
    "a length below 0": lambda lib, r, x: r.pack_padded_sequence(x, [5, -3, 2], enforce_sorted=False),
    "too few lengths": lambda lib, r, x: r.pack_padded_sequence(x, [5, 3]),
    "too many lengths": lambda lib, r, x: r.pack_padded_sequence(x, [5, 3, 2, 1]),
    "lengths in a matrix": lambda lib, r, x: r.pack_padded_sequence(x, lib.tensor([[5, 3, 2]])),
    "no steps": lambda lib, r, x: r.pack_padded_sequence(x[:0], [1, 1, 1]),
    "no sequences": lambda lib, r, x: r.pack_padded_sequence(x[:, :0], []),
    "a vector": lambda lib, r, x: r.pack_padded_sequence(x[:, 0, 0], [5, 3, 2]),
    "an empty list": lambda lib, r, x: r.pack_sequence([]),
    "a list that grows": lambda lib, r, x: r.pack_sequence([x[:2, 0], x[:, 0]]),
    "a total below the longest": lambda lib, r, x: r.pad_packed_sequence(
        r.pack_padded_sequence(x, [5, 3, 2]), total_length=4
    ),
    "no batch_sizes": lambda lib, r, x: r.PackedSequence(x),
    "batch_sizes elsewhere": lambda lib, r, x: r.PackedSequence(x, lib.tensor([3, 2]).to("meta")),
}


@pytest.mark.parametrize("case", PACKING_ERRORS)
def test_what_cannot_be_packed(case):
    ours, theirs = both(lambda lib: PACKING_ERRORS[case](lib, lib.nn.utils.rnn, data(lib, 5, 3, 4)))
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


@pytest.mark.only_wengert
def test_lengths_beyond_the_input():
    """torch packs rows that are not there."""
    with pytest.raises(RuntimeError, match="longest length is 7, but the input has only 5 steps"):
        wg.nn.utils.rnn.pack_padded_sequence(wg.zeros(5, 2, 3), [7, 2])


def test_packed_sequences_are_tuples():
    def program(lib):
        rnn = lib.nn.utils.rnn
        p = rnn.pack_sequence([data(lib, 2), data(lib, 3)], enforce_sorted=False)
        twins = [copy.deepcopy(p), pickle.loads(pickle.dumps(p)), rnn.PackedSequence((p.data, p.batch_sizes))]
        assert all(type(t) is rnn.PackedSequence for t in twins)
        assert p.to("cpu") is p and p.cpu() is p and p.to(lib.float32) is p and p.float() is p
        casts = [getattr(p, name)() for name in ["double", "half", "long", "int", "short", "char", "byte"]]
        kinds = [str(c.data.dtype).split(".")[1] for c in casts]
        assert all(type(c) is rnn.PackedSequence for c in casts)
        by_tensor = p.to(lib.zeros(1, dtype=lib.float64))
        values, sizes, order, back = p
        return [
            *(list(t) for t in twins),
            kinds,
            [list(c)[1:] for c in casts],
            list(by_tensor),
            [values, sizes, order, back],
            [p.is_cuda, p.is_pinned(), p.unsorted_indices is not None, repr(p)],
            list(rnn.PackedSequence(p.data, p.batch_sizes, lib.tensor([1, 0]))),
        ]

    both(program)


def test_permutations():
    both(lambda lib: lib.nn.utils.rnn.invert_permutation(lib.tensor([3, 0, 2, 1])))
    assert wg.nn.utils.rnn.invert_permutation(None) is None


@pytest.mark.devices
def test_packed_sequences_move(device):
    p = wg.nn.utils.rnn.pack_sequence([wg.ones(2), wg.ones(3)], enforce_sorted=False)
    there = p.to(device.type)
    assert there.data.device.type == there.sorted_indices.device.type == device.type
    assert there.batch_sizes.device.type == "cpu"
    same(list(there.cpu()), [torch.tensor(t.tolist()) for t in p])
    assert put(wg.zeros(1)).device.type == device.type
