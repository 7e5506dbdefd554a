"""Very long chains: time per op, bytes per node, and that what nobody can reach is freed.

Each reading is taken in a process of its own, the libraries in turns.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from paired import Result, bootstrap, main
from programs import MODULES

LENGTH = 1_000_000
ROUNDS = 3
VALUE = 16  # bytes of four f32


def resident():
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def live(m):
    """wengert's own count of nodes and bytes, where the module has one."""
    return dict(m.debug.live()) if hasattr(m, "debug") else {}


def chain(m, length):
    """A chain of `length` products by 1.0 (a smaller factor would end in slow denormals), then backward."""
    x = m.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    (x * 1.0).sum().backward()
    gc.collect()
    before, empty = resident(), live(m)
    start = time.perf_counter()
    y = x
    for _ in range(length):
        y = y * 1.0
    forward = time.perf_counter()
    full, counted = resident(), live(m)
    y.backward(m.ones(4))
    end = time.perf_counter()
    del y
    return {
        "forward": (forward - start) / length,
        "both": (end - start) / length,
        "bytes": (full - before) / length - VALUE,
        "live": {"empty": empty, "full": counted, "after": live(m)},
    }


def discarded(m, length):
    """Taped work whose result is dropped each time, never swept backwards: memory must stay where it is."""
    x = m.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)

    def turn():
        return (x * 2.0).exp().sum()

    for _ in range(1000):
        turn()
    gc.collect()
    before = resident()
    for _ in range(length // 10):
        turn()
    return {"bytes": (resident() - before) / (length // 10)}


def measure(task, module):
    """One reading, in a fresh process."""
    command = [sys.executable, __file__, "--worker", task, module, str(LENGTH)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run(report):
    readings = {name: [] for name in MODULES}
    for _ in range(ROUNDS):
        for name, m in MODULES.items():
            readings[name].append(measure("chain", m.__name__))
    for key, title, bar in (("forward", "forward", None), ("both", "forward and backward", 0.2)):
        times = {name: [r[key] for r in rows] for name, rows in readings.items()}
        medians = {name: sorted(values)[len(values) // 2] for name, values in times.items()}
        ratios = {}
        if "torch" in times:
            ratios["wengert"] = bootstrap(
                [a / b for a, b in zip(times["wengert"], times["torch"], strict=True)]
            )
        note = f"per op, {ROUNDS} processes each"
        report.add(Result(f"chain of 1,000,000, {title}", medians, ratios, "torch", bar, "s", note))

    sizes = {name: sorted(r["bytes"] for r in rows)[ROUNDS // 2] for name, rows in readings.items()}
    against_bar = {"wengert": bootstrap([r["bytes"] / 160 for r in readings["wengert"]])}
    report.add(Result("memory of a node, without its value", sizes, against_bar, "160 bytes", 1.0, "bytes"))
    counts = readings["wengert"][0]["live"]
    print("live():", ", ".join(f"{when} {count}" for when, count in counts.items()), flush=True)

    drops = {name: measure("discarded", m.__name__)["bytes"] for name, m in MODULES.items()}
    report.add(Result("growth of a loop without backward", drops, {}, "", None, "bytes a turn"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        task, name, length = sys.argv[2:]
        print(
            json.dumps(
                {"chain": chain, "discarded": discarded}[task](importlib.import_module(name), int(length))
            )
        )
    else:
        main("Memory and long chains", run)
