"""Chains of elementwise operations become one kernel: the same numbers by fewer kernels, in little memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import wengert as wg
from wengert import _core, nn


def losses(steps):
    """Losses of a small network whose activations are chains."""
    wg.manual_seed(3)
    net = nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 1)).to("gpu")
    x = wg.randn(32, 3).to("gpu")
    y = (x[:, :1] * x[:, 1:2]).tanh()
    optimizer = wg.optim.Adam(net.parameters(), lr=0.01)
    out = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        out.append(loss.item())
    return out


def test_training_gives_the_same_losses_once_chains_are_compiled():
    first = losses(6)
    _core._gpu_settle()
    before = wg.gpu.stats()
    again = losses(6)
    after = wg.gpu.stats()
    assert again == first
    assert again[-1] < again[0]
    assert after.chains > before.chains
    assert after.chained - before.chained > (after.steps - before.steps) / 2


@pytest.mark.parametrize(
    "program",
    [lambda x, row: (x * 2 + row).sigmoid() * x, lambda x, row: ((x * 2 - 1) ** 2).sum(1)],
    ids=["a chain", "a sum of a chain"],
)
def test_four_calls_become_one_kernel(program):
    x = wg.randn(64, 64, device="gpu")
    row = wg.randn(64, device="gpu")

    def turn():
        before = wg.gpu.stats()
        out = program(x, row).tolist()
        after = wg.gpu.stats()
        return out, after.dispatches - before.dispatches

    wg.gpu.synchronize()
    alone, many = turn()
    for _ in range(3):
        turn()
    _core._gpu_settle()
    fused, few = turn()
    assert fused == alone
    assert (many, few) == (4, 1)


def test_a_process_may_end_while_chains_are_being_compiled():
    program = """
import wengert as wg
x = wg.randn(8, device="gpu")
for length in range(2, 12):
    for _ in range(3):
        y = x
        for _ in range(length):
            y = y.sin() + 1
        y.tolist()
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_an_intermediate_that_is_held_can_be_read():
    x = wg.arange(6.0, device="gpu")
    for _ in range(6):
        y = x * 2
        z = (y + 1).exp().log()
        wg.gpu.synchronize()
        assert y.tolist() == [0, 2, 4, 6, 8, 10]
        assert z.tolist() == pytest.approx([1, 3, 5, 7, 9, 11], rel=1e-5)
        _core._gpu_settle()


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_hundred_thousand_queued_operations():
    x = wg.ones(256, 256, device="gpu")

    def run(count):
        y = x
        for k in range(count):
            y = y.t() * 1.0 if k % 40 == 0 else y * 1.0
        return y

    run(200).sum().item()
    _core._gpu_settle()
    wg.gpu.empty_cache()
    wg.gpu.reset_peak_memory_stats()
    before, live = resident(), 2 * 256 * 256 * 4
    y = run(100_000)
    assert resident() - before < 2 * live + (64 << 20)
    assert wg.gpu.max_memory_allocated() < 2 * live + (64 << 20)
    assert y.sum().item() == 256 * 256
