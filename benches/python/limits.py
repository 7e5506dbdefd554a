"""The machine's limits, memory's GB/s and the processors' f32 GFLOP/s, and the share of them that a result reaches.

python benches/python/limits.py [limits.json]

benches/run.py measures them once and names the file in WENGERT_BENCH_LIMITS; without that each process measures.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from programs import MODULES

HANDED = "WENGERT_BENCH_LIMITS"
PEAK = Path(__file__).parents[2] / "rust/cpu/examples/peak.rs"
LENGTH = 1 << 26  # floats of an array: 256 MiB, far more than caches hold
ROUNDS = 25


@dataclass
class Limits:
    """What the machine does at most, and how that was found."""

    bytes: float
    bytes_by: str
    flops: float | None
    flops_by: str

    def __str__(self):
        memory = f"{self.bytes * 1e-9:.1f} GB/s ({self.bytes_by})"
        if self.flops is None:
            return f"memory {memory}, FMA peak not measured ({self.flops_by})"
        return f"memory {memory}, FMA peak {self.flops * 1e-9:.0f} GFLOP/s ({self.flops_by})"


def shortest(call):
    """Seconds of the best of some calls: whatever else the machine does can only slow one."""

    def once():
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min(once() for _ in range(ROUNDS))


def memory():
    """Bytes a second, read and written, of arrays in memory, and by which of several ways: the best.

    A copy may move more than is counted, since processors read what they are about to overwrite; b += a does not.
    """
    threads = os.cpu_count() or 1
    parts = [slice(LENGTH * k // threads, LENGTH * (k + 1) // threads) for k in range(threads)]
    a, b = (np.empty(LENGTH, np.float32) for _ in range(2))
    with ThreadPoolExecutor(threads) as pool:

        def split(part):
            """All threads do `part(slice)`; numpy lets them run side by side."""
            return lambda: list(pool.map(part, parts))

        for array in (a, b):
            split(lambda s, array=array: array[s].fill(1.0))()
        seconds = {
            "numpy.copyto": shortest(split(lambda s: np.copyto(b[s], a[s]))) / 2,
            "numpy.add in place": shortest(split(lambda s: np.add(a[s], b[s], out=b[s]))) / 3,
        }
    for name, m in MODULES.items():
        source, target = m.from_numpy(a), m.from_numpy(b)
        seconds[f"{name}'s copy_"] = shortest(lambda s=source, t=target: t.copy_(s)) / 2
    best = min(seconds, key=seconds.get)
    return a.nbytes / seconds[best], f"{best}, threads: {threads}"


def arithmetic():
    """The f32 operations a second of fused multiply-adds in registers, and in what; without rustc None, and why."""
    if shutil.which("rustc") is None:
        return None, "rustc is not found"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        subprocess.run(["rustc", "--edition=2021", "-Copt-level=3", "-o", program, PEAK], check=True)
        said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    rate, how = said.strip().split(" GFLOP/s of f32, ")
    return float(rate) * 1e9, how


@functools.cache
def limits():
    """This machine's, measured by who asks first."""
    handed = os.environ.get(HANDED)
    if handed:
        return Limits(**json.loads(Path(handed).read_text()))
    found = Limits(*memory(), *arithmetic())
    print(f"limits: {found}", flush=True)
    return found


def noted(result, words):
    result.note = "; ".join(filter(None, [result.note, words]))
    return result


def computed(result, operations):
    """The result with a note of its operations a second and their share of the FMA peak."""
    rate, peak = operations / result.times["wengert"], limits().flops
    share = f"{rate / peak:.0%} of the peak" if peak else "peak not measured"
    return noted(result, f"{rate * 1e-9:.0f} GFLOP/s, {share}")


def moved(result, *arrays):
    """The result with a note of the bytes a second of these arrays, and their share of memory's limit.

    They are what a call reads and writes, once each. What stays in caches may be faster than memory.
    """
    rate = sum(array.nbytes for array in arrays) / result.times["wengert"]
    return noted(result, f"{rate * 1e-9:.1f} GB/s, {rate / limits().bytes:.0%} of memory's limit")


if __name__ == "__main__":
    measured = limits()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(asdict(measured)))
