"""Conversions between torch and wengert for the parity tests of composed functions."""

import pytest

torch = pytest.importorskip("torch")

import wengert as wg  # noqa: E402


def to_wengert(x):
    """The same value for wengert: tensors as new leaves, containers item by item."""
    if isinstance(x, torch.Tensor):
        y = wg.tensor(x.detach().tolist(), dtype=getattr(wg, str(x.dtype).rpartition(".")[2])).reshape(
            tuple(x.shape)
        )
        return y.requires_grad_() if x.requires_grad else y
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
