"""The bounds that docs/accuracy.md states for elementwise functions, against many digits, on every instruction set."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import wengert as wg

LINE = re.compile(r"\| `(\w+)`(\*?) \| ([\d.]+) \| ([\d.]+) \|")
TABLE = {
    m[1]: (bool(m[2]), {"float32": float(m[3]), "float64": float(m[4])})
    for m in LINE.finditer((Path(__file__).parents[2] / "docs" / "accuracy.md").read_text())
}
ROWS = {row["name"]: row for row in wg._core._rows()}
# Takes a number first, and has no bound: PyTorch gives noise at its poles.
APART = {"polygamma"}


def exact():
    """The functions in many digits, by name."""
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 40
    own = {name: getattr(mp, name) for name in TABLE if hasattr(mp, name)}
    return own | {
        "copysign": lambda a, b: abs(a) * mp.sign(b),
        "deg2rad": lambda x: x * mp.pi / 180,
        "digamma": lambda x: mp.digamma(x),
        "div": lambda a, b: a / b,
        "exp2": lambda x: mp.mpf(2) ** x,
        "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
        "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
        "logsigmoid": lambda x: -mp.log1p(mp.exp(-x)),
        "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
        "silu": lambda x: x / (1 + mp.exp(-x)),
        # The identity beyond 20.
        "softplus": lambda x: x if x > 20 else mp.log1p(mp.exp(x)),
        "lgamma": lambda x: mp.log(abs(mp.gamma(x))),
        "log10": lambda x: mp.log(x, 10),
        "log1p": lambda x: mp.log1p(x),
        "log2": lambda x: mp.log(x, 2),
        "logit": lambda x: mp.log(x / (1 - x)),
        "pow": lambda a, b: mp.power(a, b),
        "rad2deg": lambda x: x * 180 / mp.pi,
        "reciprocal": lambda x: 1 / x,
        "rsqrt": lambda x: 1 / mp.sqrt(x),
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
        "sinc": lambda x: mp.sincpi(x),
        "xlog1py": lambda a, b: a * mp.log1p(b),
        "xlogy": lambda a, b: a * mp.log(b),
    }


def arguments(name, dtype):
    """Points of the row's domain, of what lies around, and of every size that it takes."""
    rng = np.random.default_rng(len(name))
    tensors = [d for d, number in zip(ROWS[name]["domain"], ROWS[name]["numbers"], strict=True) if not number]
    inside = [rng.uniform(lo, hi, 200) for lo, hi in tensors]
    around = [np.concatenate([x, rng.uniform(-8, 8, 200), rng.uniform(-80, 80, 100)]) for x in inside]
    sizes = [2.0 ** rng.uniform(-30, 30, 100) * rng.choice([-1, 1], 100) for _ in tensors]
    return [np.concatenate([a, s]).astype(dtype) for a, s in zip(around, sizes, strict=True)]


def compute(path):
    """All functions' values, to a file: another process has another instruction set."""
    values = {}
    for name in TABLE:
        home = next(m for m in (wg, wg.special, wg.nn.functional) if hasattr(m, name))
        function = getattr(home, name)
        for dtype in ("float32", "float64"):
            values[f"{name} {dtype}"] = function(*map(wg.tensor, arguments(name, dtype))).numpy()
    np.savez(path, **values)


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Instruction set -> function and dtype -> values."""
    results = {}
    for isa in ("base", "avx2", "avx512"):
        path = tmp_path_factory.mktemp("accuracy") / f"{isa}.npz"
        code = f"import test_accuracy; test_accuracy.compute({str(path)!r})"
        here = str(Path(__file__).parent)
        paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"WENGERT_ISA": isa, "PYTHONPATH": paths}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        results[isa] = dict(np.load(path))
    return results


def test_every_function_of_floats_has_a_bound():
    floats = {name for name, row in ROWS.items() if row["class"] == "float" and not row["strict"]}
    assert floats - APART <= set(TABLE), floats - APART - set(TABLE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TABLE)
def test_bounds(name, dtype, computed):
    mp = pytest.importorskip("mpmath")
    function = exact()[name]
    cancels, bounds = TABLE[name]
    kind = np.dtype(dtype)
    limits = np.finfo(kind)
    points = list(zip(*arguments(name, dtype), strict=True))
    checked = 0
    for k, point in enumerate(points):
        try:
            value = function(*(mp.mpf(float(x)) for x in point))
        except (ValueError, ZeroDivisionError):
            continue
        if (
            isinstance(value, mp.mpc)
            or not mp.isfinite(value)
            or abs(value) > float(limits.max)
            or value == 0
        ):
            continue
        unit = np.spacing(kind.type(max(abs(float(value)), 1.0 if cancels else 0.0)))
        for isa, values in computed.items():
            off = abs(mp.mpf(float(values[f"{name} {dtype}"][k])) - value) / float(unit)
            assert off <= bounds[dtype], f"{isa}: {name}{point} is {float(off):.3g} units off"
        checked += 1
    assert checked > 100
