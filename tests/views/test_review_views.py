"""Views that reach outside, overlap or lose their base: what a reviewer found, against PyTorch.

A program gives a value that is compared, or an error whose type is. What once wrote or read out of bounds runs in a
process of its own.
"""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import wengert as wg

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.devices(factories=True, sample=15)


def told(value):
    if hasattr(value, "is_floating_point"):
        # A GPU's powers may be off in the last place.
        numbers = [float(f"{v:.6g}") if isinstance(v, float) else v for v in value.flatten().tolist()]
        return tuple(value.shape), str(value.dtype).rsplit(".", 1)[-1], numbers
    if isinstance(value, (tuple, list)):
        return [told(v) for v in value]
    return value


def run(m, program):
    """What the program's last line gives, or the error it ends in."""
    *before, last = [line for line in textwrap.dedent(program).strip().splitlines() if line]
    names = {"m": m, "np": np, "X": lambda *shape: m.ones(*shape, requires_grad=True)}
    try:
        exec("\n".join(before), names)
        return told(eval(last, names))
    except Exception as error:  # noqa: BLE001 - its type is what is compared
        return type(error).__name__


def programs(*given):
    return pytest.mark.parametrize("program", [textwrap.dedent(g).strip() for g in given])


@programs(
    """
    x = (X(2**25) * 1)[:2]
    x.as_strided((2,), (1,), 2**25 - 2).sum().backward()
    x.shape[0]
    """,
    """
    d = m.ones(2**25)
    v = d[:2].detach().as_strided((2,), (1,), 2**25 - 2)
    w = X(2)
    v.mul_(w)
    v.sum().backward()
    w.grad
    """,
    """
    x = X(4) * 1
    x.data = m.zeros(1).expand(4 * 10**9)
    (x[3 * 10**9 : 3 * 10**9 + 2] * 2).sum().backward()
    """,
    """
    z = X(4)
    x = z * 1
    x.data = m.zeros(2**22)
    x[2**21 : 2**21 + 10].sum().backward()
    """,
    """
    p = m.nn.Parameter(m.zeros(100))
    v = p[50:60]
    p.data = m.zeros(4)
    v.sum().backward()
    p.grad
    """,
    """
    p = m.nn.Parameter(m.zeros(4))
    v = p[1:3]
    p.data = m.zeros(2**22)
    v.sum().backward()
    p.grad
    """,
    """
    x = m.ones(1000, dtype=m.long)
    x.scatter_(0, x, m.full((1000,), 10**13))
    """,
    """
    x = m.ones(1000, dtype=m.long)
    x.index_put_((x,), x)
    """,
)
@pytest.mark.host("it is about the host's memory")
def test_nothing_is_touched_out_of_bounds(program):
    # Not run here: this process has other tests to finish.
    alone = f"import test_review_views as t, wengert; print(t.run(wengert, {program!r}))"
    done = subprocess.run(
        [sys.executable, "-c", alone],
        capture_output=True,
        text=True,
        cwd=__file__.rsplit("/", 1)[0],
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-400:]}"
    assert done.stdout.strip() == str(run(torch, program))


@programs(
    # Before the base, beside it, and partly in it: elements outside get no gradient.
    """
    z = X(6)
    x = (z * 1)[2:]
    x.as_strided((2,), (1,), 0).sum().backward()
    z.grad
    """,
    """
    z = X(6)
    x = (z * 1)[2:]
    x.retain_grad()
    (x.as_strided((3,), (1,), 1) * m.tensor([1.0, 2, 3])).sum().backward()
    z.grad, x.grad
    """,
    """
    z = X(4, 4)
    x = (z * 1)[:, :2]
    (x.as_strided((16,), (1,), 0) * m.arange(16.0)).sum().backward()
    z.grad
    """,
    """
    z = X(4, 4)
    x = (z * 1).t()
    (x.as_strided((16,), (1,), 0) * m.arange(16.0)).sum().backward()
    z.grad
    """,
    """
    z = X(4, 4)
    x = (z * 1)[::2, ::2]
    (x.as_strided((3, 3), (3, 2), 1) * m.arange(9.0).view(3, 3)).sum().backward()
    z.grad
    """,
    # Over a base whose elements lie on each other: these share what came to their place.
    """
    z = X(3)
    y = (z * 1).expand(4, 3)
    y.retain_grad()
    (y.as_strided((4, 3), (0, 1), 0) * m.arange(12.0).view(4, 3)).sum().backward()
    z.grad, y.grad
    """,
    """
    z = X(3)
    y = (z * 1).expand(4, 3)
    y.retain_grad()
    (y.as_strided((3,), (1,), 0) * m.arange(3.0)).sum().backward()
    z.grad, y.grad
    """,
    # The same with a graph of the gradient.
    """
    z = m.arange(1.0, 7.0).requires_grad_()
    x = (z**2)[2:]
    (g,) = m.autograd.grad((x.as_strided((3,), (1,), 1) ** 3).sum(), z, create_graph=True)
    (g * m.arange(6.0)).sum().backward()
    g, z.grad
    """,
    """
    z = m.arange(1.0, 4.0).requires_grad_()
    y = (z**2).expand(2, 3)
    (g,) = m.autograd.grad((y.as_strided((2, 2), (1, 1), 0) ** 2).sum(), z, create_graph=True)
    (g * m.arange(3.0)).sum().backward()
    g, z.grad
    """,
)
def test_as_strided_over_any_base(program):
    assert run(wg, program) == run(torch, program)


