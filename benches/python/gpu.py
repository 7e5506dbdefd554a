"""The GPU from Python: chains against single operations, the memory of queued work; on a real card also its rates.

The queue and the product against bare wgpu are in rust/gpu/benches/queue.rs; `make bench-gpu` runs both.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import wengert as wg
from paired import Ratio, Result, compare, main, optional
from programs import mlp_step
from training import convolutional_step, encoder
from wengert import _core

LARGE = 1 << 22
QUEUED = 100_000


def waiting(synchronize, call):
    """The call, and the device's work: its result is held meanwhile, as what nobody holds is not computed."""

    def run():
        held = call()
        synchronize()
        return held

    return run


def warm(call, times=5):
    """Runs it until its chains are compiled."""
    for _ in range(times):
        call()
    _core._gpu_settle()
    call()
    return call


def chain(report):
    """Six operations in a row over a large array against one."""
    x = wg.randn(LARGE, device="gpu")

    def six():
        return ((x * 1.5 + 0.5).relu() - 1.0).square() * 0.25

    def one():
        return x * 1.5

    contenders = {
        "wengert": warm(waiting(wg.gpu.synchronize, six)),
        "one op": warm(waiting(wg.gpu.synchronize, one)),
    }
    before = wg.gpu.stats()
    contenders["wengert"]()
    after = wg.gpu.stats()
    kernels = after.dispatches - before.dispatches
    note = f"{kernels} kernel{'s' if kernels > 1 else ''}"
    report.add(
        compare(f"a chain of 6 ops, {LARGE:,} f32", contenders, base="one op", bar=1.3, rounds=21, note=note)
    )


def resident():
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def queued():
    """What the process grows by while operations are queued that nobody reads, and what is alive of them."""
    x = wg.ones(256, 256, device="gpu")

    def turn(count):
        y = x
        for k in range(count):
            y = y.t() * 1.0 if k % 40 == 0 else y * 1.0
        return y

    turn(200).sum().item()
    _core._gpu_settle()
    wg.gpu.empty_cache()
    before = resident()
    start = time.perf_counter()
    turn(QUEUED)
    grown = resident() - before
    wg.gpu.synchronize()
    return {"grown": grown, "allowed": 2 * 2 * x.nbytes + (64 << 20), "took": time.perf_counter() - start}


def memory(report):
    """The reading above, in a process of its own."""
    if not sys.platform.startswith("linux"):
        print("memory of queued operations: not measured, it reads /proc", flush=True)
        return
    command = [sys.executable, __file__, "--queued"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ratio = found["grown"] / found["allowed"]
    sizes = {"wengert": found["grown"] / 2**20, "allowed": found["allowed"] / 2**20}
    note = f"{found['took'] / QUEUED * 1e6:.3g} µs an op"
    title = f"memory of {QUEUED:,} queued ops"
    report.add(Result(title, sizes, {"wengert": Ratio(ratio, ratio, ratio)}, "allowed", 1.0, "MiB", note))


def rated(result, amount, unit):
    """The same result as amounts a second."""
    result.times = {name: amount / seconds for name, seconds in result.times.items()}
    result.unit = unit
    return result


def devices():
    """By library its module, the name of its device, and what waits for it."""
    found = {"wengert": (wg, "gpu", wg.gpu.synchronize)}
    torch = optional("torch")
    if torch is not None and torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = False
        found["torch"] = (torch, "cuda", torch.cuda.synchronize)
    return found


def contenders(make):
    """By library what `make(module, device)` gives, warmed up and waited for."""
    return {
        name: warm(waiting(synchronize, make(m, device)))
        for name, (m, device, synchronize) in devices().items()
    }


def rates(report):
    """What a card does a second, beside torch's CUDA where that is installed."""
    size = 1 << 26
    elementwise = [
        (
            "x + y",
            3,
            lambda m, d: (lambda x, y: lambda: x + y)(m.randn(size, device=d), m.randn(size, device=d)),
        ),
        ("x.exp()", 2, lambda m, d: (lambda x: lambda: x.exp())(m.randn(size, device=d))),
        ("x.sum()", 1, lambda m, d: (lambda x: lambda: x.sum())(m.randn(size, device=d))),
        ("x.sum(0)", 1, lambda m, d: (lambda x: lambda: x.sum(0))(m.randn(8192, size // 8192, device=d))),
        ("x.sum(1)", 1, lambda m, d: (lambda x: lambda: x.sum(1))(m.randn(8192, size // 8192, device=d))),
    ]
    for title, arrays, make in elementwise:
        result = compare(f"{title}, {size:,} f32", contenders(make), rounds=15)
        report.add(rated(result, arrays * size * 4 / 1e9, "GB/s"))
    for n in (1024, 2048, 4096, 8192):

        def product(m, device, n=n):
            a, b = m.randn(n, n, device=device), m.randn(n, n, device=device)
            return lambda: a @ b

        result = compare(f"matmul {n}³, f32", contenders(product), rounds=9)
        report.add(rated(result, 2 * n**3 / 1e12, "TFLOP/s"))
    for title, make in (
        (
            "perceptron 784-512-512-10, batch 256",
            lambda m, d: mlp_step(m, (784, 512, 512, 10), 256, device=d),
        ),
        ("convolutional net, batch 256", lambda m, d: convolutional_step(m, 256, device=d)),
        ("transformer encoder layer 256/8/1024 on 32×128", lambda m, d: encoder(m, 32, device=d)),
    ):
        report.add(compare(f"step of a {title}", contenders(make), rounds=11))

    def small(m, device):
        x = m.randn(64, device=device)

        def run():
            y = x
            for _ in range(1000):
                y = y * 1.0
            return y

        return run

    report.add(compare("a small op, of 1,000 in a row", contenders(small), per=1000, rounds=11))


def run(report):
    found = wg.gpu.devices()
    if not found:
        print("not measured: there is no GPU; WENGERT_ALLOW_SOFTWARE_GPU=1 allows a software one", flush=True)
        return
    print(f"on {found[0].name}, {found[0].backend}, {found[0].driver}", flush=True)
    chain(report)
    memory(report)
    if found[0].software:
        print("a real card's rates: not measured, this is a software device", flush=True)
    else:
        rates(report)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--queued"]:
        print(json.dumps(queued()))
    else:
        main("The GPU", run)
