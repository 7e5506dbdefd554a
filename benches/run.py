"""Runs the benchmarks of benches/python, each in a process of its own, and writes benches/RESULTS.md.

python benches/run.py                      all of them
python benches/run.py --only overhead      some of them
python benches/run.py --only gpu           those of the GPU, which have a part of the page for each card
python benches/run.py --no-write           to the terminal alone
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "python"))

from limits import HANDED, Limits  # noqa: E402
from paired import Ratio, Result, machine, shown, verdict  # noqa: E402

FILES = [
    "overhead",
    "memory",
    "training",
    "matmul",
    "convolution",
    "attention",
    "elementwise",
    "reductions",
    "movement",
]
# Measured when asked for: they need hardware that not every machine has.
OTHERS = ["gpu"]


def ran(name, folder):
    """Runs one file; what it found, or None if it failed (its words are on the terminal)."""
    out = Path(folder) / f"{name}.json"
    if subprocess.run([sys.executable, HERE / "python" / f"{name}.py", out], check=False).returncode:
        return None
    return json.loads(out.read_text())


def measured(name, folder):
    """The results of one file, or None if it failed."""
    report = ran(name, folder)
    if report is None:
        return None
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


def queue():
    """What rust/gpu/benches/queue.rs measures against bare wgpu, as a Markdown table."""
    command = ["cargo", "bench", "-p", "wengert-gpu"]
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, flush=True)
    rows = [
        " | ".join(cell.strip() for cell in line.split("|"))
        for line in done.stdout.splitlines()
        if " | " in line
    ]
    return "\n".join(["| what | times | ratio |", "|---|---|---|", *(f"| {row} |" for row in rows)])


def card():
    """The first GPU's name, driver and way of access; None without one."""
    import wengert as wg

    found = wg.gpu.devices()
    return f"{found[0].name}, {found[0].driver}, {found[0].backend}" if found else None


CARDS = "# On GPUs\n"


def cards(text):
    """The parts of a page that belong to one GPU each, by its name."""
    parts = text.partition(CARDS)[2].split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def with_cards(text, found):
    """The page with these parts for GPUs."""
    text = text.partition(CARDS)[0].rstrip("\n") + "\n"
    if not found:
        return text
    return text + f"\n{CARDS}" + "".join(f"\n## {name}\n\n{part}\n" for name, part in sorted(found.items()))


def with_counts(sections):
    """The sections with the instructions that benches/counts.json has, beside the times; and what it says of them."""
    recorded = json.loads((HERE / "counts.json").read_text())
    for _, results in sections:
        for r in results:
            if r.title in recorded["counts"]:
                count = f"{recorded['counts'][r.title]:,} instructions"
                r.note = f"{r.note}; {count}" if r.note else count
    conditions = ", ".join(f"{name} {value}" for name, value in recorded["conditions"].items())
    return f"Instructions are those of `make bench-counts`: wengert {recorded['wengert']}, {conditions}."


def page(sections, limits):
    """RESULTS.md but for its GPUs."""
    counts = with_counts(sections)
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
        f"The machine's limits: {limits}. Shares of them are wengert's; what caches hold may be faster than memory.",
        counts,
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
        limits = ran("limits", folder)
        if limits is None:
            return "failed: limits"
        os.environ[HANDED] = str(Path(folder) / "limits.json")
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
    results = HERE / "RESULTS.md"
    old = results.read_text() if results.exists() else ""
    if not options.no_write and set(options.only) == set(FILES) and not failed:
        results.write_text(with_cards(page(sections, Limits(**limits)), cards(old)))
    name = card() if options.only == ["gpu"] and not failed else None
    if name:
        against_wgpu = queue()
        if not options.no_write:
            part = f"By `make bench-gpu`, {datetime.date.today():%d %B %Y}, {machine()}.\n\n"
            part += f"{against_wgpu}\n\n{table(sections[0][1])}"
            results.write_text(with_cards(old, {**cards(old), name: part}))
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
