"""Hooks, functions defined in Python, gradcheck, and failures in the middle of backward."""

import signal
import threading

import pytest
import wengert as wg
from support import close

pytestmark = pytest.mark.devices(factories=True)


def leaf(*values):
    return wg.tensor(values if len(values) > 1 else values[0], dtype=wg.float64, requires_grad=True)


def test_a_hook_sees_and_may_replace_the_gradient():
    x = leaf(2.0)
    y = x**2
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10)
    (y * 3).backward(retain_graph=True)
    assert seen == [3.0] and x.grad.item() == 120.0
    handle.remove()
    (y * 3).backward()
    assert seen == [3.0]


def test_a_hook_on_a_leaf_runs_once_on_the_sum():
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).backward()
    assert seen == [5.0]


def test_hooks_of_nodes():
    x = leaf(2.0)
    y = x * 3
    seen = []
    handle = y.grad_fn.register_hook(lambda gi, go: seen.append((gi[0].item(), go[0].item())))
    y.backward(wg.tensor(5.0, dtype=wg.float64))
    assert seen == [(15.0, 5.0)]
    handle.remove()


def test_a_hook_is_refused_on_what_has_no_gradient():
    with pytest.raises(
        RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"
    ):
        wg.ones(2).register_hook(lambda g: g)


def test_an_exception_in_a_hook_leaves_everything_as_it_was():
    x, z = leaf(2.0), leaf(5.0)
    x.grad = wg.tensor(100.0, dtype=wg.float64)
    y = x**2
    handle = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (y * z).backward()
    assert x.grad.item() == 100.0
    handle.remove()
    (x * 2).backward()  # and the tape still works
    assert x.grad.item() == 102.0


@pytest.mark.only_wengert
def test_a_failed_backward_leaves_every_grad_alone():
    """PyTorch has already written the gradients of the leaves that it met before the failure."""
    x, z = leaf(2.0), leaf(5.0)
    y = x**2
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (y * z).backward()
    assert x.grad is None and z.grad is None


def test_a_hook_may_call_backward():
    x, w = leaf(2.0), leaf(3.0)
    y = x * 5

    def hook(g):
        assert not wg.is_grad_enabled()  # the outer sweep does not record
        with wg.enable_grad():
            (w**2).backward()

    y.register_hook(hook)
    y.backward()
    assert x.grad.item() == 5.0 and w.grad.item() == 6.0


def test_a_hook_may_drop_the_tensors_it_works_for():
    x = leaf(2.0)
    held = [x * 3]
    held[0].register_hook(lambda g: held.clear())
    y = held[0] * 2
    y.backward()
    assert x.grad.item() == 6.0 and held == []


def test_a_hook_of_the_wrong_kind():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: "gradient")
    with pytest.raises((TypeError, RuntimeError)):
        y.sum().backward()
    assert x.grad is None


class Cube(wg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class Split(wg.autograd.Function):
    """Two outputs, one argument that is no tensor, one input that needs no gradient."""

    @staticmethod
    def forward(ctx, x, factor, unused):
        ctx.factor = factor
        return x * factor, x + 1

    @staticmethod
    def backward(ctx, g, h):
        assert ctx.needs_input_grad == (True, False, False)
        return g * ctx.factor + h, None, None


def test_a_function_defined_in_python():
    x = leaf(1.0, 2.0)
    y = Cube.apply(x)
    assert "CubeBackward" in repr(y)
    y.sum().backward()
    close(x.grad, [3, 12])


def test_a_function_differentiates_twice():
    x = leaf(2.0)
    (g,) = wg.autograd.grad(Cube.apply(x), x, create_graph=True)
    (h,) = wg.autograd.grad(g, x)
    assert (g.item(), h.item()) == (12.0, 12.0)


def test_a_function_with_several_outputs():
    x = leaf(1.0, 2.0)
    y, z = Split.apply(x, 3.0, wg.ones(2))
    (y.sum() + 10 * z.sum()).backward()
    close(x.grad, [13, 13])
    y, _ = Split.apply(x, 3.0, wg.ones(2))
    x.grad = None
    y.sum().backward()  # the unused output arrives as zeros
    close(x.grad, [3, 3])


def test_a_function_without_gradients():
    assert not Cube.apply(wg.ones(2)).requires_grad
    with wg.no_grad():
        assert not Cube.apply(leaf(1.0)).requires_grad


class Broken(wg.autograd.Function):
    @staticmethod
    def forward(ctx, x, where):
        ctx.where = where
        if where == "forward":
            raise KeyError("forward")
        return x * 2

    @staticmethod
    def backward(ctx, g):
        if ctx.where == "count":
            return g, None, None, g
        if ctx.where == "shape":
            return wg.ones(7, dtype=wg.float64), None
        raise KeyError("backward")


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_exceptions_of_a_function_come_out_unchanged(where):
    x = leaf(1.0, 2.0)
    with pytest.raises(KeyError, match=where):
        Broken.apply(x, where).sum().backward()
    assert x.grad is None
    (x * 2).sum().backward()
    close(x.grad, [2, 2])


@pytest.mark.parametrize("where", ["count", "shape"])
def test_a_function_returning_wrong_gradients(where):
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="(?i)gradient"):
        Broken.apply(x, where).sum().backward()
    assert x.grad is None


def test_a_function_is_applied_not_called():
    with pytest.raises(RuntimeError):
        Cube()(leaf(1.0))


def test_an_input_marked_dirty():
    class Double(wg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0, 2.0)
    y = x * 1
    z = Double.apply(y)
    assert z is y
    z.sum().backward()
    close(x.grad, [2, 2])


def test_an_output_marked_non_differentiable():
    class Sorted(wg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            values, places = x.sort()
            ctx.mark_non_differentiable(places)
            ctx.save_for_backward(places)
            return values, places

        @staticmethod
        def backward(ctx, g, _):
            (places,) = ctx.saved_tensors
            return wg.zeros_like(g).scatter(0, places, g)

    x = leaf(3.0, 1.0, 2.0)
    values, places = Sorted.apply(x)
    assert not places.requires_grad
    (values * wg.tensor([1.0, 2.0, 3.0], dtype=wg.float64)).sum().backward()
    close(x.grad, [3, 1, 2])


def test_gradcheck():
    x = leaf(0.5, -1.5)
    assert wg.autograd.gradcheck(lambda t: t.tanh() * t, (x,))
    assert wg.autograd.gradgradcheck(lambda t: t.tanh() * t, (x,))

    class Wrong(wg.autograd.Function):
        @staticmethod
        def forward(ctx, t):
            return t**2

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="(?i)jacobian"):
        wg.autograd.gradcheck(Wrong.apply, (x,))
    assert not wg.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)


@pytest.mark.only_wengert
@pytest.mark.host("long is as long as a CPU makes it")
def test_ctrl_c_in_a_long_backward():
    x = leaf(1.0)
    y = x
    for _ in range(1_000_000):
        y = y * 1.0
    main = threading.main_thread().ident
    # A hook near the end starts the interrupt, so it falls into the middle of the sweep.
    y = y * 1.0
    y.register_hook(lambda g: signal.pthread_kill(main, signal.SIGINT))
    # A shell that starts the tests in its background has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            y.backward()
    finally:
        signal.signal(signal.SIGINT, before)
    assert x.grad is None
    (x * 2).backward()
    assert x.grad.item() == 2.0
