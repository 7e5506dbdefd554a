"""Gradients that must not share memory, hooks, and `inputs=`: what a reviewer found, against PyTorch."""

import textwrap

import numpy as np
import pytest
import wengert as wg

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.devices(factories=True, sample=8)


def told(value):
    if hasattr(value, "is_floating_point"):
        return tuple(value.shape), str(value.dtype).rsplit(".", 1)[-1], value.tolist()
    if isinstance(value, (tuple, list)):
        return [told(v) for v in value]
    return value


def doubling(m):
    """An identity whose backward pass writes to the gradient that it is given."""

    class Doubling(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g.mul_(2)

    return Doubling


def raises(g):
    raise ValueError("a hook's own")


def run(m, program):
    """What the program's last line gives, or the error it ends in."""
    *before, last = [line for line in textwrap.dedent(program).strip().splitlines() if line]
    names = {"m": m, "np": np, "raises": raises, "Doubling": doubling(m)}
    names["X"] = lambda *shape: m.ones(*shape, requires_grad=True)
    try:
        exec("\n".join(before), names)
        return told(eval(last, names))
    except Exception as error:  # noqa: BLE001 - its type is what is compared
        return type(error).__name__


def programs(*given):
    return pytest.mark.parametrize("program", [textwrap.dedent(g).strip() for g in given])


@programs(
    """
    x, y, z = X(3), X(3), X(3)
    n = np.ones(3, "f4")
    g = m.from_numpy(n)
    for _ in "ab":
        (x + y).backward(g)
    x.grad.mul_(10)
    x.grad, y.grad, g, n.tolist()
    """,
    """
    x = X(3)
    g = m.from_numpy(np.ones(3, "f4")).to(x.device)
    x.register_hook(lambda _: g)
    (x * 2).sum().backward()
    x.grad.zero_()
    g
    """,
    """
    a, b, g = X(3), X(3), m.ones(3)
    (a + b).backward(g, create_graph=True)
    with m.no_grad():
        a.grad.zero_()
    a.grad, b.grad, g, a.grad is b.grad, a.grad is g
    """,
    """
    x, g = X(3), m.ones(3)
    y = x * 1
    z = y * 1
    y.retain_grad(), z.retain_grad()
    z.backward(g, create_graph=True)
    with m.no_grad():
        z.grad.zero_()
    y.grad, z.grad, x.grad, g, z.grad is g
    """,
    """
    x = m.arange(3.0).requires_grad_()
    (x**3).sum().backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.sum().backward()
    g, x.grad
    """,
    # What a function or a hook writes to its gradient stays there, for small tensors and for large ones.
    *(
        f"""
        a, b, w = X({n}), X({n}), m.full(({n},), 3.0)
        ((Doubling.apply(a) + b) * w).sum().backward()
        a.grad[:2], b.grad[:2]
        """
        for n in (3, 3000)
    ),
    *(
        f"""
        a, b, w = X({n}), X({n}), m.full(({n},), 2.0)
        b.register_hook(lambda g: g.mul_(10) and None if g.numel() == 1 else (g.mul_(10), None)[1])
        ((a + b) * w).sum().backward()
        a.grad[:2], b.grad[:2]
        """
        for n in (3, 3000)
    ),
    # Parts of one gradient.
    """
    ps = [X(1000) for _ in range(3)]
    m.cat(ps).mul(2).sum().backward()
    ps[0].grad.add_(1)
    [p.grad[:2] for p in ps]
    """,
)
def test_gradients_share_nothing(program):
    assert run(wg, program) == run(torch, program)


def test_a_gradient_out_of_many_has_its_own_memory():
    before = wg.memory_stats()["value_bytes"] if hasattr(wg, "memory_stats") else None
    ps = [wg.ones(1000, requires_grad=True) for _ in range(100)]
    wg.cat(ps).sum().backward()
    for p in ps:
        p.grad.add_(1)
    assert all(p.grad.tolist() == [2.0] * 1000 for p in ps)
    if before is not None:
        assert wg.memory_stats()["value_bytes"] - before < 4 * 4 * 100 * 1000


@programs(
    "x = X(3)\n(x * 2).sum().backward(inputs=[x, x])\nx.grad",
    "x = X(3)\ny = x * 2\n(y * 3).sum().backward(inputs=[y, y, x, x])\nx.grad, y.grad, y.retains_grad",
    "x = X(3)\ny = x * 2\n(y * 3).sum().backward(inputs=[y])\nx.grad, y.grad",
    "x = X(3)\ny = x * 2\ny.retain_grad()\n(y * 3).sum().backward(inputs=[x])\nx.grad, y.grad",
    "x = X(3)\ny = x * 2\ny.retain_grad()\n(y * 3).sum().backward(inputs=[x, y])\nx.grad, y.grad",
    "x = X(3)\ny = x * 2\ny.retain_grad()\ng = m.autograd.grad((y * 3).sum(), x)\ng, y.grad, x.grad",
    "x = X(3)\ny = x * 2\ny.retain_grad()\ng = m.autograd.grad((y * 3).sum(), [x, y])\ng, y.grad",
    "x = X(3)\ny = x * 2\ny.retain_grad()\ng = m.autograd.grad((y * 3).sum(), y)\ng, y.grad",
    "x = m.ones(3)\n(X(3) * 2).sum().backward(inputs=[x])",
    """
    x = X(3)
    seen = []
    x.register_hook(lambda g: g * 3)
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * 2).sum().backward(inputs=[x])
    x.grad, seen
    """,
    """
    x = X(3)
    x.register_hook(lambda g: g * 3)
    m.autograd.grad((x * 2).sum(), [x, x])
    """,
    # A hook on an input is for what lies behind it, if that runs; else for what is asked for.
    "x = X(3)\ny = x * 2\ny.register_hook(lambda g: g * 3)\nm.autograd.grad((y * 2).sum(), [x, y])",
    "x = X(3)\ny = x * 2\ny.register_hook(lambda g: g * 3)\nm.autograd.grad((y * 2).sum(), [y])",
    "x = X(3)\ny = x * 2\ny.register_hook(lambda g: g * 3)\n(y * 2).sum().backward(inputs=[x, y])\nx.grad, y.grad",
    """
    x = X(3)
    y = x * 2
    y.register_hook(lambda g: (g.mul_(3), None)[1])
    y.retain_grad()
    m.autograd.grad((y * 2).sum(), [x])[0], y.grad
    """,
    """
    x = X(3)
    y = x * 2
    seen = []
    y.grad_fn.register_prehook(lambda g: seen.append(g[0]))
    m.autograd.grad((y * 2).sum(), [y]), seen
    """,
    """
    x = X(3)
    y = x * 2
    y.retain_grad()
    y.grad_fn.register_prehook(lambda g: (g[0] * 5,))
    y.register_hook(lambda g: g * 3)
    (y * 2).sum().backward()
    x.grad, y.grad
    """,
    # Without a graph of it, the sweep's hooks run untaped, on leaves as elsewhere.
    """
    x, seen = X(3), []
    x.register_hook(lambda g: seen.append(m.is_grad_enabled()))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(m.is_grad_enabled()))
    (x * 2).sum().backward()
    m.autograd.grad((x * 2).sum(), x)
    (x * 2).sum().backward(create_graph=True)
    seen
    """,
)
def test_inputs_and_kept_gradients(program):
    assert run(wg, program) == run(torch, program)


@programs(
    """
    x = X(3)
    y = x.exp()
    h = y.register_hook(raises)
    l = (y * x).sum()
    try:
        y.sum().backward()
    except ValueError:
        pass
    h.remove()
    y.sum().backward()
    x.grad.round()
    """,
    """
    x = X(3)
    y = x.exp()
    h = y.grad_fn.register_prehook(raises)
    l = y.sum()
    try:
        l.backward()
    except ValueError:
        pass
    h.remove()
    l.backward()
    x.grad.round()
    """,
    """
    x = X(3)
    y = x.exp()
    h = y.grad_fn.register_hook(lambda gi, go: raises(gi))
    l = y.sum()
    try:
        l.backward()
    except ValueError:
        pass
    h.remove()
    l.backward()
    x.grad.round()
    """,
    # Behind a hook that succeeds everything is freed as ever.
    """
    x = X(3)
    y = x.exp()
    y.register_hook(lambda g: g * 2)
    l = y.sum()
    l.backward()
    l.backward()
    """,
)
def test_a_failed_hook_frees_nothing(program):
    assert run(wg, program) == run(torch, program)


def test_a_failed_function_can_run_again():
    for m in (wg, torch):
        calls = []

        class Twice(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * 2

            @staticmethod
            def backward(ctx, g):
                calls.append(ctx.saved_tensors[0].tolist())  # noqa: B023 - called in this turn of the loop
                if len(calls) == 1:  # noqa: B023
                    raise ValueError("the first time")
                return g * 2

        x = m.ones(2, requires_grad=True)
        loss = Twice.apply(x).sum()
        with pytest.raises(ValueError, match="the first time"):
            loss.backward()
        loss.backward()
        assert x.grad.tolist() == [2, 2] and calls == [[1, 1], [1, 1]]
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()


@programs(
    "x = X(3)\nx.register_hook(lambda g: m.ones(3, device='meta'))\n(x * 2).sum().backward()",
    "x = X(3)\ny = x * 2\ny.register_hook(lambda g: m.ones(3, device='meta'))\ny.sum().backward()",
    "x = X(3)\ny = x * 2\ny.grad_fn.register_hook(lambda gi, go: (m.ones(3, device='meta'),))\ny.sum().backward()",
    """
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2
        @staticmethod
        def backward(ctx, g):
            return m.ones(3, device='meta')
    F.apply(X(3)).sum().backward()
    """,
    """
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2
        @staticmethod
        def backward(ctx, g):
            return m.ones(2)
    F.apply(X(3)).sum().backward()
    """,
)
def test_gradients_of_another_device_or_shape_are_refused(program):
    assert run(wg, program) == run(torch, program) == "RuntimeError"
