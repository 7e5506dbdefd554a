"""`wengert.cpu` counts memory as it is taken and given back."""

import gc

import numpy as np
import pytest
import wengert as wg

pytestmark = pytest.mark.only_wengert

MB = 1 << 20


@pytest.fixture(autouse=True)
def nothing_else_is_freed():
    """What other tests have left in reference cycles goes before, not in between."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def kept():
    return wg.cpu.memory_reserved() - wg.cpu.memory_allocated()


def test_a_large_tensor_is_counted_while_it_lives():
    before = wg.cpu.memory_allocated()
    x = wg.empty(3 * MB, dtype=wg.uint8)
    assert wg.cpu.memory_allocated() == before + 3 * MB
    view = x[MB:].view(2, MB)
    assert wg.cpu.memory_allocated() == before + 3 * MB
    del x
    assert wg.cpu.memory_allocated() == before + 3 * MB
    del view
    assert wg.cpu.memory_allocated() == before


@pytest.mark.parametrize("size", [65, 1000, 65_535, 65_537, 100_001, MB + 1, 5 * MB + 4321])
def test_blocks_are_little_larger_than_tensors(size):
    before = wg.cpu.memory_allocated()
    x = wg.empty(size, dtype=wg.uint8)
    taken = wg.cpu.memory_allocated() - before
    assert size <= taken <= max(size + 63, size * 9 // 8)
    del x
    assert wg.cpu.memory_allocated() == before


def test_what_is_not_counted():
    array = np.ones(MB)
    before = wg.cpu.memory_allocated()
    small, shared = wg.ones(8, dtype=wg.float64), wg.from_numpy(array)
    meta = wg.ones(MB, device="meta")
    assert wg.cpu.memory_allocated() == before
    assert small.nbytes == 64 and shared.nbytes == meta.nbytes * 2 == array.nbytes


def test_what_the_tape_keeps_is_counted():
    x = wg.ones(MB, requires_grad=True)
    before = wg.cpu.memory_allocated()
    total = x.exp().sum()
    assert wg.cpu.memory_allocated() == before + x.nbytes
    total.backward()
    del total
    # The values are gone, and the gradient is there.
    assert wg.cpu.memory_allocated() == before + x.nbytes
    x.grad = None
    assert wg.cpu.memory_allocated() == before


def test_the_most_there_was():
    wg.cpu.reset_peak_memory_stats()
    before = wg.cpu.memory_allocated()
    assert wg.cpu.max_memory_allocated() == before
    x, y = wg.empty(2 * MB, dtype=wg.uint8), wg.empty(4 * MB, dtype=wg.uint8)
    del x
    z = wg.empty(MB, dtype=wg.uint8)
    assert wg.cpu.max_memory_allocated() == before + 6 * MB
    assert wg.cpu.memory_allocated() == before + y.nbytes + z.nbytes
    wg.cpu.reset_peak_memory_stats()
    assert wg.cpu.max_memory_allocated() == before + 5 * MB


def test_freed_blocks_are_kept_until_they_are_given_back():
    wg.cpu.empty_cache()
    assert kept() == 0
    x = wg.empty(4 * MB, dtype=wg.uint8)
    before = wg.cpu.memory_reserved()
    del x
    assert kept() == 4 * MB and wg.cpu.memory_reserved() == before
    # The next of its size takes it.
    x = wg.empty(4 * MB, dtype=wg.uint8)
    assert kept() == 0 and wg.cpu.memory_reserved() == before
    del x
    wg.cpu.empty_cache()
    assert kept() == 0 and wg.cpu.memory_reserved() == before - 4 * MB


def test_the_summary():
    threads = wg.get_num_threads()
    held = wg.empty(3 * MB, dtype=wg.uint8)
    del held
    held = wg.empty(2 * MB, dtype=wg.uint8)
    try:
        wg.set_num_threads(3)
        title, *lines = wg.cpu.memory_summary().splitlines()
    finally:
        wg.set_num_threads(threads)
    assert title.split("  ")[0] == "cpu" and title.split("  ")[1]
    figures = {
        "allocated": wg.cpu.memory_allocated(),
        "at most": wg.cpu.max_memory_allocated(),
        "kept for the next": kept(),
    }
    assert held.nbytes <= figures["allocated"] < figures["at most"] and figures["kept for the next"] >= 3 * MB
    want = [f"  {name:<18} {size / MB:10.2f} MiB" for name, size in figures.items()]
    want += [f"  {'threads':<18} {3:>10}"]
    want += [f"  {'instruction set':<18} {wg.backends.cpu.get_cpu_capability():>10}"]
    assert lines == want


MEMORY = [
    "memory_allocated",
    "max_memory_allocated",
    "memory_reserved",
    "memory_summary",
    "reset_peak_memory_stats",
    "empty_cache",
]


@pytest.mark.parametrize("name", MEMORY)
def test_the_device_may_be_named_but_is_the_cpu(name):
    ask = getattr(wg.cpu, name)
    for device in (None, "cpu", "cpu:0", wg.device("cpu")):
        ask(device)
        ask(device=device)
    for other in ("meta", "gpu", wg.device("gpu", 1)):
        with pytest.raises(ValueError, match=f"Expected the CPU, but got device '{other}'"):
            ask(other)
    with pytest.raises(TypeError, match="not int"):
        ask(0)
