"""Running the same program with wengert and with torch, and comparing what comes out."""

from types import ModuleType

import numpy as np
import pytest
import wengert as wg
from support import here, put

torch = pytest.importorskip("torch")


class Moving:
    """wengert for a test on a device: its modules are drawn on the CPU, from PyTorch's numbers, and moved."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        found = getattr(self._module, name)
        if isinstance(found, ModuleType):
            return Moving(found)
        is_module = isinstance(found, type) and issubclass(found, wg.nn.Module) and found is not wg.nn.Module
        return (lambda *args, **kwargs: drawn_here(found, *args, **kwargs)) if is_module else found


def drawn_here(module, *args, **kwargs):
    with wg.device("cpu"):
        made = module(*args, **kwargs)
    return put(made)


def array(tensor):
    return tensor.detach().cpu().numpy()


def same(ours, theirs, tol=1e-5, what=""):
    """Equal structure, shapes, dtypes and values to within `tol` relative and absolute."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, wg.Tensor), f"{what}: {type(ours)}"
        assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: {ours.shape} but torch has {theirs.shape}"
        assert str(ours.dtype).rpartition(".")[2] == str(theirs.dtype).rpartition(".")[2], what
        a, b = array(ours), array(theirs)
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=what)
        else:
            np.testing.assert_array_equal(a, b, err_msg=what)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), what
        for key in theirs:
            same(ours[key], theirs[key], tol, f"{what}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert isinstance(ours, (list, tuple)) and len(ours) == len(theirs), what
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, tol, f"{what}[{i}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=max(tol, 1e-12), abs=tol, nan_ok=True), what
    else:
        assert ours == theirs, what


def both(program, tol=1e-5):
    """`program(lib)` must give the same with both libraries, or fail with the same type of exception."""
    results = []
    for lib in (wg, torch):
        lib.manual_seed(0)
        try:
            results.append(program(Moving(lib) if lib is wg and here() != "cpu" else lib))
        except Exception as error:
            results.append(error)
    ours, theirs = results
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"torch raises {theirs!r}, wengert gives {ours!r}"
        assert isinstance(ours, type(theirs)), f"torch raises {theirs!r}, wengert {ours!r}"
        return ours, theirs
    if isinstance(ours, Exception):
        raise ours
    same(ours, theirs, tol)
    return ours, theirs


def data(lib, *shape, seed=0, dtype="float32", low=-2.0, high=2.0, grad=False):
    """Reproducible uniform values as a tensor of either library."""
    values = np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)
    tensor = put(lib.tensor(values.tolist(), dtype=getattr(lib, dtype)).reshape(shape))
    return tensor.requires_grad_(True) if grad else tensor


def labels(lib, *shape, classes=3, seed=0):
    values = np.random.default_rng(seed).integers(0, classes, shape)
    return put(lib.tensor(values.tolist(), dtype=lib.int64))


def weighed(lib, tensors, dtype="float32"):
    """A loss that depends on every element, on each in its own way."""
    return sum(
        (t * t * data(lib, *t.shape, seed=20 + k, dtype=dtype)).sum() + t.sum() for k, t in enumerate(tensors)
    )
