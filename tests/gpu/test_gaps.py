"""The table in docs/gpu.md of what adapters lack: each line happens as it says, on a device that plays one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")
TRY = """
import sys
import wengert as wg
try:
    result = str(eval(sys.argv[1]))
except Exception as e:
    result = f"{type(e).__name__}: {e}"
print(result)
"""


def rows():
    """(what is lacking, expression, outcome) of each line of the table."""
    (table,) = re.findall(r"^\| lacking \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 5, line
        yield tuple(cell.strip("`") for cell in (cells[1], cells[3], cells[4]))


ROWS = list(rows())


def outcome(expression, less):
    run = subprocess.run(
        [sys.executable, "-c", TRY, expression],
        capture_output=True,
        text=True,
        env={**os.environ, "WENGERT_GPU_LESS": less},
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("less, expression, said", ROWS, ids=[f"{r[0]}: {r[2][:20]}" for r in ROWS])
def test_it_happens_as_the_page_says(less, expression, said):
    found = outcome(expression, less)
    if "Error: " not in said:
        assert found == said
        return
    kind, text = said.split(": ", 1)
    assert found.startswith(f"{kind}: ") and text in found
    # Errors name the adapter, and what to do.
    assert "gpu:0 ('" in found and "device 'cpu'" in found


def test_the_page_names_all_that_can_be_lacking():
    error = outcome("wg.ones(1, device='gpu')", "everything")
    assert error.startswith("ValueError: WENGERT_GPU_LESS: 'everything' is none of ")
    names = re.findall(r"[a-z]+\d*(?:=[A-Z]+)?", error.split(" is none of ")[1].replace("at least", ""))
    names = {name.split("=")[0] for name in names}
    assert names == {part.split("=")[0].strip() for row in ROWS for part in row[0].split(",")}
