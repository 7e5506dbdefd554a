"""The tape: what is recorded, when it is freed, how deep it may be, and who may use it at once."""

import gc
import os
import sys
import threading
import weakref

import pytest
import wengert as wg
from support import close

pytestmark = pytest.mark.devices(factories=True)


def leaf(*values):
    return wg.tensor(values if len(values) > 1 else values[0], dtype=wg.float64, requires_grad=True)


def test_leaves_and_results():
    x = leaf(1.0, 2.0)
    y = x * 2
    c = wg.ones(2)
    assert x.is_leaf and x.grad_fn is None
    assert not y.is_leaf and y.requires_grad and y.grad_fn is not None
    assert c.is_leaf and not c.requires_grad and (c + c).grad_fn is None


def test_the_graph_can_be_walked():
    x = leaf(2.0)
    y = (x * x + 1).exp()
    names = []
    node = y.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    assert [n.rsplit("::", 1)[-1] for n in names] == [
        "ExpBackward0",
        "AddBackward0",
        "MulBackward0",
        "AccumulateGrad",
    ]
    assert len((x * y).grad_fn.next_functions) == 2
    assert (x * 2).grad_fn.next_functions[1] == (None, 0)


def test_several_outputs_have_numbers():
    x = leaf(3.0, 1.0, 2.0)
    values, places = x.sort()
    assert values.output_nr == 0 and not places.requires_grad
    assert wg.linalg.slogdet(x.reshape(3, 1) * x)[1].output_nr == 1
    (values * wg.tensor([1.0, 10.0, 100.0], dtype=wg.float64)).sum().backward()
    close(x.grad, [100, 1, 10])


def test_autograd_grad_leaves_grad_alone():
    x, z = leaf(3.0), leaf(1.0)
    (g,) = wg.autograd.grad(x**2, x)
    assert g.item() == 6.0 and x.grad is None
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        wg.autograd.grad(x**2, (x, z))
    gx, gz = wg.autograd.grad(x**2, (x, z), allow_unused=True)
    assert gx.item() == 6.0 and gz is None
    gx, gz = wg.autograd.grad(x**2, (x, z), materialize_grads=True)
    assert gz.item() == 0.0


def test_grad_of_an_intermediate_value():
    x = leaf(2.0)
    y = x**2
    z = y**3
    gy, gx = wg.autograd.grad(z, (y, x))
    assert gy.item() == 48.0 and gx.item() == 192.0


def test_several_roots_with_their_gradients():
    x = leaf(1.0, 2.0)
    y, z = x * 2, x**2
    wg.autograd.backward([y, z], [wg.tensor([1.0, 1.0]).double(), wg.tensor([1.0, 10.0]).double()])
    close(x.grad, [2 + 2, 2 + 40])


def test_backward_to_chosen_inputs_only():
    x, z = leaf(2.0), leaf(3.0)
    (x * z).backward(inputs=[x])
    assert x.grad.item() == 3.0 and z.grad is None


def test_a_value_used_many_times():
    x = leaf(1.5)
    y = x
    for _ in range(20):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**20


@pytest.mark.parametrize("order, want", [(1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0), (5, 0.0)])
def test_any_order_of_derivative(order, want):
    x = leaf(2.0)
    y = x**4
    for _ in range(order):
        (y,) = wg.autograd.grad(y, x, create_graph=True)
    assert y.item() == want


def test_the_gradient_of_a_gradient_norm():
    x = leaf(1.0, 2.0)
    y = (x**3).sum()
    (g,) = wg.autograd.grad(y, x, create_graph=True)
    (g**2).sum().backward()
    close(x.grad, [36 * 1.0, 36 * 8.0])


def test_backward_with_create_graph_gives_a_differentiable_gradient():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    (g,) = wg.autograd.grad(x.grad, x)
    assert g.item() == 18.0
    x.grad = None


def test_grad_modes():
    x = leaf(1.0)
    with wg.no_grad():
        assert not (x * 2).requires_grad and not wg.is_grad_enabled()
        with wg.enable_grad():
            assert (x * 2).requires_grad
        assert not wg.is_grad_enabled()
    with wg.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @wg.no_grad()
    def f(t):
        return t * 2

    assert not f(x).requires_grad
    with pytest.raises(ZeroDivisionError), wg.no_grad():
        1 / 0  # noqa: B018
    assert wg.is_grad_enabled()


def test_inference_mode():
    x = leaf(1.0)
    with wg.inference_mode():
        y = x * 2
        assert wg.is_inference_mode_enabled()
    assert not y.requires_grad and y.item() == 2.0 and wg.is_grad_enabled()