@programs(
    """
    x = X(1, 1, 5, 5)
    w = m.arange(81.0).view(1, 1, 3, 3, 3, 3)
    (x.unfold(2, 3, 1).unfold(3, 3, 1) * w).sum().backward()
    x.grad
    """,
    """
    x = X(5)
    y = x.unfold(0, 3, 1)
    y.retain_grad()
    (y.unfold(1, 2, 1) * m.arange(12.0).view(3, 2, 2)).sum().backward()
    x.grad, y.grad
    """,
    """
    x = m.arange(6.0).requires_grad_()
    (g,) = m.autograd.grad((x.unfold(0, 3, 2) ** 3).sum(), x, create_graph=True)
    (g * m.arange(6.0)).sum().backward()
    g, x.grad
    """,
    """
    x = X(4, 6)
    (x.t().unfold(0, 2, 3)[1:].transpose(0, 2).unfold(1, 3, 1) * 2).sum().backward()
    x.grad
    """,
    """
    x = X(6)
    y = x * 1
    v = y.unfold(0, 2, 2)
    v.mul_(m.arange(6.0).view(3, 2))
    y.sum().backward()
    x.grad
    """,
    "m.tensor(3.0).unfold(0, 1, 1)",
    "m.tensor(3.0).unfold(0, 2, 1)",
    "m.tensor(3.0, requires_grad=True).unfold(-1, 1, 4).grad_fn.name()",
    "m.zeros(3, 4).unfold(1, 0, 3).shape == (3, 2, 0)",
    "m.zeros(3).unfold(0, 4, 1)",
    "m.zeros(3).unfold(0, 2, 0)",
    "m.zeros(3).unfold(1, 2, 1)",
    "m.ones(1, 1, 3, 3).unfold(2, 1, 2**63 - 1).tolist()",
)
def test_windows_of_windows(program):
    assert run(wg, program) == run(torch, program)


def chain(m, seed):
    """A value after a few random views, two of them overlapping windows, and the gradient of its base."""
    rng = np.random.default_rng(seed)
    x = m.arange(60.0, dtype=m.float64).view(3, 4, 5).requires_grad_()
    y = x * 1
    v = y
    for step in range(5):
        kind = rng.integers(6) if step not in (1, 3) else 5
        d = int(rng.integers(v.dim())) if v.dim() else 0
        n = v.shape[d] if v.dim() else 1
        if kind == 0:
            v = v.transpose(d, int(rng.integers(max(v.dim(), 1))))
        elif kind == 1 and v.dim():
            v = v.narrow(d, int(rng.integers(n)), 1)
        elif kind == 2 and v.dim():
            v = v[(slice(None),) * d + (slice(int(rng.integers(n)), None, int(rng.integers(1, 3))),)]
        elif kind == 3 and v.dim() > 1:
            v = v.select(d, int(rng.integers(n)))
        elif kind == 4:
            v = v.unsqueeze(d).expand(*v.shape[:d], 2, *v.shape[d:])
        else:
            size = int(rng.integers(1, n + 1))
            v = v.unfold(d, size, int(rng.integers(1, 3)))
    weights = m.arange(float(v.numel()), dtype=m.float64).view(v.shape)
    (v * weights).sum().backward()
    return told(v), told(x.grad)


