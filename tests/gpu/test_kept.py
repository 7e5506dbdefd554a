"""What one process leaves for the next: compiled kernels, and the forms of products that were measured."""

import pytest
import wengert as wg
from support import python

PRODUCTS = """
import wengert as wg
a, b = wg.randn(320, 400, device="gpu"), wg.randn(400, 320, device="gpu")
first = a @ b
for _ in range(4):
    assert ((a @ b) == first).all()
print(wg.gpu.stats().tuned)
"""


def run(code, folder, **env):
    """The words that a process prints that keeps its files in a folder."""
    return python(code, WENGERT_CACHE=str(folder), **env)[0].split()


def test_measured_forms_are_kept_and_change_no_bit(tmp_path):
    folder = tmp_path / "not there yet"
    assert run(PRODUCTS, folder) == ["1"]
    kinds = {file.suffix for file in folder.iterdir()}
    assert ".tiles" in kinds and kinds <= {".tiles", ".kernels"}
    # The next process knows.
    assert run(PRODUCTS, folder) == ["0"]


def test_damaged_files_are_as_good_as_none(tmp_path):
    run(PRODUCTS, tmp_path)
    files = list(tmp_path.iterdir())
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:-3])
    assert run(PRODUCTS, tmp_path) == ["1"]


def test_nothing_is_kept_where_that_is_not_wanted(tmp_path):
    code = f"import os; os.chdir({str(tmp_path)!r})\n{PRODUCTS}"
    home = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    assert run(code, "off", **home) == ["1"]
    assert not (tmp_path / "wengert").exists() and not (tmp_path / "off").exists()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    assert run(PRODUCTS, file / "folder") == ["1"]
    assert file.read_text() == "in the way"


def test_autotune_can_be_turned_off(tmp_path):
    assert run("import wengert as wg; wg.config.gpu_autotune = False\n" + PRODUCTS, tmp_path) == ["0"]
    with pytest.raises(TypeError, match="gpu_autotune must be a bool, but got int"):
        wg.config.gpu_autotune = 1
    assert wg.config.gpu_autotune is True
