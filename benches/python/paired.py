"""Timing of contenders in turns, so that a machine's moods touch all of them alike.

Every round times each contender once, in a new random order, over enough repetitions that the clock's
grain does not show. What is reported are ratios within a round: their median, and the 95% interval of
that median by bootstrap.
"""

import gc
import json
import os
import platform
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

ROUND_SECONDS = 0.004  # a contender's share of one round
REST_SECONDS = 0.012  # before each: a rival's idle threads spin for some milliseconds after its last call
BETTER = ("torch", "jax")  # as a base: whichever of them is faster


@dataclass
class Ratio:
    """`name`'s time over `base`'s."""

    median: float
    low: float
    high: float

    def __str__(self):
        return f"{self.median:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass
class Result:
    """What one benchmark found. Times are medians in seconds of one call (or of one `per` of it)."""

    title: str
    times: dict[str, float]
    ratios: dict[str, Ratio]
    base: str = ""
    bar: float | None = None
    unit: str = "s"
    note: str = ""
    by_interval: bool = False

    @property
    def met(self):
        """Whether wengert's ratio (its interval, where that is the bar's rule) reaches the bar.

        None without a bar or without the rival.
        """
        ratio = self.ratios.get("wengert")
        if self.bar is None or ratio is None:
            return None
        return (ratio.low if self.by_interval else ratio.median) <= self.bar


@dataclass
class Report:
    """The results of one file, printed as they come."""

    name: str
    results: list[Result] = field(default_factory=list)

    def add(self, result):
        self.results.append(result)
        print(line(result), flush=True)

    def dump(self, path):
        """Leaves the results for benches/run.py."""
        Path(path).write_text(json.dumps({"name": self.name, "results": [asdict(r) for r in self.results]}))


class Statement:
    """A statement over names, timed as `timeit` does: in a loop of its own, with no call around it.

    A call of an empty function takes as long here as half a small operation.
    """

    def __init__(self, text, **names):
        arguments = ", ".join(["count", "clock", *names])
        head = f"def loop({arguments}):\n    start = clock()\n"
        source = f"{head}    for _ in count:\n        {text}\n    return clock() - start"
        space = {}
        exec(source, space)
        self._loop, self._names = space["loop"], names

    def loop(self, count):
        """Seconds for `count` repetitions."""
        return self._loop(range(count), time.perf_counter, **self._names)


def timed(call, count):
    """Seconds for `count` repetitions of a function or a Statement."""
    if isinstance(call, Statement):
        return call.loop(count)
    numbers = range(count)
    start = time.perf_counter()
    for _ in numbers:
        call()
    return time.perf_counter() - start


def repetitions(call):
    """How often to call so that a round takes about ROUND_SECONDS."""
    # The first calls make what later ones find, and an interruption is no measure: else a round would be a single call.
    timed(call, 1)
    count = 1
    while True:
        took = min(timed(call, count) for _ in range(3))
        if took > ROUND_SECONDS / 4 or count >= 1 << 20:
            return max(1, int(count * ROUND_SECONDS / max(took, 1e-9)))
        count *= 4


def bootstrap(ratios, samples=2000):
    """The median of some ratios with its 95% interval."""
    ratios = np.asarray(ratios)
    draws = np.random.default_rng(0).choice(ratios, size=(samples, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return Ratio(float(np.median(ratios)), float(low), float(high))


def compare(title, contenders, base="torch", bar=None, per=1, rounds=31, note="", by_interval=False):
    """Times `{name: function or Statement}` in turns. `per` is how many operations a call holds.

    `base` is whom the others are compared with: a name, or names of which the fastest is taken.
    """
    contenders = {name: call for name, call in contenders.items() if call is not None}
    counts = {name: repetitions(call) for name, call in contenders.items()}
    times = {name: [] for name in contenders}
    order, shuffle = list(contenders), random.Random(0).shuffle
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                time.sleep(REST_SECONDS)
                times[name].append(timed(contenders[name], counts[name]) / counts[name] / per)
    finally:
        gc.enable()
    medians = {name: float(np.median(t)) for name, t in times.items()}
    if not isinstance(base, str):
        base = min((name for name in base if name in medians), key=medians.get, default="")
    ratios = {}
    if base in times:
        for name in contenders:
            if name != base:
                ratios[name] = bootstrap(np.array(times[name]) / np.array(times[base]))
    return Result(title, medians, ratios, base, bar, "s", note, by_interval)


def against_better(title, contenders, bar, rounds=15, note=""):
    """A bar that counts from the faster rival and holds where the interval reaches it."""
    return compare(title, contenders, BETTER, bar, rounds=rounds, note=note, by_interval=True)


def seconds(value):
    """A time as a person reads it."""
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def verdict(result):
    """The bar in words."""
    if result.bar is None:
        return ""
    if result.met is None:
        return f"bar {result.bar:g}, not measured"
    return f"bar {result.bar:g} {'met' if result.met else 'NOT met'}"


def shown(result, value):
    return seconds(value) if result.unit == "s" else f"{value:.4g} {result.unit}"


def line(result):
    """One line for the terminal."""
    times = ", ".join(f"{name} {shown(result, value)}" for name, value in result.times.items())
    parts = [f"{name}/{result.base} {ratio}" for name, ratio in result.ratios.items()]
    return " | ".join(
        filter(None, [f"{result.title:44}", times, ", ".join(parts), verdict(result), result.note])
    )


def processor():
    """The processor's name as the system gives it."""
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine():
    """Processor, cores and versions: figures mean nothing without them."""
    versions = [f"Python {platform.python_version()}"]
    for name in ("wengert", "torch", "numpy", "jax"):
        module = optional(name)
        if module is not None:
            versions.append(f"{name} {module.__version__}")
    # A busy machine slows threaded rivals most, so the load belongs to the figures.
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return f"{processor()}, {load}; {', '.join(versions)}"


def optional(name):
    """A module, or None where it is not installed."""
    try:
        return __import__(name)
    except ImportError:
        return None


def main(name, run):
    """Entry of each file: `python FILE [results.json]`."""
    print(f"# {name}: {machine()}", flush=True)
    report = Report(name)
    run(report)
    if len(sys.argv) > 1:
        report.dump(sys.argv[1])
