"""Special functions beyond the table's rows: values against PyTorch and in 60 digits, derivatives, edges, refusals."""

import math

import numpy as np
import pytest
import torch
import wengert as wg
from torch_parity import check_same, to_wengert

NAN, INF = float("nan"), float("inf")
EVEN = np.concatenate([-np.geomspace(60, 1e-6, 40), np.geomspace(1e-6, 60, 60), [0.0, 2.0, 8.0, 8.0000001]])
POSITIVE = np.concatenate([np.geomspace(1e-8, 80, 120), [2.0, 2.0000001, 8.0, 8.0000001]])
# name: (arguments, tolerance relative to the largest of the values around, and absolute)
ONE = {
    **dict.fromkeys(("i0", "i0e", "i1", "i1e", "modified_bessel_i0", "modified_bessel_i1"), EVEN),
    **dict.fromkeys(("bessel_j0", "bessel_j1", "spherical_bessel_j0"), EVEN),
    **dict.fromkeys(("bessel_y0", "bessel_y1"), POSITIVE),
    **dict.fromkeys(
        (
            "modified_bessel_k0",
            "modified_bessel_k1",
            "scaled_modified_bessel_k0",
            "scaled_modified_bessel_k1",
        ),
        POSITIVE,
    ),
    "erfcx": np.concatenate([np.linspace(-20, 60, 200), [1e5]]),
    "log_ndtr": np.concatenate([np.linspace(-60, 30, 200), [-1.0, -1e4]]),
    "ndtri": np.concatenate([np.geomspace(1e-300, 0.5, 60), np.linspace(0.01, 0.999, 60), [1 - 1e-12]]),
}
EDGES = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 0.5]


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_are_torchs(name, dtype):
    x = torch.tensor(ONE[name], dtype=getattr(torch, dtype))
    theirs = getattr(torch.special, name)(x)
    ours = getattr(wg.special, name)(to_wengert(x))
    # PyTorch's float32 goes by shorter approximations.
    finite = theirs.isfinite()
    assert str(ours.dtype) == str(theirs.dtype)
    # PyTorch's J and Y are good to seven places in float64, too; test_accuracy asks more.
    rough = dtype == "float32" or name.startswith("bessel")
    np.testing.assert_allclose(
        np.array(ours.tolist())[finite],
        theirs[finite].double().numpy(),
        rtol=3e-5 if rough else 2e-11,
        atol=3e-6 if rough else 1e-14,
    )


@pytest.mark.parametrize("name", ONE)
def test_edges_are_torchs(name):
    x = torch.tensor(EDGES, dtype=torch.float64)
    check_same(getattr(wg.special, name)(to_wengert(x)), getattr(torch.special, name)(x))
    for other in (torch.tensor([1, 2]), torch.tensor([True]), torch.ones(0, 2)):
        check_same(
            getattr(wg.special, name)(to_wengert(other)), getattr(torch.special, name)(other), 1e-6, 1e-6
        )


def exact():
    """The functions in 60 digits, by name."""
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 60
    return {
        "i0e": lambda x: mp.besseli(0, x) * mp.exp(-abs(x)),
        "i1e": lambda x: mp.besseli(1, x) * mp.exp(-abs(x)),
        "bessel_j0": lambda x: mp.besselj(0, x),
        "bessel_j1": lambda x: mp.besselj(1, x),
        "bessel_y0": lambda x: mp.bessely(0, x),
        "bessel_y1": lambda x: mp.bessely(1, x),
        "scaled_modified_bessel_k0": lambda x: mp.besselk(0, x) * mp.exp(x),
        "scaled_modified_bessel_k1": lambda x: mp.besselk(1, x) * mp.exp(x),
        "spherical_bessel_j0": lambda x: mp.sinc(x),
        "erfcx": lambda x: mp.exp(mp.mpf(x) ** 2) * mp.erfc(x),
        "log_ndtr": lambda x: mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(mp.ncdf(x)),
        "ndtri": lambda p: mp.sqrt(2) * mp.erfinv(2 * mp.mpf(p) - 1) if p > 1e-25 else NAN,
    }