@pytest.mark.parametrize("seed", range(60))
def test_chains_of_views(seed):
    assert chain(wg, seed) == chain(torch, seed)


@programs(
    "x = m.arange(3.0)\nx[m.tensor([1, 2, 0])] = x\nx",
    "m.arange(3.0).view(3).scatter_(0, m.tensor([1, 2, 0]), m.arange(3.0))",
    "x = m.arange(3.0)\nx.scatter_(0, m.tensor([1, 2, 0]), x)",
    "x = m.arange(3.0)\nx.scatter_add_(0, m.tensor([1, 2, 0]), x)",
    "x = m.tensor([1, 2, 0])\nx.scatter_(0, x, m.tensor([5, 6, 7]))",
    "x = m.tensor([1, 2, 0])\nx[x] = m.tensor([5, 6, 7])\nx",
    "x = m.tensor([1, 2, 0])\nx.index_put_((x,), x, accumulate=True)",
    "x = m.arange(6.0)\nx.index_put_((m.tensor([1, 2, 0]),), x[1:4])",
    "x = m.arange(6.0)\nx.index_put_((m.tensor([1, 2, 0]),), x[::2])",
    "x = m.arange(6.0)\nx[:3].scatter_(0, m.tensor([1, 2, 0]), x[3:])\nx",
    "x = m.tensor([True, False])\nx[x] = False\nx",
    "x = m.arange(3.0)\nx.mul_(x)\nx.copy_(x.view(3))\nx.add_(x.view(3))",
)
def test_a_write_in_another_order_than_its_input_is_read(program):
    assert run(wg, program) == run(torch, program)


@pytest.mark.parametrize("name", ["uniform_", "normal_", "random_", "exponential_", "bernoulli_"])
def test_random_numbers_need_a_place_each(name):
    for make in ("m.zeros(1).expand(3)", "m.zeros(2, 3)[:, :1].expand(2, 4)"):
        program = f"getattr({make}, {name!r})().shape"
        assert run(wg, program) == run(torch, program) == "RuntimeError"
    alone = f"tuple(getattr(m.zeros(1).expand(1), {name!r})().shape)"
    assert run(wg, alone) == run(torch, alone)
    for same in ("m.zeros(1).expand(3).zero_()", "m.zeros(1).expand(3).fill_(2.0)"):
        assert run(wg, same) == run(torch, same)


@programs(
    # The base goes off the tape; what was made of it before stays.
    "x = X(3)\ny = x * 1\nv = y[1:]\ny.detach_()\nv.sum().backward()\nx.grad",
    "x = X(3)\ny = x * 1\nv = y[1:]\nv.retain_grad()\ny.detach_()\nv.sum().backward()\nx.grad, v.grad",
    "x = X(3)\ny = x * 1\nv = y[1:]\ny.detach_()\ny.mul_(x)\nv.sum().backward()\nx.grad, v.requires_grad",
    "x = X(3)\ny = x * 1\nv = y[1:]\ny.detach_()\ny.add_(1)\nv.requires_grad, v.grad_fn.name(), y.requires_grad",
    # A gradient that is kept is that of the value after the write.
    "x = X(3)\ny = x * 1\nv = y[1:]\nv.retain_grad()\ny.mul_(2)\nv.sum().backward()\nx.grad, v.grad",
    "x = X(3)\ny = x * 1\nv = y[1:]\nv.retain_grad()\nv.mul_(2)\nv.sum().backward()\nx.grad, v.grad",
    "x = X(3)\ny = x * 1\nv = y[1:]\nv.retain_grad()\nv.mul_(2)\ny.sum().backward()\nx.grad, v.grad",
    "x = X(3)\ny = x * 1\nv = y[1:]\nv.retain_grad()\ny.mul_(2)\ny.sum().backward()\nx.grad, v.grad",
    "x = X(3)\ny = x * 1\ny.retain_grad()\nv = y[1:]\nv.mul_(2)\ny.sum().backward()\nx.grad, y.grad",
    """
    x = X(3)
    y = x * 1
    v = y[1:]
    v.retain_grad()
    v.mul_(2)
    z = v * 3
    v.mul_(2)
    (z.sum() + v.sum()).backward()
    x.grad, v.grad
    """,
)
def test_views_of_a_base_that_changes(program):
    assert run(wg, program) == run(torch, program)


