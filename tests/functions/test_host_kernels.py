"""What the CPU's kernels give instead of compositions: against PyTorch, or against the composition itself, which runs
where gradients are asked for."""

import numpy as np
import pytest
import torch
import wengert as wg
import wengert.nn.functional as F


def numbers(*shape, dtype="f4", nan=False, ties=False, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    if ties:
        x = np.round(x * 2)
    x = x.astype(dtype)
    if nan:
        x.reshape(-1)[3::97] = np.nan
    return x


def both(x):
    return wg.tensor(x), torch.tensor(x)


def same(ours, theirs):
    assert str(ours.dtype) == str(theirs.dtype) and tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?"])
def test_running_extremes(name, dtype):
    for shape, dim in [((301, 257), 1), ((301, 257), 0), ((5, 33, 7), 1), ((1,), 0)]:
        x, y = both(numbers(*shape, dtype=dtype, nan=dtype[0] == "f", ties=True))
        for ours, theirs in zip(getattr(x, name)(dim), getattr(y, name)(dim), strict=True):
            same(ours, theirs)
    x, y = both(numbers(40, 50, ties=True))
    same(getattr(x.T, name)(0).indices, getattr(y.T, name)(0).indices)
    x.requires_grad_(), y.requires_grad_()
    getattr(x, name)(1)[0].square().sum().backward()
    getattr(y, name)(1)[0].square().sum().backward()
    same(x.grad, y.grad)


@pytest.mark.parametrize("nan", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i2"])
def test_ranks(dtype, nan):
    x, y = both(numbers(300, 301, dtype=dtype, nan=nan and dtype[0] == "f", ties=True))
    for dim in (0, 1):
        for name in ("median", "nanmedian"):
            same(getattr(x, name)(dim).values, getattr(y, name)(dim).values)
        same(x.kthvalue(7, dim).values, y.kthvalue(7, dim).values)
    same(x.median(), y.median())
    same(x.nanmedian(), y.nanmedian())
    # Of equal elements the one that a stable sort puts there.
    order = np.argsort(y.numpy(), 1, kind="stable")
    assert (x.kthvalue(5, 1).indices.numpy() == order[:, 4]).all()


@pytest.mark.parametrize("largest", [False, True])
def test_first_few(largest):
    for shape, k in [
        ((1000, 1000), 10),
        ((300_001,), 10),
        ((300_001,), 3000),
        ((7, 400), 49),
        ((200, 130), 16),
    ]:
        data = numbers(*shape, nan=True, ties=shape[-1] % 2 == 0)
        values, indices = wg.tensor(data).topk(k, largest=largest)
        # A stable sort, NaN greatest.
        key = np.where(np.isnan(data), np.inf, data)
        order = np.argsort(-key if largest else key, -1, kind="stable")[..., :k]
        assert (indices.numpy() == order).all()
        np.testing.assert_array_equal(values.numpy(), np.take_along_axis(data, order, -1))


def test_flips():
    for shape, dims in [
        ((300, 301), (0, 1)),
        ((300, 301), (1,)),
        ((300, 301), (0,)),
        ((3, 4, 5), (-1, 0)),
        ((0, 3), (1,)),
    ]:
        x, y = both(numbers(*shape))
        same(x.flip(dims), y.flip(dims))
        same(x.transpose(0, 1).flip(dims), y.transpose(0, 1).flip(dims))
        x.requires_grad_(), y.requires_grad_()
        weight = numbers(*shape, seed=1)
        (x.flip(dims) * wg.tensor(weight)).sum().backward()
        (y.flip(dims) * torch.tensor(weight)).sum().backward()
        same(x.grad, y.grad)
    x, y = both(numbers(4, 5))
    same(x[1:, ::2].flip(0, 1), y[1:, ::2].flip(0, 1))
    x, y = both(np.arange(70_001) % 3 == 0)
    same(x.flip(0), y.flip(0))
    x.flip(0)[0] = False
    assert bool(x[-1]) == bool(y[-1])
    z = wg.ones(2, 3, requires_grad=True)
    (g,) = wg.autograd.grad(z.flip(1).pow(3).sum(), z, create_graph=True)
    (h,) = wg.autograd.grad(g.sum(), z)
    assert (h == 6).all()


@pytest.mark.parametrize("name", ["tril", "triu"])
def test_triangles(name):
    for shape in [(300, 301), (2, 3, 4, 5), (3, 0), (1, 7)]:
        for diagonal in (-400, -2, 0, 1, 299, 10**30 if shape == (1, 7) else 400):
            x = numbers(*shape, nan=True)
            ours = getattr(wg.tensor(x), name)(diagonal).numpy()
            np.testing.assert_array_equal(ours, getattr(np, name)(x, max(min(diagonal, 1000), -1000)))
    x, y = both(numbers(4, 5))
    same(getattr(x.T, name)(1), getattr(y.T, name)(1))
    for dtype in ("?", "u1", "i8", "f8"):
        x, y = both(numbers(4, 5, dtype=dtype))
        same(getattr(x, name)(), getattr(y, name)())
    x.requires_grad_(), y.requires_grad_()
    getattr(x, name)(1).square().sum().backward()
    getattr(y, name)(1).square().sum().backward()
    same(x.grad, y.grad)


def test_sets_and_counts():
    for data in [
        np.random.default_rng(0).integers(-40, 900, 100_001),
        numbers(100_001, ties=True),
        numbers(700),
    ]:
        x, y = both(data)
        same(x.unique(), y.unique())
        for ours, theirs in zip(
            x.unique(return_inverse=True, return_counts=True), y.unique(True, True, True), strict=True
        ):
            same(ours, theirs)
    x, y = both(np.random.default_rng(0).integers(0, 900, 150_001))
    same(wg.bincount(x), torch.bincount(y))
    same(wg.bincount(x[::3], minlength=2000), torch.bincount(y[::3], minlength=2000))
    same(wg.bincount(x[:0]), torch.bincount(y[:0]))
    with pytest.raises(RuntimeError, match="non-negative"):
        wg.bincount(x - 1)
    labels = (x[:999] % 11).reshape(-1, 9)
    same(F.one_hot(labels), torch.nn.functional.one_hot(torch.tensor(labels.numpy())))
    for dtype in ("f4", "f8"):
        x = numbers(100_001, dtype=dtype, nan=True)
        x[5:8] = 3.0, -3.0, np.inf
        ours, theirs = (m.histc(m.tensor(x), 37, -3, 3) for m in (wg, torch))
        same(ours, theirs)


@pytest.mark.parametrize("right", [False, True])
def test_searches(right):
    edges = np.sort(numbers(1000, ties=True))
    for values in (numbers(70_001, nan=True, ties=True), numbers(3, 4), numbers(0)):
        (a, b), (x, y) = both(edges), both(values)
        same(wg.searchsorted(a, x, right=right), torch.searchsorted(b, y, right=right))
        same(
            wg.bucketize(x, a, right=right, out_int32=True),
            torch.bucketize(y, b, right=right, out_int32=True),
        )
    (a, b), (x, y) = both(np.sort(numbers(30, 40, ties=True))), both(numbers(30, 50, ties=True))
    same(wg.searchsorted(a, x, right=right), torch.searchsorted(b, y, right=right))
    same(wg.searchsorted(a[:, :0], x, right=right), torch.searchsorted(b[:, :0], y, right=right))
    same(
        wg.searchsorted(a[:, ::2], x.flip(1), right=right),
        torch.searchsorted(b[:, ::2].contiguous(), y.flip(1)),
    ) if not right else None
    assert wg.searchsorted(a[0], 0.5, right=right).item() == torch.searchsorted(b[0], 0.5, right=right).item()


def test_masks():
    for shape in [(1000, 301), (70_001, 3), (4, 5)]:
        x, y = both(numbers(*shape))
        same(x[x > 0], y[y > 0])
        same(x.masked_select(x > 0), y.masked_select(y > 0))
        same((x > 0).nonzero(), (y > 0).nonzero())
        same(x.T[x.T > 0], y.T[y.T > 0])
        assert wg.count_nonzero(x > 0) == torch.count_nonzero(y > 0)
        x.requires_grad_(), y.requires_grad_()
        x[x > 0].square().sum().backward()
        y[y > 0].square().sum().backward()
        same(x.grad, y.grad)


def test_floats_to_integers():
    inf, nan = float("inf"), float("nan")
    special = [0.9, -0.9, 2147483647.0, -2147483649.0, 3e9, -3e9, 9e18, -0.0, 1e-40]
    for dtype in (wg.float32, wg.float64, wg.float16, wg.bfloat16):
        tail = [v for v in special if dtype != wg.float16 or abs(v) < 6e4]
        x = wg.cat([wg.arange(-100_000, 100_000).to(dtype) / 3, wg.tensor(tail, dtype=dtype)])
        x = x[x.isfinite()]
        wanted = np.trunc(x.double().numpy()).astype("i8")
        assert (x.to(wg.int64).numpy() == wanted).all()
        assert (x.flip(0).to(wg.int64).numpy() == wanted[::-1]).all()
        # As ever: NaN is 0, and what is too large the largest there is.
        odd = wg.tensor([nan, inf, -inf] + [1.0] * 70, dtype=dtype).to(wg.int64)
        assert odd[:4].tolist() == [0, 2**63 - 1, -(2**63), 1]


def test_where_gradients_are_asked_for_the_composition_gives_the_same():
    def with_gradient(f, x):
        assert f(x.clone().requires_grad_()).requires_grad
        np.testing.assert_array_equal(f(x).numpy(), f(x.clone().requires_grad_()).detach().numpy())
        np.testing.assert_array_equal(
            np.signbit(f(x).numpy()), np.signbit(f(x.clone().requires_grad_()).detach().numpy())
        )

    for dtype in (wg.float32, wg.float64):
        x = wg.tensor(numbers(3, 5, 28, 31), dtype=dtype)
        x[0, 0] = -0.0
        for kernel, dilation, padding, stride in [
            (3, 1, 0, 1),
            ((2, 3), (2, 1), (1, 0), (3, 2)),
            (4, 3, 2, 1),
        ]:
            with_gradient(lambda x: F.unfold(x, kernel, dilation, padding, stride), x)  # noqa: B023
        for mode in ("bilinear", "bicubic"):
            for corners in (False, True):
                with_gradient(lambda x: F.interpolate(x, scale_factor=2, mode=mode, align_corners=corners), x)  # noqa: B023
                with_gradient(lambda x: F.interpolate(x, (17, 40), mode=mode, align_corners=corners), x)  # noqa: B023
        with_gradient(lambda x: F.interpolate(x.transpose(1, 3), (3, 40), mode="bilinear"), x)
        with_gradient(lambda x: F.interpolate(x[0], 100, mode="linear"), x)
        for dims in (None, 0, (1, 3), (2,), (0, 1, 2, 3)):
            with_gradient(lambda x: x.norm(dim=dims), x)  # noqa: B023
            with_gradient(lambda x: wg.linalg.vector_norm(x, dim=dims, keepdim=True), x)  # noqa: B023


def test_long_ranges():
    for start, end, step in [(0, 1_000_000, 1), (5, -300_000, -3), (-7, 200_000, 1)]:
        same(wg.arange(start, end, step), torch.arange(start, end, step))
        same(wg.arange(start, end, step, dtype=wg.int32), torch.arange(start, end, step, dtype=torch.int32))


def test_sums_over_other_dims():
    data = np.random.default_rng(0).integers(-9, 9, (64, 100, 100))
    for dtype in ("f4", "f8", "i8", "u1"):
        x, y = both(data.astype(dtype))
        for dims in ((1,), (0, 2), (0, 1), (2,), (1, 2)):
            same(x.sum(dims), y.sum(dims))
            if dtype != "u1":
                same(x.permute(2, 0, 1).sum(dims), y.permute(2, 0, 1).sum(dims))
