"""What `import wengert` brings along, how long it takes, and that what loads later is there when it is asked for."""

import json
import os
import subprocess
import sys

import pytest
import wengert as wg
from wengert._functions import _compose, _index, load_all

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


def fresh(code):
    """What a program prints in an interpreter of its own."""
    # As installed: with the bytecode that pip leaves.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light(capsys):
    """Time depends on the machine, so it is shown, not asserted; what is imported does not."""
    readings = [json.loads(fresh(CODE)) for _ in range(5)]
    with capsys.disabled():
        times = ", ".join(f"{took * 1e3:.1f}" for took, *_ in readings)
        print(f"\nimport wengert: {times} ms (bar: 20)")
    for _, heavy, first, after in readings:
        assert heavy == [], "import wengert brings these along"
        assert first == [2.0, 4.0]
        assert not after, "tensors from lists need no numpy"


def test_numpy_comes_when_an_array_is_met():
    code = "import wengert, sys; a = wengert.ones(2).numpy(); assert 'numpy' in sys.modules; print(a.sum())"
    assert fresh(code).strip() == "2.0"


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
    assert "numpy" in fresh(code)


# --- composed functions, which load by topic ------------------------------------------------------------------

LOADED = """
import sys
import wengert as wg
from wengert._functions import _index
topics = {t for names in _index.FUNCTIONS.values() for t in names.values()} | set(_index.METHODS.values())
def loaded():
    return {t for t in topics if f"wengert._functions.{t}" in sys.modules}
assert not loaded(), loaded()
"""


def test_the_index_says_what_the_topics_define():
    def topics(functions):
        return {name: function.__module__.rpartition(".")[2] for name, function in functions.items()}

    functions = {}
    for entry in load_all().values():
        if entry.function:
            functions.setdefault(entry.namespace, {})[entry.name] = entry.call
    found = {namespace: topics(calls) for namespace, calls in functions.items()}
    assert found == _index.FUNCTIONS, "run `make stubs`"
    assert topics(_compose.METHODS) == _index.METHODS, "run `make stubs`"


def test_importing_loads_no_topic_and_names_are_there():
    code = """
from wengert._functions.inplace_functions import NAMES
assert {*_index.FUNCTIONS[None], *NAMES} <= set(dir(wg))
assert _index.METHODS.keys() <= set(dir(wg.Tensor))
assert _index.FUNCTIONS["linalg"].keys() <= set(dir(wg.linalg))
assert {*_index.FUNCTIONS[None], *NAMES} <= set(wg.__all__)
assert not loaded(), loaded()
"""
    fresh(LOADED + code)


def test_training_needs_no_linear_algebra():
    code = """
model = wg.nn.Sequential(wg.nn.Linear(2, 8), wg.nn.ReLU(), wg.nn.Linear(8, 2))
optimizer = wg.optim.Adam(model.parameters(), lr=0.01)
data = wg.utils.data.TensorDataset(wg.rand(8, 2), wg.arange(8) % 2)
for x, y in wg.utils.data.DataLoader(data, batch_size=4, shuffle=True):
    optimizer.zero_grad()
    wg.nn.CrossEntropyLoss()(model(x), y).backward()
    optimizer.step()
assert repr(model(x)).startswith("tensor(")
assert not loaded() & {"linear_algebra", "ordering", "products", "view_copies"}, loaded()
"""
    fresh(LOADED + code)