@pytest.mark.parametrize("name", list(exact()))
def test_accuracy(name):
    x = ONE[name][ONE[name] >= -10] if name == "erfcx" else ONE[name]
    want = np.array([float(exact()[name](v)) for v in x])
    known = np.isfinite(want)
    got = np.array(getattr(wg.special, name)(wg.tensor(x.tolist(), dtype=wg.float64)).tolist())
    # Where x² is large the rounding of x² itself counts.
    rtol = {"erfcx": 5e-14, "log_ndtr": 1e-12, "ndtri": 1e-13}.get(name, 4e-15)
    np.testing.assert_allclose(got[known], want[known], rtol=rtol, atol=2e-15 if "bessel" in name else 0)
    single = getattr(wg.special, name)(wg.tensor(x.tolist(), dtype=wg.float32))
    single_x = np.array(wg.tensor(x.tolist(), dtype=wg.float32).tolist())
    if name not in ("ndtri", "log_ndtr", "erfcx"):
        want = np.array([float(exact()[name](v)) for v in single_x])
        np.testing.assert_allclose(np.array(single.tolist()), want, rtol=2e-7, atol=1e-14)


@pytest.mark.parametrize("name", ONE)
def test_derivatives(name):
    x = wg.tensor(
        [0.3, 0.7, 0.9] if name == "ndtri" else [0.4, 1.7, 3.0, 9.5], dtype=wg.float64, requires_grad=True
    )
    function = getattr(wg.special, name)
    assert wg.autograd.gradcheck(function, x) and wg.autograd.gradgradcheck(function, x)
    theirs = torch.tensor(x.tolist(), dtype=torch.float64, requires_grad=True)
    try:
        (want,) = torch.autograd.grad(getattr(torch.special, name)(theirs).sum(), theirs)
    except RuntimeError:
        return
    check_same(wg.autograd.grad(function(x).sum(), x)[0], want, 1e-8, 1e-8)


@pytest.mark.parametrize("name", ["i1", "i1e", "bessel_j1", "spherical_bessel_j0", "i0", "bessel_j0"])
def test_derivatives_at_zero(name):
    x = wg.zeros(1, dtype=wg.float64, requires_grad=True)
    getattr(wg.special, name)(x).backward()
    assert x.grad.item() == pytest.approx(0.5 if "1" in name else 0.0, rel=1e-15)


A = torch.tensor([0.1, 0.5, 1.0, 2.5, 10.0, 100.0, 3000.0], dtype=torch.float64)


@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_incomplete_gamma_functions(name):
    a = A.repeat_interleave(9)
    x = (
        A[:, None] * torch.tensor([0.0, 1e-3, 0.3, 0.9, 1.0, 1.02, 1.1, 2.0, 8.0], dtype=torch.float64)
    ).reshape(-1)
    theirs = getattr(torch.special, name)(a, x)
    ours = getattr(wg.special, name)(to_wengert(a), to_wengert(x))
    # PyTorch's are good to nine places, ours are compared in 60 digits, too.
    check_same(ours, theirs, 3e-9, 1e-300)
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 60
    limits = {"gammainc": lambda a, x: (a, 0, x), "gammaincc": lambda a, x: (a, x)}[name]
    want = [
        float(mp.gammainc(*limits(*pair), regularized=True))
        for pair in zip(a.tolist(), x.tolist(), strict=True)
    ]
    np.testing.assert_allclose(ours.numpy(), want, rtol=1e-11)
    edges = [
        (1, 1),
        (0, 1),
        (0, 0),
        (2, 0),
        (INF, 1),
        (2, INF),
        (INF, INF),
        (-1, 1),
        (1, -1),
        (NAN, 1),
        (1, NAN),
    ]
    a, x = (torch.tensor(v, dtype=torch.float64) for v in zip(*edges, strict=True))
    check_same(getattr(wg.special, name)(to_wengert(a), to_wengert(x)), getattr(torch.special, name)(a, x))


