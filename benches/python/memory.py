"""Very long chains: time per op, bytes per node, and that what nobody can reach is freed; peaks of training steps.

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
from training import STEPS

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


def peak(m, title):
    """The most memory that a training step takes, with its model, above what the library takes by itself."""
    (m.ones(64, 64) @ m.ones(64, 64)).sum().item()
    gc.collect()
    before = resident()
    step = STEPS[title][0](m)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    for _ in range(3):
        step()
    return {"bytes": highest() - before}


def attention(m, form):
    """The same for attention over 2048 places, forward and backward: by tiles, or with all scores in memory."""
    q, k, v = (m.randn(1, 8, 2048, 32, requires_grad=True) for _ in range(3))
    gc.collect()
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")
    if form == "tiled":
        out = m.nn.functional.scaled_dot_product_attention(q, k, v)
    else:
        out = (q @ k.transpose(-1, -2) / 32**0.5).softmax(-1) @ v
    out.backward(m.ones_like(out))
    return {"bytes": highest() - before}


def highest():
    """Bytes of this process that were in memory at most, since that was reset."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measure(task, module, argument=LENGTH):
    """One reading, in a fresh process."""
    command = [sys.executable, __file__, "--worker", task, module, str(argument)]
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

    for title in STEPS:
        peaks = [
            {name: measure("peak", m.__name__, title)["bytes"] / 2**20 for name, m in MODULES.items()}
            for _ in range(ROUNDS)
        ]
        add_peaks(report, f"peak of {title}", peaks, "torch", 1.0)
    peaks = [
        {
            who: measure("attention", MODULES["wengert"].__name__, form)["bytes"] / 2**20
            for who, form in FORMS.items()
        }
        for _ in range(ROUNDS)
    ]
    add_peaks(report, "peak of attention over 2048 places, and backward", peaks, "all scores", 0.3)


FORMS = {"wengert": "tiled", "all scores": "naive"}


def add_peaks(report, title, peaks, base, bar):
    """Readings in MiB, against those of `base`."""
    medians = {name: sorted(p[name] for p in peaks)[len(peaks) // 2] for name in peaks[0]}
    ratios = {"wengert": bootstrap([p["wengert"] / p[base] for p in peaks])} if base in medians else {}
    report.add(Result(title, medians, ratios, base, bar, "MiB"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        task, name, argument = sys.argv[2:]
        readings = {"chain": chain, "discarded": discarded, "peak": peak, "attention": attention}
        argument = int(argument) if argument.isdigit() else argument
        print(json.dumps(readings[task](importlib.import_module(name), argument)))
    else:
        main("Memory and long chains", run)