def test_grad_mode_belongs_to_the_thread():
    seen = []
    with wg.no_grad():
        t = threading.Thread(target=lambda: seen.append(wg.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


def test_detach_stops_the_gradient():
    x = leaf(2.0)
    y = x**2
    (y.detach() * x).backward()
    assert x.grad.item() == 4.0
    z = x * 3
    assert z.detach_() is z and not z.requires_grad and z.grad_fn is None


def test_retain_grad():
    x = leaf(2.0)
    y = x**2
    y.retain_grad()
    assert y.retains_grad
    (y * 3).backward()
    assert y.grad.item() == 3.0
    z = x * 2
    z.backward()
    with pytest.warns(UserWarning, match="leaf"):
        assert z.grad is None


def test_the_dtype_and_shape_of_a_gradient_are_those_of_the_value():
    x = wg.ones(3, 1, dtype=wg.float16, requires_grad=True)
    y = (x + wg.ones(1, 4, dtype=wg.float64)).sum()
    y.backward()
    assert x.grad.dtype == wg.float16 and x.grad.shape == (3, 1)
    close(x.grad, [[4.0]] * 3)


def test_grad_can_be_assigned_and_is_checked():
    x = leaf(1.0, 2.0)
    x.grad = wg.ones(2, dtype=wg.float64)
    (x * 2).sum().backward()
    close(x.grad, [3, 3])
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = wg.ones(3, dtype=wg.float64)
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = "gradient"
    close(x.grad, [3, 3])
    x.grad = None
    assert x.grad is None


@pytest.mark.host("a million operations take a GPU minutes")
def test_a_chain_of_a_million_operations():
    x = leaf(1.0)
    y = x
    for _ in range(500_000):
        y = (y + 1e-6) * 1.0
    y.backward()
    assert x.grad.item() == 1.0
    close(y, 1.5, tol=1e-6)
    del y  # frees a million nodes without recursion
    gc.collect()


@pytest.mark.host("a long chain takes a GPU minutes")
def test_a_long_chain_is_dropped_without_backward():
    x = leaf(1.0)
    y = x
    for _ in range(300_000):
        y = y * 1.0
    del y
    assert x.grad is None


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_loop_without_backward_stays_at_constant_memory():
    x = wg.ones(1000, dtype=wg.float64, requires_grad=True)

    def loop(n):
        for _ in range(n):
            ((x * 2).tanh() + x).sum()

    loop(500)
    before = resident()
    loop(5_000)
    assert resident() - before < 8 << 20  # keeping every step would be 160 MB


@pytest.mark.only_wengert
def test_live_counts_return_to_where_they_were():
    def snapshot():
        gc.collect()
        return wg.debug.live()

    x = wg.ones(100, requires_grad=True)
    (x * 2).sum().backward()
    before = snapshot()
    y = (x.tanh() * 2).sum()
    during = snapshot()
    assert during != before
    y.backward()
    del y
    x.grad = None
    x.grad = wg.zeros(100)
    assert snapshot() == before


def test_saved_values_are_freed_by_backward_and_by_dropping():
    x = leaf(1.0, 2.0)
    y = x.exp()
    ref = weakref.ref(y)
    z = y * y
    del y
    z.sum().backward()
    del z
    gc.collect()
    assert ref() is None


def test_threads_run_backward_at_once():
    results, errors = {}, []

    def work(k):
        try:
            for _ in range(50):
                x = leaf(float(k))
                y = x
                for _ in range(30):
                    y = y * 1.0 + x
                y.backward()
                results[k] = x.grad.item()
        except Exception as e:  # noqa: BLE001 - reported by the main thread
            errors.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert results == {k: 31.0 for k in range(8)}


def test_threads_share_a_leaf():
    w = leaf(2.0)
    errors = []

    def work():
        try:
            for _ in range(100):
                (w * 3).backward()
        except Exception as e:  # noqa: BLE001 - reported by the main thread
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    if wg.__name__ != "torch":  # PyTorch promises nothing about the sum here
        assert w.grad.item() == 1200.0


@pytest.mark.only_wengert
@pytest.mark.host("a GPU does not survive a fork")
def test_the_child_of_a_fork_works():
    x = wg.randn(200, 200, requires_grad=True)
    (x @ x).sum().backward()  # the thread pool is running
    child = os.fork()
    if child == 0:
        try:
            y = wg.randn(200, 200, requires_grad=True)
            (y @ y).tanh().sum().backward()
            os._exit(0 if y.grad is not None and x.grad is not None else 1)
        except BaseException:  # noqa: BLE001 - the child must not return into pytest
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
