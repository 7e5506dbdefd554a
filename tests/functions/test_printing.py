"""Tensors print as PyTorch prints them: values, layouts, options, suffixes."""

import pytest
import torch
import wengert as wg
from torch_parity import to_wengert

INF, NAN = float("inf"), float("nan")
SHAPES = [(), (1,), (3,), (2, 3), (2, 2, 2), (30,), (1001,), (40, 40), (7, 7, 30), (3, 2, 2, 2), (2000, 1)]
OPTIONS = [
    {},
    {"precision": 2},
    {"profile": "short"},
    {"sci_mode": True},
    {"sci_mode": False},
    {"linewidth": 40},
    {"edgeitems": 1, "threshold": 3},
    {"threshold": 3, "edgeitems": 0},
]


def special():
    yield from (
        torch.tensor(v) for v in (0.0, -0.0, 1, 1.5, NAN, INF, -INF, True, 1e10, 1e-10, 123456.789, -3)
    )
    yield from (
        torch.tensor(v)
        for v in ([NAN, INF, -INF, 1.0], [NAN, 1e5, 2.5], [-0.0, 0.0], [1e-5, 1.0], [], [NAN, NAN])
    )
    yield from (torch.zeros(0, 3), torch.zeros(2, 0, dtype=torch.int32), torch.tensor([], dtype=torch.int64))


def values(shape):
    generator = torch.Generator().manual_seed(1)
    for scale in (1, 1e3, 1e-3, 1e-6, 1e9):
        x = torch.randn(shape, generator=generator) * scale
        yield from (x, x.round(), x.clone().requires_grad_())
    yield x > 0
    yield torch.randint(-(10**6), 10**6, shape, generator=generator)
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int32):
        for scale in (1, 100):
            yield (torch.rand(shape, generator=generator) * scale).to(dtype)


@pytest.fixture(params=OPTIONS, ids=str)
def options(request):
    for module in (torch, wg):
        module.set_printoptions(**request.param)
    yield
    for module in (torch, wg):
        module.set_printoptions(profile="default")


def test_special_values(options):
    for x in special():
        assert repr(to_wengert(x)) == repr(x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(options, shape):
    for x in values(shape):
        assert repr(to_wengert(x)) == repr(x)


def test_full_profile():
    try:
        wg.set_printoptions(profile="full")
        torch.set_printoptions(profile="full")
        x = torch.arange(1200)
        assert repr(to_wengert(x)) == repr(x)
    finally:
        wg.set_printoptions(profile="default")
        torch.set_printoptions(profile="default")


def test_unknown_profile():
    with pytest.raises(ValueError, match="profile"):
        wg.set_printoptions(profile="loud")


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.tensor([1.0, 2.0], requires_grad=True) * 2,
        lambda m: m.tensor(2.0, requires_grad=True) + 2,
        lambda m: m.ones(2, 2, requires_grad=True).exp(),
        lambda m: m.ones(30, requires_grad=True).sqrt() * 1.23456,
    ],
    ids=range(4),
)
def test_grad_fn(make):
    assert repr(make(wg)) == repr(make(torch))


def test_meta():
    for size in ((2, 3), (), (0,)):
        assert repr(wg.empty(size, device="meta")) == repr(torch.empty(size, device="meta"))
    assert repr(wg.empty(2, device="meta", dtype=wg.int64)) == repr(
        torch.empty(2, device="meta", dtype=torch.int64)
    )


def test_default_dtype_decides_the_suffix():
    try:
        for module in (torch, wg):
            module.set_default_dtype(module.float64)
        assert repr(wg.tensor([1.0])) == repr(torch.tensor([1.0]))
        assert repr(wg.tensor([1.0], dtype=wg.float32)) == repr(torch.tensor([1.0], dtype=torch.float32))
    finally:
        for module in (torch, wg):
            module.set_default_dtype(module.float32)


def test_size():
    assert repr(wg.ones(2, 3).shape) == "torch.Size([2, 3])"
    assert wg.Size([2, 3]).numel() == 6
    assert isinstance(wg.Size([2, 3])[1:], wg.Size)
    assert f"{wg.tensor(3.14159):.2f}" == "3.14"
