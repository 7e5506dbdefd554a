"""Large gradients of elementwise functions: added where others have arrived, and summed as they are made."""

import sys
from pathlib import Path

import pytest
import wengert as wg

sys.path.append(str(Path(__file__).parents[1] / "nn"))
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_what_is_used_again_and_again(dtype):
    def program(lib):
        x = data(lib, 70, 130, grad=True)
        z = (x * 1).to(getattr(lib, dtype))
        z.retain_grad()
        y = z.tanh() + z.sin() * z.exp() + z + z.sigmoid()
        y.backward(data(lib, 70, 130, seed=5).to(y.dtype))
        return [x.grad, z.grad.float()]

    both(program, 1e-5 if dtype != "float16" else 5e-3)


@pytest.mark.parametrize(
    "shape, small",
    [
        ((300, 70), (70,)),
        ((300, 70), (300, 1)),
        ((300, 70), ()),
        ((20, 8, 30, 30), (8, 1, 1)),
        ((2, 50_000), (2, 1)),
        ((2, 50_000), (50_000,)),
        ((1, 30_000), (1, 1)),
        ((100_000,), (1,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["mul", "div", "atan2"])
def test_broadcast_operands(shape, small, name):
    def program(lib):
        x = data(lib, *shape, dtype="float64", grad=True)
        w = (data(lib, *small, seed=1, dtype="float64") + 3).requires_grad_()
        f = getattr(lib, name)
        y = f(x, w) + f(w.cos() + 3, x + 5)
        y.backward(data(lib, *shape, seed=5, dtype="float64"))
        return [x.grad, w.grad]

    both(program, 1e-9)


def test_transposed_and_expanded():
    def program(lib):
        x, w = data(lib, 90, 80, grad=True), data(lib, 90, seed=1, grad=True)
        y = x.t() * w * x.t() + (x * w.unsqueeze(1).expand(90, 80)).t().sin()
        y.sum().backward()
        return [x.grad, w.grad]

    both(program, 1e-4)


def test_hooks_see_what_they_saw():
    def program(lib):
        seen = []
        x, w = data(lib, 80, 90, grad=True), data(lib, 90, seed=1, grad=True)
        z = x.exp()
        z.register_hook(lambda g: seen.append(g.clone()))
        w.register_hook(lambda g: g * 2)
        y = z * w
        y.grad_fn.register_hook(lambda gi, go: seen.append([g.clone() for g in gi]))
        (y.tanh() + z.sin() + y).sum().backward()
        return [*seen, x.grad, w.grad]

    both(program, 1e-4)


def test_higher_orders_and_parts():
    def program(lib):
        x, w = (
            data(lib, 80, 90, dtype="float64", grad=True),
            data(lib, 90, seed=1, dtype="float64", grad=True),
        )
        z = x * w
        y = z.sin() + z.exp() * w
        first = lib.autograd.grad(y.sum(), (x, w, z), create_graph=True)
        return [*first, *lib.autograd.grad(sum(g.square().sum() for g in first), (x, w))]

    both(program, 1e-9)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite(bad):
    def program(lib):
        x, w = data(lib, 80, 90), data(lib, 90, seed=1, grad=True)
        x[3, 4] = bad
        (x * w + w.exp()).sum().backward()
        return w.grad

    both(program, 1e-4)


@pytest.mark.host("figures of the CPU's memory")
@pytest.mark.parametrize("small", [(1000,), (1000, 1)])
def test_no_array_of_products(small):
    x = wg.ones(1000, 1000)
    w = wg.ones(*small, requires_grad=True)
    y = x * w
    slope = wg.ones(1000, 1000)
    wg.cpu.reset_peak_memory_stats()
    before = wg.cpu.memory_allocated()
    y.backward(slope)
    assert wg.cpu.max_memory_allocated() - before < 1 << 20
    assert (w.grad == 1000).all()


@pytest.mark.host("figures of the CPU's memory")
def test_nothing_but_what_arrives():
    x = wg.ones(1000, 1000, requires_grad=True)
    y = x.sin() + x.cos() + x.exp()
    slope = wg.ones(1000, 1000)
    wg.cpu.reset_peak_memory_stats()
    before = wg.cpu.memory_allocated()
    y.backward(slope)
    assert wg.cpu.max_memory_allocated() - before < 5 << 20
