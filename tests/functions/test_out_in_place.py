"""Elementwise results with `out=` go where the target stands: without memory in between, and past whoever reads it."""

import pytest
import torch
import wengert as wg
from support import outcome

N = 1 << 18


def growth(call):
    """By how many bytes memory grew at most during a call."""
    call()
    wg.cpu.reset_peak_memory_stats()
    before = wg.cpu.memory_allocated()
    call()
    return wg.cpu.max_memory_allocated() - before


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y, out: wg.add(x, y, out=out),
        lambda x, y, out: wg.mul(x, 2, out=out),
        lambda x, y, out: wg.exp(x, out=out),
        lambda x, y, out: wg.where(x > 0, x, y, out=out),
        lambda x, y, out: wg.atan2(x, y[0, 0], out=out.t()),
        lambda x, y, out: wg.sub(x, y[:1], out=out),
        lambda x, y, out: wg.add(x, y, out=x),
    ],
)
def test_no_memory_in_between(call):
    x, y, out = (wg.randn(512, 512) for _ in range(3))
    assert growth(lambda: call(x, y, out)) <= x.numel()  # a condition's bytes


def test_other_dtypes_and_shapes_are_converted_as_before():
    def program(lib):
        wide, empty = lib.zeros(3, dtype=lib.float64), lib.empty(0)
        x = lib.tensor([0.1, 0.2, 0.3])
        lib.exp(x, out=wide)
        lib.add(x, 1, out=empty)
        return wide.tolist(), empty.tolist(), str(lib.eq(x, x, out=lib.empty(3)).dtype)

    ours, theirs = program(wg), program(torch)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6) and ours[1:] == theirs[1:]


@pytest.mark.parametrize("n", [3, N])
def test_what_the_tape_has_saved_is_left_alone(n):
    a = wg.ones(n, requires_grad=True)
    b = wg.full((n,), 4.0)
    view, total = b[1:], (a * b).sum()
    with wg.no_grad():
        before = b._version
        wg.add(b, 1, out=b)
        wg.neg(view, out=view)
    assert b._version == before + 2
    total.backward()
    assert a.grad.eq(4).all() and b[0] == 5 and b[1:].eq(-5).all()


@pytest.mark.parametrize("n", [3, N])
def test_numpy_sees_what_is_written(n):
    x = wg.zeros(n)
    array = x.numpy()
    wg.add(x, 2, out=x)
    wg.sub(wg.full((n,), 6.0), x, out=x)
    assert (array == 4).all()


def test_refusals_leave_the_target_as_it_was():
    def calls(lib):
        x, leaf = lib.ones(2, 2), lib.ones(2, 2, requires_grad=True)
        yield lambda out: lib.add(x, leaf, out=out)
        yield lambda out: lib.add(x, lib.ones(3), out=out)
        yield lambda out: lib.div(x, 2, out=out.long())
        yield lambda out: lib.exp(out, out=out[:1].expand(2, 2))
        yield lambda out: lib.add(out, out.t(), out=out)
        yield lambda out: lib.exp(x, out=leaf)

    for ours, theirs in zip(calls(wg), calls(torch), strict=True):
        outs = wg.full((2, 2), 7.0), torch.full((2, 2), 7.0)
        (_, error), (_, refusal) = outcome(ours, outs[0]), outcome(theirs, outs[1])
        assert (error is None) == (refusal is None), (error, refusal)
        assert outs[0].tolist() == outs[1].tolist()
