"""Views, reductions, products, indexing, sorting, networks and linear algebra against PyTorch."""

import zlib

import network_cases
import numpy as np
import pytest
import structural_cases
import wengert as wg
from rows_support import merely_lacks
from support import FULL, TOLERANCE, assert_same, is_put, outcome, tensors, to_numpy

torch = pytest.importorskip("torch")
MODULES = (wg, torch)
pytestmark = pytest.mark.devices(factories=True, sample=50)
GROUPS = structural_cases.GROUPS | network_cases.GROUPS
OPS = [pytest.param(op, id=f"{g}: {name}") for g, ops in GROUPS.items() for name, op in ops.items()]


def arrays(op):
    rng = np.random.default_rng(zlib.crc32(repr(op.inputs).encode()))
    return [x if isinstance(x, np.ndarray) else rng.uniform(-1.5, 1.5, x) for x in op.inputs]


def feed(m, op, given, dtype, arrange=lambda t: t):
    """The inputs in module m, and the leaves among them."""
    args, leaves = [], []
    for shape, a in zip(op.inputs, given, strict=True):
        if isinstance(shape, np.ndarray):
            args.append(m.tensor(a))
            continue
        a = a * 3 if "int" in dtype else a
        t = m.tensor(np.abs(a) if dtype == "uint8" else a).to(getattr(m, dtype))
        if op.grad and dtype in TOLERANCE:
            leaves.append(t.requires_grad_())
        args.append(arrange(t))
    return args, leaves


@pytest.mark.parametrize("op", OPS)
def test_values_and_dtypes(op):
    for dtype in op.dtypes:
        (got, error), (want, refusal) = (
            outcome(op.f, m, *feed(m, op, arrays(op), dtype)[0]) for m in MODULES
        )
        if refusal is not None:
            assert dtype not in ("float32", "float64"), f"the test itself is wrong: {refusal!r}"
            assert merely_lacks(refusal) or isinstance(error, type(refusal)), (
                dtype,
                refusal,
                error,
            )
            continue
        assert error is None, f"{dtype}: {error!r}"
        assert len(tensors(got)) == len(tensors(want)) > 0
        for g, w in zip(tensors(got), tensors(want), strict=True):
            assert is_put(g)
            assert_same(g, w, dtype, scale=op.tol)


def weighted(m, out):
    """A scalar that weighs every element of every differentiable output differently."""
    total = 0.0
    for k, y in enumerate(tensors(out)):
        if y.requires_grad:
            w = 0.5 + np.cos(np.arange(y.numel()) + k).reshape(tuple(y.shape)) ** 2
            total = total + (y * m.tensor(w).to(y.dtype)).sum()
    return total


def gradients(m, op, given, dtype, second, arrange=lambda t: t):
    args, leaves = feed(m, op, given, dtype, arrange)
    first = m.autograd.grad(weighted(m, op.f(m, *args)), leaves, create_graph=second, allow_unused=True)
    if not second:
        return list(first)
    penalty = sum((g**2).sum() * (k + 1) for k, g in enumerate(first) if g is not None and g.requires_grad)
    if not hasattr(penalty, "requires_grad") or not penalty.requires_grad:
        return list(first) + [None] * len(leaves)
    return list(first) + list(m.autograd.grad(penalty, leaves, allow_unused=True))


def compare(op, given, dtype, second, what, **kw):
    want, refusal = outcome(gradients, torch, op, given, dtype, second, **kw)
    if refusal is not None:
        assert merely_lacks(refusal), f"the test itself is wrong: {refusal!r}"
        return
    got = gradients(wg, op, given, dtype, second, **kw)
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        if g is None or w is None:
            present = g if g is not None else w
            assert present is None or not to_numpy(present).any(), f"{what}: gradient {k} is missing"
        else:
            assert_same(g, w, f"{what}: gradient {k}", scale=10 * op.tol)


DIFFERENTIABLE = [p for p in OPS if p.values[0].grad]


@pytest.mark.parametrize("op", DIFFERENTIABLE)
def test_gradients(op):
    compare(op, arrays(op), "float64", False, "float64")
    if op.tol <= 10:
        compare(op, arrays(op), "float32", False, "float32")


@pytest.mark.parametrize("op", [p for p in DIFFERENTIABLE if p.values[0].second])
def test_second_derivatives(op):
    compare(op, arrays(op), "float64", True, "second order")


@pytest.mark.parametrize("op", DIFFERENTIABLE)
def test_inputs_with_any_strides(op):
    """The same values through memory laid out backwards in its dims, and with gaps."""

    def backwards(t):
        dims = tuple(range(t.dim()))[::-1]
        return t.permute(dims).contiguous().permute(dims) if t.dim() > 1 else t

    def gaps(t):
        return (t.unsqueeze(-1) * t.new_ones(2))[..., 0] if t.numel() else t

    skip_view = {structural_cases.VIEWS[n] for n in ("view", "view_as", "as_strided")}
    if op in skip_view:
        pytest.skip("asks for the memory's own order")
    for arrange in (backwards, gaps):
        compare(op, arrays(op), "float64", False, arrange.__name__, arrange=arrange)


@pytest.mark.skipif(not FULL, reason="WENGERT_PARITY=full")
@pytest.mark.parametrize("op", OPS)
def test_every_dtype(op):
    for dtype in structural_cases.ALL:
        (got, error), (want, refusal) = (
            outcome(op.f, m, *feed(m, op, arrays(op), dtype)[0]) for m in MODULES
        )
        if refusal is None and error is None:
            for g, w in zip(tensors(got), tensors(want), strict=True):
                assert_same(g, w, dtype, scale=10 * op.tol)
        elif refusal is not None and not merely_lacks(refusal):
            assert isinstance(error, type(refusal)), f"{dtype}: PyTorch raises {refusal!r}, wengert {error!r}"
        elif refusal is None:
            raise AssertionError(f"{dtype}: wengert raises {error!r}")
