"""The threads that large kernels share: how many, from where, and what they compute."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import wengert as wg
from support import python


@pytest.fixture(autouse=True)
def as_before():
    threads = wg.get_num_threads()
    yield
    wg.set_num_threads(threads)


def work():
    """Kernels of all kinds, large enough to be shared out."""
    wg.manual_seed(0)
    x, y = wg.randn(700, 500), wg.randn(500, 600)
    p = wg.nn.Parameter(wg.randn(600, 700))
    optimizer = wg.optim.Adam([p], lr=0.1, amsgrad=True)
    (p * x.T[:1].sum()).sin().sum().backward()
    optimizer.step()
    images = wg.nn.functional.conv2d(x.reshape(1, 7, 100, 500), wg.ones(3, 7, 3, 3))
    return [
        x @ y,
        x @ y[:, :1],
        x.T @ x[:, :1],
        (x + x[:, :1]).exp_(),
        x.T.contiguous(),
        x.half().float(),
        x.sum(0),
        x.sum(1),
        x.sum(),
        x.amax(1),
        x.argmax().reshape(1),
        x.softmax(1),
        x.cumsum(0),
        x.flatten().sort().values,
        images,
        p.detach(),
    ]


def test_results_do_not_depend_on_the_number_of_threads():
    wg.set_num_threads(1)
    alone = work()
    for threads in (2, 3, 7):
        wg.set_num_threads(threads)
        assert wg.get_num_threads() == threads
        for n, (a, b) in enumerate(zip(alone, work(), strict=True)):
            # Products may be cut elsewhere, and then end in other kernels.
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5, err_msg=str(n))


def test_sums_are_the_same_to_the_bit_whatever_the_number_of_threads():
    x = wg.randn(1000, 1003)
    wg.set_num_threads(1)
    alone = [x.sum(), x.sum(0), x.sum(1), x.mean(), x.var()]
    wg.set_num_threads(5)
    assert all(
        wg.equal(a, b) for a, b in zip(alone, [x.sum(), x.sum(0), x.sum(1), x.mean(), x.var()], strict=True)
    )


def test_python_threads_that_compute_at_once():
    expected = [t.numpy().copy() for t in work()[:4]]
    x = wg.randn(700, 500)
    sums = x.sum(1).numpy().copy()

    def one(_):
        return x.sum(1).numpy(), (x.T.contiguous().T - x).abs().max().item()

    with ThreadPoolExecutor(4) as pool:
        for total, off in pool.map(one, range(200)):
            np.testing.assert_array_equal(total, sums)
            assert off == 0
    for a, b in zip(expected, work(), strict=False):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-5, atol=1e-5)


def test_the_number_may_change_while_others_compute():
    x, stop = wg.ones(1000, 1000), threading.Event()

    def change():
        n = 0
        while not stop.is_set():
            n += 1
            wg.set_num_threads(1 + n % 3)

    other = threading.Thread(target=change)
    other.start()
    try:
        assert all((x + x).sum().item() == 2_000_000 for _ in range(100))
    finally:
        stop.set()
        other.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    x = wg.ones(1000, 1000)
    assert (x + x).sum().item() == 2_000_000
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=lambda: send.send([(x * 3).sum().item(), (x @ x).sum().item()]))
    child.start()
    assert receive.poll(60), "the child does not answer"
    assert receive.recv() == [3_000_000, 1e9]
    child.join(60)
    assert child.exitcode == 0
    assert (x + x).sum().item() == 2_000_000


def test_the_environment_says_how_many():
    code = "import wengert as wg; print(wg.get_num_threads(), (wg.ones(1000, 1000) * 2).sum().item())"
    assert python(code, OMP_NUM_THREADS="3")[0] == "3 2000000.0"
    assert python(code, OMP_NUM_THREADS="1")[0] == "1 2000000.0"
    assert python(code, OMP_NUM_THREADS="5,2")[0] == "5 2000000.0"
    # What is no number says nothing.
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for text in ("", "many", "0", "-4"):
        assert python(code, OMP_NUM_THREADS=text)[0] == f"{processors} 2000000.0"


def test_wrong_numbers():
    for wrong in (0, -1):
        with pytest.raises(RuntimeError, match="positive"):
            wg.set_num_threads(wrong)
    for wrong in (2.5, "2", None):
        with pytest.raises(TypeError):
            wg.set_num_threads(wrong)
    with pytest.raises(RuntimeError, match="at most"):
        wg.set_num_threads(10**6)
    with pytest.raises(TypeError, match="64 bits"):
        wg.set_num_threads(10**30)
