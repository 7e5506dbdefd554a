"""Saving and loading: safetensors files of state dicts and nested data."""

import io
import json
import struct
from collections import OrderedDict

import numpy as np
import pytest
import wengert as wg

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def roundtrip(obj, **options):
    file = io.BytesIO()
    wg.save(obj, file)
    file.seek(0)
    return wg.load(file, **options)


def equal(a, b):
    return (
        a.dtype == b.dtype and tuple(a.shape) == tuple(b.shape) and a.float().tolist() == b.float().tolist()
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_shape(dtype):
    kind = getattr(wg, dtype)
    tensors = {
        "matrix": wg.tensor([[0, 1, 2], [3, 4, 5]]).to(kind),
        "strided": wg.tensor([[0, 1, 2], [3, 4, 5]]).to(kind).t(),
        "scalar": wg.tensor(1).to(kind),
        "empty": wg.zeros(0, 3).to(kind),
    }
    loaded = roundtrip(tensors)
    assert list(loaded) == list(tensors)
    for name, tensor in tensors.items():
        assert equal(loaded[name], tensor), name


def test_special_values_survive():
    values = wg.tensor([float("inf"), float("-inf"), -0.0, 1e-45])
    for kind in (wg.float32, wg.bfloat16):
        back = roundtrip({"x": values.to(kind)})["x"].float().tolist()
        assert back == values.to(kind).float().tolist()
        assert str(back[2]) == "-0.0"
    nan = roundtrip({"x": wg.tensor([float("nan")])})["x"].item()
    assert nan != nan


def test_state_dict_of_a_module(tmp_path):
    net = wg.nn.Sequential(wg.nn.Linear(2, 3), wg.nn.BatchNorm1d(3))
    path = tmp_path / "net.safetensors"
    wg.save(net.state_dict(), path)
    other = wg.nn.Sequential(wg.nn.Linear(2, 3), wg.nn.BatchNorm1d(3))
    state = wg.load(str(path), map_location="cpu", weights_only=True)
    assert isinstance(state, OrderedDict)
    assert repr(other.load_state_dict(state)) == "<All keys matched successfully>"
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_loaded_tensors_are_writable_and_own_their_memory():
    source = {"x": wg.ones(3)}
    loaded = roundtrip(source)["x"]
    loaded += 1
    assert loaded.tolist() == [2.0, 2.0, 2.0] and source["x"].tolist() == [1.0, 1.0, 1.0]


def test_nested_optimizer_state():
    net = wg.nn.Linear(2, 2)
    optimizer = wg.optim.Adam(net.parameters(), lr=0.1)
    net(wg.ones(1, 2)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "loss": float("inf"),
        "name": "run 1",
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [1, 2.5, None, True, ("a", wg.ones(1))],
        7: {1.5: "x"},
    }
    back = roundtrip(checkpoint)
    assert list(back) == list(checkpoint)
    assert back["epoch"] == 3 and back["loss"] == float("inf") and back[7] == {1.5: "x"}
    assert isinstance(back["model"], OrderedDict) and isinstance(back["history"][4], tuple)
    assert back["history"][:4] == [1, 2.5, None, True] and back["history"][3] is True
    assert back["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert back["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    fresh = wg.optim.Adam(wg.nn.Linear(2, 2).parameters())
    fresh.load_state_dict(back["optimizer"])
    for key, value in optimizer.state[net.weight].items():
        assert equal(fresh.state[fresh.param_groups[0]["params"][0]][key], value)


def test_one_tensor_and_shared_tensors():
    x = wg.arange(3)
    assert equal(roundtrip(x), x)
    back = roundtrip([x, x])
    assert back[0] is back[1]


def test_names_never_collide():
    nested = {"a": {"b": wg.ones(1)}, "a.b": wg.zeros(1), "list": [{"x": wg.full((1,), 2.0)}], "tensor": None}
    back = roundtrip(nested)
    assert back["a"]["b"].item() == 1.0 and back["a.b"].item() == 0.0 and back["list"][0]["x"].item() == 2.0
    reserved = {"__metadata__": wg.ones(1), "w": wg.zeros(1)}
    assert roundtrip(reserved)["__metadata__"].item() == 1.0


def test_map_location_forms():
    state = {"x": wg.ones(2)}
    assert roundtrip(state, map_location=wg.device("cpu"))["x"].tolist() == [1.0, 1.0]
    assert roundtrip(state, map_location={"cpu": "cpu"})["x"].tolist() == [1.0, 1.0]
    assert roundtrip(state, map_location=lambda tensor, device: tensor * 2)["x"].tolist() == [2.0, 2.0]


def test_objects_are_refused_and_files_kept(tmp_path):
    path = tmp_path / "x.safetensors"
    wg.save({"x": wg.ones(1)}, path)
    with pytest.raises(TypeError, match="state_dict"):
        wg.save(wg.nn.Linear(1, 1), path)
    with pytest.raises(TypeError, match="object"):
        wg.save({"x": [object()]}, path)
    assert wg.load(path)["x"].tolist() == [1.0]


def test_pickles_are_refused():
    import pickle

    with pytest.raises(RuntimeError, match="pickle"):
        wg.load(io.BytesIO(pickle.dumps({"x": 1})))
    with pytest.raises(RuntimeError, match="pickle"):
        wg.load(io.BytesIO(b"PK\x03\x04" + bytes(30)))


def header(entries, body=b""):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x00",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 2) + b"[]",
        header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}),
        header({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        header({"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, bytes(4)),
        header({"x": {"dtype": "F9", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        header({"x": {"dtype": "F32", "shape": "no", "data_offsets": [0, 4]}}, bytes(4)),
        header({"x": 3}),
        header({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, bytes(4)),
    ],
)
def test_damaged_files_raise_a_clear_error(data):
    with pytest.raises(RuntimeError, match="not a safetensors file"):
        wg.load(io.BytesIO(data))


def test_the_safetensors_package_reads_and_writes_the_same(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    values = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    path = tmp_path / "a.safetensors"
    wg.save({"w": wg.from_numpy(values), "n": wg.arange(3)}, path)
    read = safetensors.load_file(path)
    np.testing.assert_array_equal(read["w"], values)
    np.testing.assert_array_equal(read["n"], np.arange(3))
    safetensors.save_file({"w": values, "b": np.array([True, False])}, path)
    back = wg.load(path)
    np.testing.assert_array_equal(back["w"].numpy(), values)
    assert back["b"].tolist() == [True, False]
