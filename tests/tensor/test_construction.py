"""Tensors from everything that holds numbers, and memory shared with numpy and DLPack."""

import array
import gc
import math

import numpy as np
import pytest
import wengert as wg

NUMPY_DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]


@pytest.mark.parametrize(
    "data, dtype, shape",
    [
        (1, "int64", ()),
        (1.5, "float32", ()),
        (True, "bool", ()),
        ([1, 2], "int64", (2,)),
        ([1, 2.5], "float32", (2,)),
        ([True, 2], "int64", (2,)),
        ([True, False], "bool", (2,)),
        ((1, (2.0)), "float32", (2,)),
        ([[1, 2], (3, 4)], "int64", (2, 2)),
        (range(4), "int64", (4,)),
        ([range(2), range(2)], "int64", (2, 2)),
        ([], "float32", (0,)),
        ([[], []], "float32", (2, 0)),
        (np.float32(2), "float32", ()),
        (np.int16(2), "int16", ()),
        ([np.float64(1.0), 2], "float64", (2,)),
        ([np.array([1, 2]), np.array([3, 4])], "int64", (2, 2)),
        (np.ones((2, 3), np.float32), "float32", (2, 3)),
        (np.arange(3, dtype=np.uint8), "uint8", (3,)),
        (np.zeros((0, 2)), "float64", (0, 2)),
        (math.nan, "float32", ()),
        (float("inf"), "float32", ()),
    ],
    ids=repr,
)
def test_dtype_and_shape_are_inferred(data, dtype, shape):
    t = wg.tensor(data)
    assert t.dtype == getattr(wg, dtype) and tuple(t.shape) == shape
    assert t.is_contiguous() and t.is_leaf and not t.requires_grad and t.device.type == "cpu"


def test_tensor_of_tensors():
    parts = [wg.tensor(1.0), wg.tensor(2.0)]
    assert wg.tensor(parts).tolist() == [1.0, 2.0]
    with pytest.warns(UserWarning, match="clone"):
        copy = wg.tensor(parts[0])
    assert copy.item() == 1.0 and copy.data_ptr() != parts[0].data_ptr()


def test_tensor_copies_and_as_tensor_shares():
    a = np.array([1.0, 2.0])
    copy, shared = wg.tensor(a), wg.as_tensor(a)
    a[0] = 9.0
    assert copy.tolist() == [1.0, 2.0] and shared.tolist() == [9.0, 2.0]
    assert wg.as_tensor(shared) is shared
    assert wg.as_tensor(shared, dtype=wg.float32).dtype == wg.float32


@pytest.mark.only_wengert  # PyTorch wants __len__ and __getitem__ besides
def test_anything_with_an_array_interface():
    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return np.array([[1, 2], [3, 4]], dtype=dtype or np.int32)

    t = wg.as_tensor(Wrapped())
    assert t.tolist() == [[1, 2], [3, 4]] and t.dtype == wg.int32


def test_the_buffer_protocol():
    source = array.array("f", [1.0, 2.0, 3.0])
    t = wg.frombuffer(source, dtype=wg.float32)
    source[1] = 7.0
    assert t.tolist() == [1.0, 7.0, 3.0]
    assert wg.frombuffer(bytearray(b"\x01\x00\x02\x00"), dtype=wg.int16).tolist() == [1, 2]
    assert wg.frombuffer(source, dtype=wg.float32, count=1, offset=8).tolist() == [3.0]


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_numpy_shares_memory_both_ways(dtype):
    a = np.array([0, 1, 1, 0], dtype=dtype)
    t = wg.from_numpy(a)
    assert t.dtype == getattr(wg, dtype) and t.data_ptr() == a.ctypes.data
    t[0] = 1
    assert a[0] == 1
    b = t.numpy()
    b[3] = 1
    assert t.tolist() == a.tolist() == [1, 1, 1, 1]
    assert b.dtype == a.dtype and np.shares_memory(a, b)


NON_CONTIGUOUS = {
    "transposed": lambda a: a.T,
    "every second": lambda a: a[::2],
    "a column": lambda a: a[:, 1],
    "a block": lambda a: a[1:3, 1:],
    "permuted": lambda a: a.reshape(2, 2, 3).transpose(2, 0, 1),
}


@pytest.mark.parametrize("arrange", NON_CONTIGUOUS.values(), ids=NON_CONTIGUOUS)
def test_non_contiguous_arrays_are_shared(arrange):
    a = np.arange(12.0).reshape(4, 3)
    part = arrange(a)
    t = wg.from_numpy(part)
    assert t.tolist() == part.tolist()
    assert tuple(s * 8 for s in t.stride()) == part.strides
    t.mul_(10)
    assert t.tolist() == part.tolist() and part.max() >= 80


@pytest.mark.parametrize(
    "arrange",
    [lambda t: t.t(), lambda t: t[::2], lambda t: t[:, 1], lambda t: t[1:3, 1:], lambda t: t.expand(2, 4, 3)],
    ids=["transposed", "every second", "a column", "a block", "expanded"],
)
def test_non_contiguous_tensors_are_shared(arrange):
    t = wg.arange(12.0).reshape(4, 3)
    part = arrange(t)
    a = part.numpy()
    t.add_(1)
    assert a.tolist() == part.tolist()
    assert a.strides == tuple(4 * s for s in part.stride())


def test_memory_outlives_its_owner():
    t = wg.from_numpy(np.full(1000, 3.0))
    a = wg.full((1000,), 4.0).numpy()
    view = wg.zeros(10)[3:].numpy()
    gc.collect()
    filler = [np.zeros(1000) for _ in range(100)]
    assert t.sum().item() == 3000.0 and a.sum() == 4000.0 and view.sum() == 0.0 and filler


