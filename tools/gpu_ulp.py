"""Measures how far the elementwise operations on a GPU are from the CPU's, and writes the table in docs/gpu.md.

    python tools/gpu_ulp.py            measures every row of the elementwise table and writes
    python tools/gpu_ulp.py --print    measures and prints

Distances are counted in units in the last place (ulp): how many numbers of the dtype lie between. Each is rounded up to
a power of two, for other samples and cards. tests/gpu/test_ulp.py holds every row to its line.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
import wengert as wg

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gpu.md"
BEGIN = "<!-- written by tools/gpu_ulp.py -->"
END = "<!-- end -->"
HEAD = "| operation | float32 | float64 | int64 |\n|---|---|---|---|\n"
DTYPES = ("float32", "float64", "int64")
COUNT = 1000
# Results nearer to zero are not compared: a card may flush subnormal numbers, and the CPU loses the last of silu.
LOST = {"float32": 1.3e-38, "float64": 1e-305}
SPECIAL = [
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.5,
    3.0,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    100.0,
    -7.0,
]
NUMBERS = [0, 1, -1, 2, 3, -7, 63, 100, -(2**31), 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "parity")]
from rows_support import Case  # noqa: E402


def rows():
    """Every row of the elementwise table that a program can call."""
    return [case for case in map(Case, wg._core._rows()) if case.known(wg)]


def sample(case, dtype):
    """Arguments: from the row's domain, of all magnitudes, and every tuple of special values."""
    rng = np.random.default_rng(zlib.crc32(f"{case.name} {dtype}".encode()))
    n = len(case.tensor_args)
    special = NUMBERS if dtype == "int64" else SPECIAL
    if dtype == "float64":
        special = [*special, 1e-300, 1e300]
    if n > 2:
        special = special[:10]
    grid = np.stack(np.meshgrid(*[np.array(special)] * n, indexing="ij")).reshape(n, -1)
    if dtype == "int64":
        inside = np.stack([rng.integers(-100, 100, COUNT) for _ in range(n)])
        wide = rng.integers(-(2**63), 2**63 - 1, (n, COUNT))
    else:
        domains = [case.domain[i] for i in case.tensor_args]
        inside = np.stack([rng.uniform(low, high, COUNT) for low, high in domains])
        # Sines of huge numbers and the like are the CPU's to define: see docs/differences.md.
        wide = rng.choice([-1.0, 1.0], (n, COUNT)) * 10 ** rng.uniform(-30, 4, (n, COUNT))
    values = np.concatenate([inside, wide, grid], axis=1)
    return case.conditions(values.astype(dtype))


def ordered(a):
    """Floats as integers in their order, so that neighbours differ by one."""
    bits = a.view(f"i{a.itemsize}").astype(np.int64)
    low = np.int64(-(2**31) if a.itemsize == 4 else -(2**63))
    return np.where(bits < 0, low - bits, bits)


def distance(here, there):
    """The most ulps between two results, and where; None where one has NaN and the other has not."""
    if here.dtype.kind != "f":
        return (0 if np.array_equal(here, there) else None), int((here != there).argmax())
    nan = np.isnan(here)
    if (nan != np.isnan(there)).any():
        return None, int((nan != np.isnan(there)).argmax())
    if nan.all():
        return 0, 0
    alike = nan | ((abs(here) < LOST[here.dtype.name]) & (abs(there) < LOST[here.dtype.name]))
    a, b = ordered(here).astype(object), ordered(there).astype(object)
    apart = np.where(alike, 0, abs(a - b))
    return int(apart.max()), int(apart.argmax())


def has_float64():
    try:
        return wg.ones(1, dtype=wg.float64).to("gpu").add(1).item() == 2
    except RuntimeError:
        return False


def called(case, arrays, dtype):
    """((arguments, result), None), or ((None, None), the refusal)."""
    try:
        args, _ = case.feed(wg, arrays, case.uniform(dtype))
        return (args, case(wg, *args)), None
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return (None, None), error


def measured(case, dtype):
    """(ulps, arguments there and both results), or None for a dtype that the row does not take or the GPU lacks."""
    arrays = sample(case, dtype)
    (args, here), error = called(case, arrays, dtype)
    if "by zero" in str(error):
        arrays = [np.where(a == 0, 1, a) for a in arrays]
        (args, here), error = called(case, arrays, dtype)
    if error is not None:
        return None
    if dtype == "float64" and not has_float64():
        return None
    args = [a.to("gpu") if isinstance(a, wg.Tensor) else a for a in args]
    here, there = here.numpy(), case(wg, *args).cpu().numpy()
    ulps, at = distance(here, there)
    return ulps, ([a[at] for a in arrays], here[at], there[at])


def rounded_up(ulps):
    return 0 if ulps == 0 else 1 << (ulps - 1).bit_length()


def stated():
    """The table of docs/gpu.md: operation → dtype → ulps (or None)."""
    text = PAGE.read_text()
    table = text[text.index(BEGIN) : text.index(END)]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines() if "| `" in line]
    return {
        name.strip("`"): {
            dtype: None if limit == "–" else 0 if limit == "equal" else int(limit)
            for dtype, limit in zip(DTYPES, limits, strict=True)
        }
        for name, *limits in cells
    }


def line(case):
    limits = []
    for dtype in DTYPES:
        found = measured(case, dtype)
        if found is None:
            limits.append("–")
            continue
        ulps, where = found
        if ulps is None:
            raise SystemExit(f"{case.name} in {dtype}: NaN or a truth on one side alone: {where}")
        if ulps > 16:
            print(f"{case.name} in {dtype}: {ulps} ulp at {where}", file=sys.stderr)
        limits.append(str(rounded_up(ulps)) if ulps else "equal")
    return f"| `{case.name}` | {' | '.join(limits)} |\n"


def main():
    table = HEAD + "".join(line(case) for case in rows())
    if "--print" in sys.argv:
        print(table)
        return
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table}{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
