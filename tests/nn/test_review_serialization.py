"""Files of any header length are wengert's own, and data of more kinds come back as what they were."""

import io
from collections import OrderedDict

import numpy as np
import pytest
import wengert as wg

torch = pytest.importorskip("torch")


def roundtrip(obj, m=wg):
    file = io.BytesIO()
    m.save(obj, file)
    file.seek(0)
    return m.load(file, weights_only=False)


def test_names_of_every_length():
    for length in range(1, 261):
        name = "k" * length
        assert roundtrip({name: wg.ones(1)})[name].tolist() == [1.0], length


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_still_told_apart(protocol):
    import pickle

    with pytest.raises(RuntimeError, match="pickle"):
        wg.load(io.BytesIO(pickle.dumps({"a" * 200: 1}, protocol)))
    file = io.BytesIO()
    torch.save({"a": torch.ones(1)}, file)
    file.seek(0)
    with pytest.raises(RuntimeError, match="pickle"):
        wg.load(file)


@pytest.mark.parametrize(
    "value",
    [
        np.int64(3),
        np.int8(-3),
        np.uint8(200),
        np.float32(0.1),
        np.float64(0.1),
        np.float16(0.5),
        np.bool_(True),
        {1, 2, 3},
        {"a", "b"},
        frozenset((1.5,)),
        {"epoch": 3, "best": np.float64(0.5), 7: (1, [2, {3}])},
        {(0, 1): "pair", None: 1, True: 2, 1.5: 3},
        OrderedDict(a=np.int32(1)),
        float("inf"),
    ],
    ids=repr,
)
def test_data_keeps_value_and_type(value):
    def types(v):
        if isinstance(v, dict):
            return type(v), [(types(k), types(w)) for k, w in v.items()]
        if isinstance(v, (set, frozenset)):
            return type(v), sorted(str(types(w)) for w in v)
        return (type(v), [types(w) for w in v]) if isinstance(v, (list, tuple)) else type(v)

    for m in (torch, wg):
        back = roundtrip(value, m)
        assert back == value and types(back) == types(value)


def program(m):
    net = m.nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    saved = {
        "weight": net.weight,
        "bias": net.bias,
        "again": net.weight,
        "leaf": m.ones(2, requires_grad=True),
        "result": m.ones(2, requires_grad=True) * 2,
        "plain": m.ones(2),
        "size": m.ones(2, 3).shape,
        "dtype": m.float32,
        "device": m.device("cpu"),
    }
    back = roundtrip(saved, m)
    assert back["again"] is back["weight"] or m is torch
    kinds = {
        k: (type(v).__name__, getattr(v, "requires_grad", None), getattr(v, "is_leaf", None))
        for k, v in back.items()
    }
    return kinds, back["dtype"] == m.float32, back["size"] == (2, 3), str(back["device"])


def test_parameters_and_leaves_come_back():
    assert program(wg) == program(torch)


def test_a_dict_of_parameters_stays_a_readable_file():
    file = io.BytesIO()
    wg.save({"layer.weight": wg.nn.Parameter(wg.ones(2))}, file)
    assert b'"layer.weight":{"dtype":"F32","shape":[2]' in file.getvalue()


@pytest.mark.parametrize("value", [object(), 1j, {"f": len}, {wg.ones(1): 1}, np.complex64(1)], ids=str)
def test_what_is_no_data_is_refused(value):
    with pytest.raises(TypeError, match="save"):
        roundtrip(value)