@pytest.mark.parametrize("name", ["igamma", "igammac"])
def test_incomplete_gamma_derivatives(name):
    a = wg.tensor([0.5, 2.0, 9.0], dtype=wg.float64)
    x = wg.tensor([0.3, 4.0, 8.0], dtype=wg.float64, requires_grad=True)
    assert wg.autograd.gradcheck(lambda x: getattr(wg, name)(a, x), x)
    assert wg.autograd.gradgradcheck(lambda x: getattr(wg, name)(a, x), x)
    with pytest.raises(NotImplementedError, match="first argument"):
        getattr(a.requires_grad_(), name)(x).sum().backward()


def test_zeta():
    x = torch.tensor([1.5, 2.0, 3.7, 20.0, 60.0], dtype=torch.float64)
    q = torch.tensor([0.1, 1.0, 2.5, 50.0, 1e6], dtype=torch.float64)
    ours = wg.special.zeta(to_wengert(x)[:, None], to_wengert(q))
    check_same(ours, torch.special.zeta(x[:, None], q), 1e-13, 0)
    edges = [(2, 1), (1, 1), (0.5, 1), (2, 0), (2, -1.5), (2.5, -1.5), (3, -1.5), (-2, 1), (NAN, 1), (4, -2)]
    x, q = (torch.tensor(v, dtype=torch.float64) for v in zip(*edges, strict=True))
    check_same(wg.special.zeta(to_wengert(x), to_wengert(q)), torch.special.zeta(x, q))
    for args in (
        (2, torch.tensor([1.0, 2.0])),
        (torch.tensor([2.0, 3.0]), 1),
        (torch.tensor([2]), torch.tensor([1])),
    ):
        check_same(wg.special.zeta(*map(to_wengert, args)), torch.special.zeta(*args))
    s = wg.tensor([2.0, 3.5], dtype=wg.float64)
    at = wg.tensor([0.7, 4.0], dtype=wg.float64, requires_grad=True)
    assert wg.autograd.gradgradcheck(lambda q: wg.special.zeta(s, q), at)


POLYNOMIALS = [n for n in dir(torch.special) if "polynomial" in n]


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name):
    x = torch.linspace(-1.5, 2.5, 17, dtype=torch.float64)
    theirs, ours = getattr(torch.special, name), getattr(wg.special, name)
    for n in (-2, 0, 1, 2, 5, 12, 2.7):
        check_same(ours(to_wengert(x), n), theirs(x, n), 1e-9, 1e-9)
    degrees = torch.arange(-1, 16)
    check_same(ours(to_wengert(x), to_wengert(degrees)), theirs(x, degrees), 1e-8, 1e-8)
    check_same(ours(0.3, to_wengert(degrees)), theirs(0.3, degrees), 1e-5, 1e-5)
    check_same(ours(to_wengert(torch.tensor([2])), 3), theirs(torch.tensor([2]), 3))
    leaf = wg.tensor([0.3, 1.4], dtype=wg.float64, requires_grad=True)
    assert wg.autograd.gradgradcheck(lambda x: ours(x, 4), leaf)


def test_out_and_refusals():
    out = wg.empty(2, dtype=wg.float64)
    assert wg.special.i0e(wg.tensor([0.0, 1.0]), out=out) is out and out[0] == 1
    assert wg.special.zeta(2.0, wg.ones(2), out=out) is out and math.isclose(
        out[0].item(), math.pi**2 / 6, rel_tol=1e-6
    )
    for lib in (wg, torch):
        for name, args in (
            ("i0", (1.0,)),
            ("gammainc", (2.0, lib.ones(1))),
            ("zeta", (2.0, 1.0)),
            ("hermite_polynomial_h", (2.0, 1)),
        ):
            with pytest.raises(TypeError):
                getattr(lib.special, name)(*args)
        with pytest.raises(NotImplementedError):
            lib.special.gammainc(lib.tensor([1]), lib.tensor([1]))


def test_half_precision_and_methods():
    x = wg.tensor([0.5, 1.0])
    assert wg.special.i0(x.half()).dtype == wg.float16
    assert wg.equal(x.i0(), wg.special.i0(x)) and wg.equal(x.clone().i0_(), x.i0())
    assert wg.equal(x.clone().igamma_(x), wg.special.gammainc(x, x))
