"""Factors that tell of failure, and derivatives of factors."""

import pytest
import torch
import wengert as wg
from torch_parity import check_same

LA = wg.linalg
F64 = wg.float64


def matrices(*shape):
    wg.manual_seed(1)
    return wg.randn(*shape, dtype=F64, requires_grad=True)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 3), (1, 1), (0, 0)])
def test_lu_multiplies_back_and_has_its_derivatives(shape):
    a = matrices(*shape)
    p, lower, upper = LA.lu(a)
    wg.testing.assert_close((p @ lower @ upper).detach(), a.detach())
    if a.numel():
        assert wg.autograd.gradcheck(lambda a: LA.lu_factor(a).LU, a)
        assert wg.autograd.gradgradcheck(lambda a: LA.lu(a)[1:], a)


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_lu_solve_solves_and_has_its_derivatives(left, adjoint):
    a, b = matrices(3, 3), matrices(2, 3, 3)

    def solve(a, b):
        return LA.lu_solve(*LA.lu_factor(a), b, left=left, adjoint=adjoint)

    x, m = solve(a, b), a.mT if adjoint else a
    wg.testing.assert_close((m @ x if left else x @ m).detach(), b.detach())
    assert wg.autograd.gradcheck(solve, (a, b)) and wg.autograd.gradgradcheck(solve, (a, b))


def test_reflections_have_their_derivatives():
    a, tau, x = matrices(4, 3), matrices(3), matrices(4, 2)
    assert wg.autograd.gradgradcheck(LA.householder_product, (a, tau))
    assert wg.autograd.gradgradcheck(wg.ormqr, (a, tau, x))
    q = LA.householder_product(*wg.geqrf(a))
    wg.testing.assert_close((q.mT @ q).detach(), wg.eye(3, dtype=F64))


MIXED = [
    [[4.0, 1.0], [1.0, 3.0]],
    [[1.0, 2.0], [2.0, 1.0]],
    [[-1.0, 0.0], [0.0, 1.0]],
    [[1.0, 1.0], [1.0, 1.0]],
]


@pytest.mark.parametrize("name", ["cholesky_ex", "inv_ex", "solve_ex"])
@pytest.mark.parametrize("upper", [False, True])
def test_failure_is_told_for_each_matrix(name, upper):
    results = []
    for lib in (torch, wg):
        a = lib.tensor(MIXED, dtype=lib.float64, requires_grad=True)
        rest = {"upper": upper} if name == "cholesky_ex" else {}
        args = (lib.ones(4, 2, 1, dtype=lib.float64),) if name == "solve_ex" else ()
        result, info = getattr(lib.linalg, name)(a, *args, **rest)
        (gradient,) = lib.autograd.grad(result[0].sum(), a)
        results.append([result[0], info, gradient[0]])
    check_same(results[1], results[0])
    assert bool((results[1][1] > 0).any())


def test_what_fails_is_nan():
    singular = wg.stack([wg.ones(2, 2), wg.eye(2)]).requires_grad_()
    inverse, info = LA.inv_ex(singular)
    assert inverse[0].isnan().all() and wg.equal(inverse[1].detach(), wg.eye(2)) and info.tolist() == [2, 0]
    (gradient,) = wg.autograd.grad(inverse[1].sum(), singular)
    assert gradient[0].tolist() == [[0, 0], [0, 0]]
    assert LA.solve_ex(wg.zeros(2, 2), wg.ones(2)).result.isnan().all()
    assert LA.cholesky_ex(-wg.eye(2)).L.isnan().all()


def test_zero_pivots():
    for lib in (torch, wg):
        lu, pivots, info = lib.linalg.lu_factor_ex(
            lib.tensor([[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 0.0, 0.0]])
        )
        assert (pivots.tolist(), info.item()) == ([1, 2, 3], 1)
        assert lib.linalg.lu(lib.zeros(2, 2)).P.tolist() == [[1, 0], [0, 1]]


def test_old_names_warn():
    lu = LA.lu_factor(wg.eye(2))
    for call in (
        lambda: wg.lu(wg.eye(2)),
        lambda: wg.eye(2).lu(),
        lambda: wg.lu_solve(wg.ones(2, 1), *lu),
        lambda: wg.triangular_solve(wg.ones(2, 1), wg.eye(2)),
    ):
        with pytest.warns(UserWarning, match="deprecated in favor"):
            call()


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 5, 4)])
@pytest.mark.parametrize("name", ["svd_lowrank", "pca_lowrank"])
def test_low_rank_factors(name, shape):
    """With the same projection; columns are compared up to their signs."""
    a = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for lib in (torch, wg):
        lib.manual_seed(2)
        u, s, v = getattr(lib, name)(lib.tensor(a.tolist(), dtype=lib.float64), q=3)
        results.append([s, (u * s.unsqueeze(-2)) @ v.mT, u.abs(), v.abs()])
    check_same(results[1], results[0], 1e-7, 1e-9)


def test_low_rank_factors_of_low_rank_are_whole():
    a = (matrices(6, 2) @ matrices(2, 5)).detach()
    u, s, v = wg.svd_lowrank(a, q=3)
    wg.testing.assert_close((u * s) @ v.mT, a)
    assert s[2] < 1e-9 and wg.svd_lowrank(a, M=a, q=2)[1].abs().max() < 1e-9
    centered = a - a.mean(0)
    u, s, v = wg.pca_lowrank(a, q=3)
    wg.testing.assert_close((u * s) @ v.mT, centered)


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_symmetric_factors(n):
    """Pivots are LAPACK's, of matrices for which D has blocks of two rows, too."""
    a = matrices(3, n, n).detach()
    a = a + a.mT
    a[0] = a[0] - wg.diag(a[0].diagonal()) if n > 1 else a[0]
    ld, pivots, info = LA.ldl_factor_ex(a)
    theirs = torch.linalg.ldl_factor_ex(torch.tensor(a.tolist(), dtype=torch.float64))
    check_same((ld, pivots, info), tuple(theirs), 1e-9, 1e-9)
    b = matrices(3, n, 2).detach()
    wg.testing.assert_close(a @ LA.ldl_solve(ld, pivots, b), b, rtol=1e-9, atol=1e-9)


def test_singular_symmetric_matrices():
    assert LA.ldl_factor_ex(wg.zeros(2, 2)).info == 1
    for call in (
        lambda: LA.ldl_factor(wg.zeros(2, 2)),
        lambda: LA.ldl_factor_ex(wg.zeros(2, 2), check_errors=True),
    ):
        with pytest.raises(LA.LinAlgError, match="singular"):
            call()
    assert LA.ldl_factor(wg.ones(2, 0, 0)).pivots.shape == (2, 0)