@programs(
    "z = X(4)\nx = z * 1\nx.data = m.zeros(8)\nx[0:2].sum().backward()",
    "z = X(4)\nx = z * 1\nx.data = m.zeros(8)\nx.sum().backward()",
    "z = X(4)\nx = z * 1\nx.data = m.zeros(8)\n(x * 2).sum().backward()",
    "z = X(1)\nx = z * 1\nx.data = m.zeros(8)\nx[0:2].sum().backward()\nz.grad",
    "p = m.nn.Parameter(m.zeros(4))\nv = p * 2\np.data = m.zeros(6)\nv.sum().backward()\np.grad",
    "p = m.nn.Parameter(m.zeros(6))\nv = p[m.tensor([5])]\np.data = m.zeros(1)\nv.sum().backward()\np.grad",
    "p = m.nn.Parameter(m.zeros(6))\nv = p.sort()[0][1:]\np.data = m.zeros(2)\nv.sum().backward()\np.grad",
    "p = m.nn.Parameter(m.zeros(1, 3))\nv = p.expand(2, 3)\np.data = m.zeros(2, 3)\nv.sum().backward()\np.grad",
)
def test_a_gradient_has_the_shape_that_was_there_in_the_forward_pass(program):
    assert run(wg, program) == run(torch, program)


@programs(
    # PyTorch reads the new data in some of these, and copies into its shape in others; both end in an error.
    "p = m.nn.Parameter(m.zeros(6))\nv = p.gather(0, m.tensor([5]))\np.data = m.zeros(2)\nv.sum().backward()\np.grad",
    "p = m.nn.Parameter(m.zeros(2, 3))\nv = p.max(1)[0]\np.data = m.zeros(2)\nv.sum().backward()\np.grad",
    """
    p, q = (m.nn.Parameter(m.zeros(n)) for n in (3, 4))
    v = m.cat([p, q])
    p.data = m.zeros(9)
    v.sum().backward()
    p.grad, q.grad
    """,
    "p = m.nn.Parameter(m.zeros(2, 3))\nv = p.view(6)\np.data = m.zeros(4)\nv.sum().backward()\np.grad",
)
def test_a_gradient_does_not_depend_on_data_that_came_later(program):
    assert run(torch, program) == "RuntimeError"
    later = "p.data = "
    unchanged = "\n".join(line for line in program.splitlines() if not line.startswith(later))
    assert run(wg, program) == run(torch, unchanged)


def test_a_write_to_a_view_whose_base_got_other_data_is_no_write_to_the_base():
    # PyTorch takes the write for one to the base and fails on their positions.
    z = wg.ones(4, requires_grad=True)
    x = z * 1
    v = x[0:2]
    x.data = wg.zeros(2**22)[2**21 : 2**21 + 4]
    v.mul_(2)
    x.sum().backward(retain_graph=True)
    assert z.grad.tolist() == [1, 1, 1, 1] and x.tolist() == [0, 0, 0, 0]
    z.grad = None
    v.sum().backward()
    assert z.grad.tolist() == [2, 2, 0, 0] and v.tolist() == [2, 2]


@programs(
    """
    w = X(2)
    b = m.arange(4.0)
    y = w * b[0:2]
    n = b[2:4].numpy()
    b[2:4].add_(100)
    n.tolist()
    """,
    """
    w = X(2)
    b = m.arange(4.0)
    y = w * b[0:2]
    n = b[2:4].numpy()
    n[:] = 7
    y.sum().backward()
    w.grad, b
    """,
)
@pytest.mark.host("numpy sees the host's memory alone")
def test_memory_shared_with_numpy_beside_a_saved_part(program):
    assert run(wg, program) == run(torch, program)


@pytest.mark.host("numpy sees the host's memory alone")
def test_a_saved_part_is_kept_when_its_buffer_is_exported():
    # PyTorch refuses the sweep after such a write.
    w = wg.ones(2, requires_grad=True)
    b = wg.arange(4.0)
    y = w * b[0:2]
    n = b[2:4].numpy()
    b[0:2].add_(100)
    y.sum().backward()
    assert w.grad.tolist() == [0, 1]
    assert b.tolist() == [100, 101, 2, 3] and n.tolist() == [2, 3]
