"""Objects whose last name goes while the core keeps their tensor, and cycles through tensors: against PyTorch."""

import gc
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest
import wengert as wg

torch = pytest.importorskip("torch")


def noted_grad(m):
    x = m.ones(2, requires_grad=True)
    x.sum().backward()
    x.grad.foo = 5
    gc.collect()
    return x.grad.foo, x.grad.tolist()


def grad_of_a_subclass(m):
    class Mine(m.Tensor):
        pass

    x = m.ones(2, requires_grad=True)
    g = m.Tensor._make_subclass(Mine, m.ones(2))
    g.foo = 3
    x.grad = g
    del g
    gc.collect()
    again = x.grad
    return type(again).__name__, again.foo, again is x.grad


def base_parameter(m):
    p = m.nn.Parameter(m.ones(4))
    p.note = "n"
    v = p[:2]
    del p
    gc.collect()
    return type(v._base).__name__, v._base.note, v._base.requires_grad


def accumulated_parameter(m):
    p = m.nn.Parameter(m.ones(2))
    z = (p * 1).grad_fn
    del p
    gc.collect()
    return type(z.next_functions[0][0].variable).__name__


def many_times(m):
    x = m.ones(2, requires_grad=True)
    x.sum().backward()
    x.grad.count = 0
    for _ in range(100):
        x.grad.count += 1
    return x.grad.count


@pytest.mark.parametrize(
    "program", [noted_grad, grad_of_a_subclass, base_parameter, accumulated_parameter, many_times]
)
def test_attributes_and_class_stay(program):
    assert program(wg) == program(torch)


def test_what_is_left_goes_with_the_tensor():
    class Note:
        pass

    for m in (torch, wg):
        x = m.ones(2, requires_grad=True)
        x.sum().backward()
        x.grad.note = Note()
        seen = weakref.ref(x.grad.note)
        gc.collect()
        assert seen() is not None
        x.grad = None
        assert seen() is None, m.__name__


def function(m):
    class F(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, note):
            y = x * 1
            ctx.note, ctx.y = note, y
            return y

        @staticmethod
        def backward(ctx, g):
            return g, None

    return F


def itself(m, note):
    x = m.ones(1)
    x.me, x.note = x, note


def leaf_hook(m, note):
    x = m.ones(1, requires_grad=True)
    x.register_hook(lambda g: (x, note)[0])


def leaf_hook_with_handle(m, note):
    x = m.ones(1, requires_grad=True)
    x.handle = x.register_hook(lambda g: (x, note)[0])


def after_hook(m, note):
    x = m.ones(1, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda t: (x, note)[0])


def module_hook(m, note):
    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.p = m.nn.Parameter(m.ones(1))
            self.note = note
            self.handle = self.p.register_hook(self.hook)

        def hook(self, g):
            return g

    Net()


def output_on_ctx(m, note):
    function(m).apply(m.ones(1, requires_grad=True), note)


@pytest.mark.parametrize(
    "make", [itself, leaf_hook, leaf_hook_with_handle, after_hook, module_hook, output_on_ctx]
)
def test_cycles_are_collected(make):
    class Note:
        pass

    # PyTorch does not look at hooks that run afterwards.
    for m in (wg,) if make is after_hook else (torch, wg):
        note = Note()
        seen = weakref.ref(note)
        make(m, note)
        del note
        gc.collect()
        assert seen() is None, m.__name__


def test_cycles_over_what_is_left_of_an_object_are_collected():
    class Note:
        pass

    def derived():
        x = wg.ones(1, requires_grad=True)
        x.note, x.twice = Note(), x * 2
        return weakref.ref(x.note)

    def view():
        x = wg.ones(3)
        x.note, x.part = Note(), x[:2]
        return weakref.ref(x.note)

    def own_grad():
        x = wg.ones(1, requires_grad=True)
        x.sum().backward()
        x.grad.note, x.grad.owner = Note(), x
        return weakref.ref(x.grad.note)

    for make in (derived, view, own_grad):
        seen = make()
        gc.collect()
        assert seen() is None, make.__name__


def test_what_is_in_use_is_not_collected():
    F = function(wg)
    x = wg.ones(3, requires_grad=True)
    calls = []
    x.register_hook(lambda g: calls.append(x) or g * 2)
    y = F.apply(x, "note")
    z = y * 2
    del y
    gc.collect()
    z.sum().backward()
    gc.collect()
    assert x.grad.tolist() == [4, 4, 4] and calls == [x] and z.grad_fn.next_functions[0][0].note == "note"
    # a hook that only the core's own use of the leaf keeps
    w = wg.ones(2, requires_grad=True)
    w.register_hook(lambda g: calls.append(g.shape) or g * 3)
    out = w * 2
    v = weakref.ref(w)
    del w
    gc.collect()
    out.sum().backward()
    assert calls[-1] == (2,) and v() is None


def test_collections_while_other_threads_compute():
    """Hooks survive collections that run while their tensors are in use without the GIL."""
    stop, wrong = threading.Event(), []

    def work():
        while not stop.is_set():
            x = wg.ones(20_000, requires_grad=True)
            met = []
            x.register_hook(lambda g, met=met, x=x: met.append(x.shape) or g * 2)
            y = x * 2
            for _ in range(3):
                y = y * x
            y.sum().backward()
            if met != [(20_000,)] or x.grad[0].item() != 16:
                wrong.append((met, x.grad[0].item()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(20):
        gc.collect()
    stop.set()
    for t in threads:
        t.join()
    assert not wrong


def test_a_hook_is_removed_although_its_tensor_is_gone():
    for m in (torch, wg):
        x = m.ones(2, requires_grad=True)
        y = x * 2
        handle = y.register_hook(lambda g: g * 100)
        z = y.sum()
        del y
        handle.remove()
        z.backward()
        assert x.grad.tolist() == [2, 2], m.__name__


def test_nothing_is_said_while_the_interpreter_ends():
    program = """
    import builtins, sys
    import wengert as wg
    x = wg.ones(2, requires_grad=True)
    x.note = "kept"
    y = x * 2
    y.register_hook(lambda g: g)
    z = wg.ones(3)
    builtins.kept = [x, y, z]
    sys.kept = [wg.ones(1)]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
