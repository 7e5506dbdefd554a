"""Instructions that the programs of overhead.py take, counted by valgrind's callgrind: unlike times they do not wobble.

python benches/python/counts.py --profile release            compares with benches/counts.json
python benches/python/counts.py --profile release --write    records anew

Kernels use the baseline instruction set, since valgrind knows no AVX-512. The profile is the one that wengert was built
with, which cannot be seen from here.
"""

import argparse
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import wengert
from paired import Statement, timed

HERE = Path(__file__)
RECORDED = HERE.parents[1] / "counts.json"
GROWTH = 0.03  # what a count may grow by
# A function that nothing else calls: where callgrind sees it, it writes down what it has counted since the last time.
MARK = os.getppid
SETTINGS = {"WENGERT_ISA": "base", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def rows():
    """The programs. torch is hidden from them: to load it would take valgrind minutes."""
    sys.modules["torch"] = None
    import overhead

    return overhead.BASIC + overhead.VARIANTS


def worker():
    """Runs each program, and one that does nothing as often, each between two marks; prints titles and operations."""
    ran = []
    for row in rows():
        call = row.make(wengert)
        count = 1000 if isinstance(call, Statement) else 20
        empty = Statement("pass") if isinstance(call, Statement) else lambda: None
        timed(call, count)
        timed(empty, count)
        gc.collect()
        gc.disable()
        for program in (call, empty):
            MARK()
            timed(program, count)
            MARK()
        gc.enable()
        ran.append((row.title, count * row.per))
    print(json.dumps(ran))


def counted():
    """{title: instructions of one operation}, without those of the loop around it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = ["valgrind", "-q", "--tool=callgrind", f"--dump-before={MARK.__name__}"]
        command += [f"--callgrind-out-file={out}", sys.executable, str(HERE), "--worker"]
        done = subprocess.run(
            command, env=os.environ | SETTINGS, stdout=subprocess.PIPE, text=True, check=True
        )
        ran = json.loads(done.stdout)
        # Dump 1 ends at the first mark, 2 is the first program, 3 lies between, 4 is the empty one, …
        dumps = [out.with_name(f"counts.{k}") for k in range(2, 4 * len(ran) + 1, 2)]
        totals = [total(dump) for dump in dumps]
    pairs = zip(ran, totals[::2], totals[1::2], strict=True)
    return {title: round((full - empty) / operations) for (title, operations), full, empty in pairs}


def total(dump):
    """The instructions in one of callgrind's files."""
    return next(int(x.split()[1]) for x in dump.read_text().splitlines() if x.startswith("totals:"))


def conditions(profile):
    """What counts depend on besides wengert: they are compared only where all of this is alike."""
    versions = {"Python": platform.python_version(), "numpy": np.__version__}
    return versions | {"processor": platform.machine(), "profile": profile}


def version():
    """wengert's, and the commit of this working tree."""
    command = ["git", "-C", str(HERE.parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"{wengert.__version__} at {commit}"


def compared(old, new):
    """Prints both counts of each program; the complaints."""
    complaints = []
    for title in sorted({*old, *new}, key=[*new, *old].index):
        before, now = old.get(title), new.get(title)
        if before is None or now is None:
            verdict = "is not recorded" if before is None else "is recorded, but there is no such program"
            complaints.append(f"{title}: {verdict}; `make bench-counts` records anew")
            continue
        change = now / before - 1
        line = f"{title}: {before:,} instructions recorded, now {now:,} ({change:+.1%})"
        print(line, flush=True)
        if change > GROWTH:
            complaints.append(line)
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True, help="the profile that wengert was built with")
    parser.add_argument("--write", action="store_true", help=f"record the counts in benches/{RECORDED.name}")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        return "valgrind is not found: it counts the instructions"
    here = conditions(options.profile)
    if options.write:
        found = counted()
        RECORDED.write_text(
            json.dumps({"conditions": here, "wengert": version(), "counts": found}, indent=2) + "\n"
        )
        for title, count in found.items():
            print(f"{title}: {count:,} instructions")
        return 0
    recorded = json.loads(RECORDED.read_text())
    other = [f"{k} {v} (here {here[k]})" for k, v in recorded["conditions"].items() if v != here[k]]
    if other:
        return f"not compared: the counts were recorded with {', '.join(other)}; `make bench-counts` records anew"
    complaints = compared(recorded["counts"], counted())
    if complaints:
        return f"grown by more than {GROWTH:.0%}, or unknown:\n  " + "\n  ".join(complaints)
    print(f"no count grew by more than {GROWTH:.0%} since wengert {recorded['wengert']}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        worker()
    else:
        sys.exit(main())
