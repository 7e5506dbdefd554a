"""The demo, as a user runs it, and the same program under PyTorch."""

import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "examples" / "moons.py").read_text()
IMPORT = "import wengert as torch"

pytest.importorskip("sklearn")
pytest.importorskip("tqdm")


def program(name, source):
    """The example as a fresh module."""
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    finally:
        del sys.modules[name]
    return module


@pytest.fixture(scope="module")
def moons():
    return program("moons_wengert", SOURCE)


@pytest.fixture(scope="module")
def torch_moons():
    pytest.importorskip("torch")
    assert SOURCE.count(IMPORT) == 1, "one import line decides which library the example runs on"
    assert len(re.findall(r"\bwengert\b", SOURCE)) == 1
    return program("moons_torch", SOURCE.replace(IMPORT, "import torch"))


def test_the_default_seed_tells_the_moons_apart(moons):
    runs = moons.main(["--no-figure"])
    assert [(run.epochs, len(run.losses)) for run in runs] == [(20, 100), (50, 250)]
    for run in runs:
        assert run.accuracy >= 0.85, run.name
        assert sum(run.losses[-10:]) < sum(run.losses[:10]) / 2, run.name


@pytest.mark.parametrize("seed", [0, 3, 11])
def test_losses_are_those_of_torch_step_by_step(moons, torch_moons, seed):
    argv = ["--no-figure", "--seed", str(seed)]
    for ours, theirs in zip(moons.main(argv), torch_moons.main(argv), strict=True):
        assert ours.losses == pytest.approx(theirs.losses, abs=1e-4), ours.name
        assert ours.accuracy == pytest.approx(theirs.accuracy, abs=1e-6)


def test_another_seed_gives_other_losses(moons):
    first, second = (moons.main(["--no-figure", "--epochs", "1", "--seed", seed])[0].losses for seed in "12")
    assert first != second


def test_a_figure_is_written(moons, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "moons.png"
    moons.main(["--epochs", "2", "--out", str(out)])
    assert out.read_bytes().startswith(b"\x89PNG")
    assert out.stat().st_size > 20_000


def test_zero_epochs_are_refused(moons, capsys):
    with pytest.raises(SystemExit):
        moons.main(["--epochs", "0"])
    assert "--epochs must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(p.name for p in (ROOT / "examples").glob("*.py")))
def test_every_example_runs(path, tmp_path):
    argv = ["--epochs", "1", "--no-figure"] if path == "moons.py" else []
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / path, *argv],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