def test_arrays_that_cannot_be_shared_are_refused():
    with pytest.raises(ValueError, match="(?i)negative"):
        wg.from_numpy(np.arange(3)[::-1])
    with pytest.raises(TypeError):
        wg.from_numpy(np.array([1 + 2j]).astype(object))
    with pytest.raises((TypeError, ValueError)):
        wg.from_numpy(np.arange(3, dtype=">f4"))


def test_numpy_functions_take_tensors():
    t = wg.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert np.asarray(t).tolist() == t.tolist()
    assert np.array(t, dtype=np.float64).dtype == np.float64
    assert np.sum(np.asarray(t)) == 10.0
    assert (np.asarray(t) @ np.asarray(t)).tolist() == (t @ t).tolist()
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(t.clone().requires_grad_())


def test_numpy_scalars_in_operations():
    t = wg.tensor([1.0, 2.0])
    assert (t * np.float32(2)).tolist() == [2.0, 4.0]
    assert (t + np.int64(1)).dtype == wg.float32
    assert t[np.int64(1)].item() == 2.0
    assert wg.zeros(np.int64(2), np.int32(3)).shape == (2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_dlpack_both_ways(dtype):
    a = np.arange(6).astype(dtype).reshape(2, 3)
    t = wg.from_dlpack(a)
    t[0, 0] = 9
    assert a[0, 0] == 9 and t.dtype == getattr(wg, dtype)
    s = wg.arange(6).to(getattr(wg, dtype)).reshape(2, 3).t()
    b = np.from_dlpack(s)
    assert b.tolist() == s.tolist() and b.shape == (3, 2)
    s[2, 1] = 77
    assert b[2, 1] == 77
    assert s.__dlpack_device__() == (1, 0)


def test_dlpack_with_torch():
    torch = pytest.importorskip("torch")
    ours = wg.arange(4.0)
    theirs = torch.from_dlpack(ours)
    theirs[0] = 5.0
    assert ours.tolist() == [5.0, 1.0, 2.0, 3.0]
    back = wg.from_dlpack(theirs.t() if theirs.dim() > 1 else theirs)
    back.mul_(2)
    assert ours.tolist() == theirs.tolist() == [10.0, 2.0, 4.0, 6.0]
    strided = wg.from_dlpack(torch.arange(6.0).reshape(2, 3).t())
    assert strided.tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


FACTORIES = {
    "zeros": lambda m: m.zeros(2, 3),
    "zeros of a tuple": lambda m: m.zeros((2, 3), dtype=m.int32),
    "ones": lambda m: m.ones([2]),
    "ones 0-d": lambda m: m.ones(()),
    "full": lambda m: m.full((2, 2), 7),
    "full float": lambda m: m.full((2,), 1.5),
    "full bool": lambda m: m.full((2,), True),
    "arange": lambda m: m.arange(5),
    "arange from": lambda m: m.arange(2, 9, 3),
    "arange floats": lambda m: m.arange(0, 1, 0.1),
    "arange down": lambda m: m.arange(5, 0, -2),
    "arange mixed": lambda m: m.arange(1, 2.5),
    "arange dtype": lambda m: m.arange(4, dtype=m.float64),
    "arange empty": lambda m: m.arange(3, 3),
    "linspace": lambda m: m.linspace(0, 1, 7),
    "linspace down": lambda m: m.linspace(3, -10, 5),
    "linspace one": lambda m: m.linspace(2, 5, 1),
    "linspace double": lambda m: m.linspace(0.1, 0.7, 11, dtype=m.float64),
    "eye": lambda m: m.eye(3),
    "eye wide": lambda m: m.eye(2, 4, dtype=m.int64),
    "zeros_like": lambda m: m.zeros_like(m.ones(2, 3, dtype=m.int16)),
    "ones_like as": lambda m: m.ones_like(m.zeros(2), dtype=m.float64),
    "full_like": lambda m: m.full_like(m.zeros(2, 2), 4),
    "new_zeros": lambda m: m.ones(1, dtype=m.float64).new_zeros(2, 3),
    "new_ones": lambda m: m.ones(1).new_ones((2,), dtype=m.int64),
    "new_full": lambda m: m.ones(1, dtype=m.int8).new_full((2,), 3),
    "new_tensor": lambda m: m.ones(1, dtype=m.float64).new_tensor([1, 2]),
    "empty shape": lambda m: m.empty(2, 0, 3),
}


@pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES)
def test_factories_are_torchs(make):
    torch = pytest.importorskip("torch")
    got, want = make(wg), make(torch)
    assert str(got.dtype).split(".")[1] == str(want.dtype).split(".")[1]
    assert got.shape == want.shape and got.stride() == want.stride()
    np.testing.assert_array_equal(got.numpy(), want.numpy())


def test_factories_take_requires_grad_and_out():
    assert wg.zeros(2, requires_grad=True).requires_grad
    assert wg.randn(2, requires_grad=True).is_leaf
    out = wg.empty(3)
    assert wg.ones(3, out=out) is out and out.tolist() == [1.0, 1.0, 1.0]


def test_meta_tensors_have_shapes_without_memory():
    x = wg.zeros(1 << 20, 1 << 20, device="meta")
    y = (x[:5] @ x.t()).sum(0, keepdim=True)
    assert y.shape == (1, 1 << 20) and y.dtype == wg.float32 and y.device == wg.device("meta") and y.is_meta
    assert wg.empty_like(wg.ones(2, 3), device="meta").shape == (2, 3)
    with pytest.raises(RuntimeError):
        y.tolist()
    w = wg.ones(3, device="meta", requires_grad=True)
    assert (w * 2).requires_grad
