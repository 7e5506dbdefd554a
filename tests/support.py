"""What the test files share: conversion between modules, and comparison with useful messages."""

import numpy as np

TOLERANCE = {
    "float64": (1e-9, 1e-10),
    "float32": (2e-5, 2e-6),
    "float16": (4e-3, 2e-3),
    "bfloat16": (3e-2, 1e-2),
}


def dtype_name(t):
    """`torch.float32` and `wengert.float32` are both "float32"."""
    return str(t.dtype).rsplit(".", 1)[-1]


def to_numpy(t):
    """A float64 (or integer, or bool) copy of any tensor of either library; numpy has no bfloat16."""
    t = t.detach()
    t = t.double() if t.is_floating_point() else t
    if getattr(t, "_is_zerotensor", bool)():  # torch's gradients without memory refuse numpy()
        return np.zeros(tuple(t.shape))
    return t.contiguous().numpy().copy()


def to_module(m, array, dtype=None, grad=False):
    """`array` as a leaf of module `m` (torch or wengert), sharing nothing with it."""
    t = m.tensor(array)
    if dtype is not None:
        t = t.to(getattr(m, dtype))
    return t.requires_grad_() if grad else t


def assert_same(got, want, what="", scale=1.0):
    """Equal shape, dtype and (to the dtype's rounding) values."""
    assert tuple(got.shape) == tuple(want.shape), f"{what}: shape {tuple(got.shape)} != {tuple(want.shape)}"
    assert dtype_name(got) == dtype_name(want), f"{what}: dtype {dtype_name(got)} != {dtype_name(want)}"
    rtol, atol = TOLERANCE.get(dtype_name(want), (0, 0))
    np.testing.assert_allclose(
        to_numpy(got), to_numpy(want), rtol=rtol * scale, atol=atol * scale, equal_nan=True, err_msg=what
    )


def close(got, want, tol=1e-4):
    """Compares a tensor with the (nested) numbers a person would print."""
    np.testing.assert_allclose(to_numpy(got), np.asarray(want, dtype=float), rtol=tol, atol=tol)


def tensors(out):
    """The tensors of a result: itself, or those of a (named) tuple or list."""
    if isinstance(out, (tuple, list)):
        return [t for o in out for t in tensors(o)]
    return [out] if hasattr(out, "is_floating_point") else []


def outcome(f, *args, **kw):
    """(result, None) or (None, exception): lets two libraries be compared in failure too."""
    try:
        return f(*args, **kw), None
    except Exception as e:  # noqa: BLE001 - whatever it is, it is the subject of the comparison
        return None, e
