"""Every composed function against PyTorch: values, dtypes, gradients, in-place and out= forms."""

import pytest
import torch
import wengert as wg
from cases import CASES, FACTORS, Makers
from support import is_put
from torch_parity import check_same, leaves, to_wengert
from wengert._functions import load_all

REGISTRY = load_all()
# Tried in test_more.py, test_torch_level.py, test_memory.py, test_factors.py and tests/tensor/test_random.py: an
# in-place form only, random numbers, a capsule, an error, unspecified elements, a gradient that torch lacks.
ELSEWHERE = {"fill_diagonal", "multinomial", "to_dlpack", "imag", "empty_permuted", "detach_copy"}
ELSEWHERE |= {"poisson", "binomial", "cauchy", "log_normal", "geometric", "svd_lowrank", "pca_lowrank"}


def find(module, name):
    """The function (or, for methods only, the method) of a registry name."""
    if module is torch and name == "cholesky":
        name = "linalg.cholesky"  # torch 2.15 no longer has the old name
    for part in name.split("."):
        found = getattr(module, part, None)
        if found is None:
            return getattr(module.Tensor, part)
        module = found
    return module


def test_every_function_has_a_case():
    assert set(REGISTRY) - ELSEWHERE == set(CASES) | set(FACTORS)


def test_no_composition_repeats_a_kernel():
    assert [
        n
        for n, e in REGISTRY.items()
        if e.namespace is None and e.function and hasattr(wg._core, n) and not e.over
    ] == []


def parameters():
    return [pytest.param(n, i, id=f"{n}-{i}") for n, cases in CASES.items() for i in range(len(cases))]


@pytest.mark.devices(sample=1, per="name")
@pytest.mark.parametrize(("name", "index"), parameters())
def test_value_and_gradient(name, index):
    args, kwargs = CASES[name][index](Makers())
    ours_args, ours_kwargs = to_wengert(list(args)), {k: to_wengert(v) for k, v in kwargs.items()}
    theirs = find(torch, name)(*args, **kwargs)
    ours = find(wg, name)(*ours_args, **ours_kwargs)
    if leaves(ours_args):
        assert all(is_put(t) for t in leaves(ours))
    if name == "linalg.lstsq":
        ours, theirs = ours[:1], theirs[:1]
    if name in ("kthvalue", "median", "mode") and isinstance(theirs, tuple):
        ours, theirs = ours[:1], theirs[:1]
    check_same(ours, theirs)
    roots = [t for t in leaves(theirs) if t.requires_grad]
    ours_roots = [t for t in leaves(ours) if t.requires_grad]
    assert len(roots) == len(ours_roots)
    if not roots:
        return
    inputs = [t for t in leaves(list(args) + list(kwargs.values())) if t.requires_grad]
    ours_inputs = [t for t in leaves(ours_args + list(ours_kwargs.values())) if t.requires_grad]
    seeds = [torch.linspace(0.5, 1.5, t.numel(), dtype=t.dtype).reshape(t.shape) for t in roots]
    expected = torch.autograd.grad(roots, inputs, seeds, allow_unused=True, materialize_grads=True)
    found = wg.autograd.grad(
        ours_roots, ours_inputs, [to_wengert(s) for s in seeds], allow_unused=True, materialize_grads=True
    )
    check_same(found, expected, 1e-7, 1e-7)


@pytest.mark.devices(sample=30)
@pytest.mark.parametrize(
    "name", sorted(n for n, e in REGISTRY.items() if e.namespace is None and e.method and n in CASES)
)
def test_method_is_the_function(name):
    args, kwargs = CASES[name][0](Makers())
    args = to_wengert(list(args))
    kwargs = {k: to_wengert(v) for k, v in kwargs.items()}
    method = getattr(args[0], name)(*args[1:], **kwargs)
    function = find(wg, name)(*args, **kwargs)
    for a, b in zip(leaves(method), leaves(function), strict=True):
        assert (a.dtype == b.dtype and a.tolist() == b.tolist()) or str(a.tolist()) == str(b.tolist())


@pytest.mark.devices
@pytest.mark.parametrize("name", sorted(n for n, e in REGISTRY.items() if e.inplace and n in CASES))
def test_inplace_form(name):
    args, kwargs = CASES[name][0](Makers())
    args = [a.detach() if isinstance(a, torch.Tensor) else a for a in args]
    x, rest = to_wengert(args[0]), to_wengert(list(args[1:]))
    kwargs = {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
    if name.startswith(("greater", "less", "not_equal")):
        x, args[0] = x.reshape(2, 3), args[0].reshape(2, 3)
    expected = getattr(torch, name, None) or getattr(torch.Tensor, name)
    expected = expected(*args, **kwargs)
    if tuple(expected.shape) != tuple(x.shape):
        with pytest.raises(RuntimeError):
            getattr(x, name + "_")(*rest, **{k: to_wengert(v) for k, v in kwargs.items()})
        return
    result = getattr(x, name + "_")(*rest, **{k: to_wengert(v) for k, v in kwargs.items()})
    assert result is x
    check_same(x, expected.to(args[0].dtype))


@pytest.mark.devices
@pytest.mark.parametrize("name", sorted(FACTORS))
def test_factors_multiply_back(name):
    a = to_wengert(FACTORS[name](Makers()))
    parts = find(wg, name)(a)
    if name.endswith("svd"):
        u, s, v = parts
        vh = v.mT if name == "svd" else v
        back = (u[:, :3] * s) @ vh
    elif name.endswith("qr"):
        back = parts[0] @ parts[1]
    else:
        values, vectors = parts
        back = (vectors * values) @ vectors.mT
    wg.testing.assert_close(back.detach(), a.detach())
    (gradient,) = wg.autograd.grad(back.sum(), a)
    # The product is the input (for eigh: its lower triangle mirrored), so its gradient is known.
    expected = wg.ones_like(a.detach())
    if name == "linalg.eigh":
        wg.testing.assert_close((gradient + gradient.mT).detach(), 2 * expected)
    else:
        wg.testing.assert_close(gradient.detach(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["var", "std", "norm", "logsumexp", "tril", "roll", "flip", "clip"])
def test_other_float_types(name, dtype):
    args, kwargs = CASES[name][0](Makers(dtype))
    args = [a.detach() if isinstance(a, torch.Tensor) else a for a in args]
    tolerance = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}[dtype]
    check_same(
        find(wg, name)(*to_wengert(args), **kwargs), find(torch, name)(*args, **kwargs), tolerance, tolerance
    )
