"""Conversions between torch and wengert for the parity tests of composed functions."""

import re
from pathlib import Path

import pytest
from support import assert_same, put, tensors

torch = pytest.importorskip("torch")
torch.backends.opt_einsum.enabled = False  # where it is installed, its checks come before PyTorch's own

import wengert as wg  # noqa: E402


def to_wengert(x):
    """The same value for wengert: tensors as new leaves, containers item by item."""
    if isinstance(x, torch.Tensor):
        y = wg.tensor(x.detach().tolist(), dtype=getattr(wg, str(x.dtype).rpartition(".")[2])).reshape(
            tuple(x.shape)
        )
        return put(y.requires_grad_() if x.requires_grad else y)
    if isinstance(x, (list, tuple)):
        return type(x)(to_wengert(v) for v in x)
    return x


def leaves(x):
    """The tensors in nested arguments, in order."""
    if isinstance(x, (torch.Tensor, wg.Tensor)):
        return [x]
    if isinstance(x, dict):
        return [leaf for v in x.values() for leaf in leaves(v)]
    return [leaf for v in x for leaf in leaves(v)] if isinstance(x, (list, tuple)) else []


def check_same(ours, theirs, rtol=1e-9, atol=1e-9):
    """Equal structure, dtype, shape and values."""
    if isinstance(theirs, torch.Tensor):
        if theirs.dtype == torch.float32:
            rtol, atol = max(rtol, 1e-6), max(atol, 1e-7)
        assert str(ours.dtype) == str(theirs.dtype)
        assert tuple(ours.shape) == tuple(theirs.shape)
        back = torch.tensor(ours.detach().tolist(), dtype=theirs.dtype).reshape(theirs.shape)
        torch.testing.assert_close(back, theirs.detach(), rtol=rtol, atol=atol, equal_nan=True)
    elif isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            check_same(a, b, rtol, atol)
    else:
        assert ours == theirs


DOCS = (Path(__file__).parents[2] / "docs" / "differences.md").read_text()
LISTED = set(re.findall(r"^\| `([^`]+)`", DOCS, re.M))
"""The names whose differences are on purpose: docs/differences.md."""


def mapped(x, change):
    """Nested arguments with every tensor changed."""
    if isinstance(x, torch.Tensor):
        return change(x)
    if isinstance(x, dict):
        return {k: mapped(v, change) for k, v in x.items()}
    return type(x)(mapped(v, change) for v in x) if isinstance(x, (list, tuple)) else x


def found(out):
    """The tensors of a result (dtypes among it are none)."""
    return [t for t in tensors(out) if isinstance(t, (torch.Tensor, wg.Tensor))]


def same_outcome(what, ours, theirs, scale=20.0):
    """Both gave the same, or failed with one kind of exception. What PyTorch's CPU lacks, wengert may have."""
    (got, error), (want, refusal) = ours, theirs
    if refusal is not None:
        if isinstance(refusal, NotImplementedError) or "not implemented" in str(refusal):
            return
        assert error is not None, f"{what}: PyTorch raises {refusal!r}, wengert gives {got!r}"
        assert isinstance(error, type(refusal)), f"{what}: PyTorch raises {refusal!r}, wengert {error!r}"
        return
    assert error is None, f"{what}: PyTorch gives {want!r}, wengert raises {error!r}"
    mine, others = found(got), found(want)
    assert len(mine) == len(others), f"{what}: {len(mine)} tensors, PyTorch gives {len(others)}"
    for k, (g, w) in enumerate(zip(mine, others, strict=True)):
        assert_same(g, w, f"{what}: output {k}", scale)
    if not others and not isinstance(want, (tuple, list)):
        assert str(got).replace("wengert", "torch") == str(want), f"{what}: {got} != {want}"
