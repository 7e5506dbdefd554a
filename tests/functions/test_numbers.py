"""Python numbers that a dtype holds, or does not, wherever a number fills: the same results and errors as PyTorch's."""

import numpy as np
import pytest
import torch
import wengert as wg
from support import outcome
from torch_parity import same_outcome

NAN, INF = float("nan"), float("inf")
NUMBERS = {
    "uint8": [300, 255, -1, -255, -256, -1.0, -0.5, 255.5, 256.0, True],
    "int8": [200, -129, 127.5, 128.0, -128.5, NAN, INF],
    "int32": [2**31, -(2**31), 2147483647.5],
    "int64": [1e19, 9.3e18, -9.3e18, 2**63 - 1],
    "float16": [70000, 65504, 70000.0, INF, NAN],
    "bfloat16": [1e39, -INF],
    "float32": [1e300, -1e39, 3e38, NAN],
    "float64": [1e300, -INF],
    "bool": [7, NAN, 0.0],
}


def written(x, key, value):
    x[key] = value
    return x


def two(m, dtype):
    return m.zeros(2, dtype=dtype)


FILLS = {
    "full": lambda m, d, v: m.full((2,), v, dtype=d),
    "full of nothing": lambda m, d, v: m.full((0,), v, dtype=d),
    "full_like": lambda m, d, v: m.full_like(two(m, d), v),
    "new_full": lambda m, d, v: two(m, d).new_full((2,), v),
    "fill_": lambda m, d, v: two(m, d).fill_(v),
    "masked_fill": lambda m, d, v: two(m, d).masked_fill(m.tensor([True, False]), v),
    "masked_fill_": lambda m, d, v: two(m, d).masked_fill_(m.tensor([True, False]), v),
    "index_fill": lambda m, d, v: two(m, d).index_fill(0, m.tensor([0]), v),
    "index_fill_": lambda m, d, v: two(m, d).index_fill_(0, m.tensor([1]), v),
    "scatter": lambda m, d, v: two(m, d).scatter(0, m.tensor([1]), v),
    "scatter_": lambda m, d, v: two(m, d).scatter_(0, m.tensor([1]), v),
    "fill_diagonal_": lambda m, d, v: m.zeros(2, 2, dtype=d).fill_diagonal_(v),
    "pad": lambda m, d, v: m.nn.functional.pad(two(m, d), (1, 0), value=v),
    "at an index": lambda m, d, v: written(two(m, d), m.tensor([1]), v),
    "at a mask": lambda m, d, v: written(two(m, d), m.tensor([True, False]), v),
    "at a place": lambda m, d, v: written(two(m, d), 1, v),
    "tensor": lambda m, d, v: m.tensor(v, dtype=d),
    "tensor of a list": lambda m, d, v: m.tensor([v, v], dtype=d),
    "add": lambda m, d, v: two(m, d) + v,
    "mul": lambda m, d, v: two(m, d) * v,
    "maximum": lambda m, d, v: m.maximum(two(m, d), m.tensor(v, dtype=m.float64).to(m.float64)),
    "eq": lambda m, d, v: two(m, d) == v,
}
HALVES = ("float16", "bfloat16")


@pytest.mark.devices(sample=3, per="fill", factories=True)
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(("dtype", "value"), [(d, v) for d, values in NUMBERS.items() for v in values])
def test_a_number_that_fills(fill, dtype, value):
    if fill == "at a place" and dtype in HALVES:
        pytest.skip("PyTorch lets halves overflow here: `number.overflow` in docs/differences.md")
    ours, theirs = (outcome(FILLS[fill], m, getattr(m, dtype), value) for m in (wg, torch))
    same_outcome(f"{fill} of {dtype} with {value}", ours, theirs)


def test_a_tensor_that_fills_is_a_number_too():
    for m in (wg, torch):
        x, mask = m.zeros(2, dtype=m.uint8), m.tensor([True, False])
        with pytest.raises(RuntimeError, match="without overflow"):
            x.masked_fill(mask, m.tensor(300))
        assert x.fill_(m.tensor(300)).tolist() == [44, 44]  # fill_ converts a tensor as to() does


def test_what_was_refused_is_unchanged():
    x = wg.ones(3, dtype=wg.uint8)
    for change in (
        lambda: x.fill_(300),
        lambda: x.masked_fill_(wg.tensor([True, False, True]), -1.0),
        lambda: written(x, slice(0, 2), 1e9),
        lambda: x.index_fill_(0, wg.tensor([0]), 300),
    ):
        with pytest.raises(RuntimeError, match=r"torch.uint8 without overflow, got"):
            change()
        assert x.tolist() == [1, 1, 1]


def test_integers_beyond_64_bits():
    for m in (wg, torch):
        assert m.tensor([2**70], dtype=m.float32).tolist() == [float(2**70)]
        with pytest.raises(ValueError, match="Overflow when unpacking long"):
            m.tensor([1, 2**70])
        with pytest.raises(OverflowError):
            m.zeros(2).fill_(2**70)


def test_numpy_arrays_are_converted_like_tensors():
    for m in (wg, torch):
        assert m.tensor(np.array([300, -1]), dtype=m.uint8).tolist() == [44, 255]


def test_numbers_of_products_are_of_their_dtype():
    for m in (wg, torch):
        x = m.tensor([[3, 1], [2, 5]])
        assert m.addmm(x, x, x, beta=0.9, alpha=1.9).tolist() == (x @ x).tolist()
        with pytest.raises(RuntimeError, match="argument alpha must not be a floating point number"):
            m.addr(x, x[0], x[1], alpha=1.5)
        with pytest.raises(RuntimeError, match="dtype"):
            m.addmm(x.double(), x, x)
