"""Runs the benchmarks of benches/python, each in a process of its own, and writes benches/RESULTS.md.

python benches/run.py                      all of them
python benches/run.py --only overhead      some of them
python benches/run.py --no-write           to the terminal alone
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "python"))

from paired import Ratio, Result, machine, shown, verdict  # noqa: E402

FILES = ["overhead", "memory", "training", "matmul", "attention", "elementwise"]
# Measured when asked for: they need hardware that not every machine has.
OTHERS = ["gpu"]


def measured(name, folder):
    """Runs one file; its results, or None if it failed (its words are on the terminal)."""
    out = Path(folder) / f"{name}.json"
    if subprocess.run([sys.executable, HERE / "python" / f"{name}.py", out], check=False).returncode:
        return None
    report = json.loads(out.read_text())
    for result in report["results"]:
        result["ratios"] = {k: Ratio(**v) for k, v in result["ratios"].items()}
    return report["name"], [Result(**result) for result in report["results"]]


def table(results):
    """A Markdown table: times, ratios with their intervals, bars."""
    rows = ["| what | times | ratios [95% interval of the median] | bar |", "|---|---|---|---|"]
    for r in results:
        times = ", ".join(f"{name} {shown(r, value)}" for name, value in r.times.items())
        ratios = "; ".join(f"{name}/{r.base} {ratio}" for name, ratio in r.ratios.items())
        title = f"{r.title} ({r.note})" if r.note else r.title
        rows.append(f"| {title} | {times} | {ratios} | {verdict(r)} |")
    return "\n".join(rows)


def page(sections):
    """The whole of RESULTS.md."""
    bars = [r for _, results in sections for r in results if r.met is not None]
    met = sum(r.met for r in bars)
    lines = [
        "# Measured",
        "",
        f"On {machine()}, {datetime.date.today():%d %B %Y}, by `make bench`.",
        "",
        "Times are medians of one call (or of one op, where that is said).",
        "Contenders run in turns in one process; a ratio is the median of the rounds' own ratios.",
        "A busy machine slows threaded rivals most: see the load.",
        f"Of {len(bars)} bars {met} are met.",
        "",
    ]
    for name, results in sections:
        lines += [f"## {name}", "", table(results), ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=FILES + OTHERS,
        default=FILES,
        metavar="NAME",
        help=", ".join(FILES + OTHERS),
    )
    parser.add_argument("--no-write", action="store_true", help="leave benches/RESULTS.md as it is")
    options = parser.parse_args()
    sections, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            found = measured(name, folder)
            if found is None:
                failed.append(name)
            else:
                sections.append(found)
    bars = [r for _, results in sections for r in results if r.met is not None]
    print(f"{sum(r.met for r in bars)} of {len(bars)} bars met")
    for r in bars:
        if not r.met:
            print(f"  not met: {r.title}: {r.ratios['wengert']} against {r.bar:g}")
    if not options.no_write and set(options.only) == set(FILES) and not failed:
        (HERE / "RESULTS.md").write_text(page(sections))
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