FIRST_USES = {
    "function": ("shaping", "assert wg.flip(x, (0,)).tolist() == [2.5, 1.25]"),
    "from": ("shaping", "from wengert import flip; assert flip(x, (0,)).tolist() == [2.5, 1.25]"),
    "method": ("shaping", "assert x.flip(0).tolist() == [2.5, 1.25]"),
    "method of the class": ("shaping", "assert wg.Tensor.flip(x, 0).tolist() == [2.5, 1.25]"),
    "hasattr": ("shaping", "assert hasattr(x, 'flip') and hasattr(wg, 'flip')"),
    "a subclass's super": (
        "shaping",
        "class Mine(wg.Tensor):\n"
        "    def flip(self, *dims):\n"
        "        return super().flip(*dims).tolist()\n"
        "assert x.as_subclass(Mine).flip(0) == [2.5, 1.25]",
    ),
    "in-place method": ("special_methods", "assert x.i0_() is x and x[0] > 1.25"),
    "in-place function": ("special_methods", "assert wg.i0_(x) is x and x[0] > 1.25"),
    "over a kernel's function": ("elementwise", "assert wg.round(x, decimals=1)[1].item() == 2.5"),
    "over a kernel's method": ("elementwise", "assert x.round(decimals=1)[1].item() == 2.5"),
    "over a kernel's in-place method": ("elementwise", "assert x.round_(decimals=1) is x and x[1] == 2.5"),
    "the kernel in place": ("elementwise", "assert x.round_() is x and x.tolist() == [1.0, 2.0]"),
    "no registered function": ("memory", "assert x.is_shared()"),
    "linalg": ("linear_algebra", "assert wg.linalg.det(wg.eye(2)).item() == 1"),
    "from linalg": ("linear_algebra", "from wengert.linalg import det; assert det(wg.eye(2)).item() == 1"),
    "all of linalg": ("linear_algebra", "from wengert.linalg import *; assert det(wg.eye(2)).item() == 1"),
    "all": ("shaping", "from wengert import *; assert flip(x, (0,)).tolist() == [2.5, 1.25]"),
    "pickle": (
        "shaping",
        "import pickle; assert pickle.loads(b'cwengert._functions.shaping\\nflip\\n.') is wg.flip\n"
        "assert pickle.loads(pickle.dumps(wg.flip)) is wg.flip",
    ),
    "doc": ("shaping", "assert '>>> ' in wg.Tensor.flip.__doc__ and wg.Tensor.flip.__name__ == 'flip'"),
}


@pytest.mark.parametrize("way", FIRST_USES)
def test_first_use(way):
    topic, use = FIRST_USES[way]
    code = f"""
x = wg.tensor([1.25, 2.5])
assert {topic!r} in topics
{use}
assert {topic!r} in loaded()
"""
    fresh(LOADED + code)


def test_threads_may_ask_for_a_topic_at_once():
    code = """
import threading
names = sorted(n for n, t in _index.FUNCTIONS[None].items() if t == "torch_level" and n in _index.METHODS)
together, found = threading.Barrier(8), []
sys.setswitchinterval(1e-6)
def ask(k):
    together.wait()
    x = wg.eye(2)
    for name in names[k % 2 :: 2]:
        function, method = getattr(wg, name), getattr(wg.Tensor, name)
        assert function is method, name
    found.append(x.matrix_power(2).tolist() == x.tolist() and wg.slogdet(x).sign.item() == 1)
threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert found == [True] * 8, found
"""
    fresh(LOADED + code)


def test_a_thread_waits_for_a_topic_that_another_loads():
    code = """
import threading
from wengert._functions import _compose
composed, half, go_on, seen = _compose.composed, threading.Event(), threading.Event(), []
def halting(**options):
    def register(definition):
        made = composed(**options)(definition)
        if definition.__name__ == "inverse":
            half.set()
            go_on.wait()
        return made
    return register
def ask():
    assert wg.eye(2).inverse().tolist() == [[1, 0], [0, 1]]
    seen.append(go_on.is_set())
_compose.composed = halting
loader = threading.Thread(target=lambda: wg.pinverse)
other = threading.Thread(target=ask)
loader.start()
half.wait()
other.start()
other.join(0.2)
go_on.set()
other.join()
assert seen == [True]
"""
    fresh(LOADED + code)


def test_mistakes_are_the_same_before_and_after():
    code = """
from wengert._functions import _compose
def mistake(name):
    try:
        getattr(wg.ones(2), name)(*range(30), no_such_argument=1)
    except TypeError as error:
        return str(error)
stand_ins = {name: vars(wg.Tensor)[name] for name in _index.METHODS}
before = {name: mistake(name) for name in stand_ins}
after = {name: mistake(name) for name in stand_ins}
assert before == after and None not in before.values()
assert before["tril"] == "tril() got an unexpected keyword argument 'no_such_argument'"
for name, stand_in in stand_ins.items():
    assert vars(wg.Tensor)[name] is getattr(wg.Tensor, name) is _compose.METHODS[name] is not stand_in, name
"""
    fresh(LOADED + code)


def test_what_a_program_puts_into_a_methods_place_stays():
    code = """
wg.Tensor.flip = lambda self: "mine"
assert wg.flip(wg.arange(2), (0,)).tolist() == [1, 0]
assert wg.ones(1).flip() == "mine" and "shaping" in loaded()
"""
    fresh(LOADED + code)


def test_a_name_that_is_nowhere():
    with pytest.raises(AttributeError, match="wengert has no 'flop' yet"):
        wg.flop
    with pytest.raises(AttributeError, match="wengert has no linalg.flop yet"):
        wg.linalg.flop
    with pytest.raises(AttributeError, match="flop"):
        wg.ones(1).flop
