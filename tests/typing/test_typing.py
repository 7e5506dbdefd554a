"""The stubs, through mypy's eyes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).parent


def mypy(path, cwd):
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-version",
        "3.11",
        "--config-file",
        "",
        str(path),
    ]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_the_sample_is_well_typed(tmp_path):
    done = mypy(HERE / "sample.py", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        'wg.tensor([1.0]).reshape("3")',
        "wg.zeros(2, dtype=float('nan'))",
        "number: int = wg.ones(3)",
        "wg.nn.Linear('2', 3)",
    ],
)
def test_mistakes_are_found(wrong, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(f"import wengert as wg\n{wrong}\n")
    done = mypy(path, tmp_path)
    assert done.returncode == 1 and "wrong.py:2: error" in done.stdout, done.stdout + done.stderr


def test_the_sample_runs():
    done = subprocess.run([sys.executable, HERE / "sample.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
