"""`wengert.testing`: what make_tensor draws and assert_allclose accepts, as in PyTorch."""

import warnings

import pytest
import torch
import wengert as wg
from torch_parity import check_same

MADE = [
    lambda lib: ((3,), {"dtype": lib.float32}),
    lambda lib: ((2, 3), {"dtype": lib.float64, "low": 0}),
    lambda lib: (([2, 3],), {"dtype": lib.int64}),
    lambda lib: ((9,), {"dtype": lib.uint8}),
    lambda lib: ((9,), {"dtype": lib.bool}),
    lambda lib: ((9,), {"dtype": lib.int32, "low": 0.3, "high": 2.5}),
    lambda lib: ((9,), {"dtype": lib.int64, "low": -1, "high": 1, "exclude_zero": True}),
    lambda lib: ((2, 3), {"dtype": lib.float32, "noncontiguous": True}),
    lambda lib: ((2, 3), {"dtype": lib.int64, "noncontiguous": True}),
    lambda lib: (((),), {"dtype": lib.float32, "noncontiguous": True}),
    lambda lib: ((3,), {"dtype": lib.float32, "requires_grad": True}),
    lambda lib: ((3,), {"dtype": lib.float32, "low": 2, "high": 2}),
    lambda lib: ((3,), {"dtype": lib.float32, "low": float("-inf")}),
    lambda lib: ((3,), {"dtype": lib.float32, "low": -1e300, "high": 1e300}),
    lambda lib: ((3,), {"dtype": lib.int8, "low": -500, "high": 500}),
    lambda lib: ((3,), {"dtype": lib.float16}),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", MADE)
def test_made_tensors_are_torchs(call):
    results = []
    for lib in (torch, wg):
        lib.manual_seed(3)
        args, kwargs = call(lib)
        results.append(lib.testing.make_tensor(*args, device="cpu", **kwargs))
    theirs, ours = results
    check_same(ours, theirs, 1e-6, 1e-6)
    assert (ours.stride(), ours.requires_grad) == (theirs.stride(), theirs.requires_grad)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: ((3,), {"dtype": lib.int64, "requires_grad": True}),
        lambda lib: ((3,), {"dtype": lib.float32, "low": 2, "high": 1}),
        lambda lib: ((3,), {"dtype": lib.int64, "low": 2, "high": 2}),
        lambda lib: ((3,), {"dtype": lib.float32, "low": float("nan")}),
        lambda lib: (
            (3,),
            {"dtype": lib.float32, "noncontiguous": True, "memory_format": lib.contiguous_format},
        ),
        lambda lib: ((3,), {}),
    ],
)
def test_refusals(call):
    for lib in (torch, wg):
        args, kwargs = call(lib)
        with pytest.raises(ValueError if kwargs else TypeError):
            lib.testing.make_tensor(*args, device="cpu", **kwargs)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: (lib.ones(2), lib.ones(2) * 1.00005),
        lambda lib: (lib.ones(2), lib.ones(2) * 1.001),
        lambda lib: ([1.0, 2.0], lib.tensor([1.0, 2.0])),
        lambda lib: (lib.ones(2).double(), lib.ones(2)),
        lambda lib: (lib.ones(2), 1.0),
        lambda lib: (lib.ones(2) * float("nan"), lib.ones(2) * float("nan")),
        lambda lib: (lib.ones(2), lib.zeros(2), None, None, True, "hello"),
        lambda lib: (lib.ones(2), lib.ones(2), 1e-3),
        lambda lib: (lib.ones(2), lib.ones(2) * 1.1, 0.2, 0.0),
        lambda lib: (lib.tensor([1, 2]), lib.tensor([1, 3])),
    ],
)
def test_assert_allclose(call):
    results = []
    for lib in (torch, wg):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                results.append(lib.testing.assert_allclose(*call(lib)))
            except Exception as error:  # noqa: BLE001 - the subject of the comparison
                results.append(type(error))
        assert any(w.category is FutureWarning for w in caught)
    assert results[0] == results[1]
