"""What the test files share: devices, conversion between modules, and comparison with useful messages."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

# Whole grids instead of their samples.
FULL = os.environ.get("WENGERT_PARITY") == "full"

# The device that the running test is about.
_HERE = ["cpu"]

TOLERANCE = {
    "float64": (1e-9, 1e-10),
    "float32": (2e-5, 2e-6),
    "float16": (4e-3, 2e-3),
    "bfloat16": (3e-2, 1e-2),
}


def need_gpu():
    """Skips the test where there is no GPU, unless one is demanded."""
    import wengert as wg

    if not wg.gpu.is_available():
        if os.environ.get("REQUIRE_GPU"):
            pytest.fail("REQUIRE_GPU is set, and there is no adapter")
        pytest.skip("there is no GPU adapter; Debian's mesa-vulkan-drivers has a software one")


def python(code, **env):
    """What a process of its own prints, and what it prints as errors."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert "panicked" not in run.stderr
    return run.stdout.strip(), run.stderr


@contextlib.contextmanager
def run_on(device):
    """Lets `put` move tensors to the device."""
    _HERE.append(device)
    try:
        yield
    finally:
        _HERE.pop()


def put(t):
    """wengert's tensor or module where the running test wants it, leaves as leaves; PyTorch's are the reference."""
    if _HERE[-1] == "cpu" or type(t).__module__.startswith("torch"):
        return t
    if not hasattr(t, "detach"):
        return t.to(_HERE[-1])
    return t.detach().to(_HERE[-1]).requires_grad_(t.requires_grad)


def here():
    """The name of that device."""
    return _HERE[-1]


def is_put(t):
    """Whether a result of wengert's lies where the running test put its inputs."""
    return t.device.type == _HERE[-1]


def dtype_name(t):
    """`torch.float32` and `wengert.float32` are both "float32"."""
    return str(t.dtype).rsplit(".", 1)[-1]


def to_numpy(t):
    """A float64 (or integer, or bool) copy of any tensor of either library; numpy has no bfloat16."""
    t = t.detach().cpu()
    t = t.double() if t.is_floating_point() else t
    if getattr(t, "_is_zerotensor", bool)():  # torch's gradients without memory refuse numpy()
        return np.zeros(tuple(t.shape))
    return t.contiguous().numpy().copy()


def to_module(m, array, dtype=None, grad=False):
    """`array` as a leaf of module `m` (torch or wengert), sharing nothing with it."""
    t = put(m.tensor(array))
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
