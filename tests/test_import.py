"""What `import wengert` brings along, and how long it takes."""

import json
import os
import subprocess
import sys

CODE = """
import json, sys, time
start = time.perf_counter()
import wengert
took = time.perf_counter() - start
heavy = [n for n in ("numpy", "torch", "inspect", "safetensors", "matplotlib") if n in sys.modules]
first = wengert.tensor([1.0, 2.0]) * 2
after = "numpy" in sys.modules
print(json.dumps([took, heavy, first.tolist(), after]))
"""


def fresh():
    # As installed: with the bytecode that pip leaves.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True, env=env)
    return json.loads(done.stdout)


def test_import_is_light(capsys):
    """Time depends on the machine, so it is shown, not asserted; what is imported does not."""
    readings = [fresh() for _ in range(5)]
    with capsys.disabled():
        times = ", ".join(f"{took * 1e3:.1f}" for took, *_ in readings)
        print(f"\nimport wengert: {times} ms (bar: 20)")
    for _, heavy, first, after in readings:
        assert heavy == [], "import wengert brings these along"
        assert first == [2.0, 4.0]
        assert not after, "tensors from lists need no numpy"


def test_numpy_comes_when_an_array_is_met():
    code = "import wengert, sys; a = wengert.ones(2).numpy(); assert 'numpy' in sys.modules; print(a.sum())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "2.0"


def test_without_numpy_the_rest_works_and_the_error_says_so():
    code = """
import sys
sys.modules["numpy"] = None  # as if not installed
import wengert as wg
assert (wg.ones(3) + 1).sum().item() == 6
try:
    wg.ones(3).numpy()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "numpy" in done.stdout
