"""Shared set-up: devices, a fixed seed, restored global state, and torch made compulsory in CI.

A suite marked `devices` runs on each device: the fixture `device` moves there what the suite feeds to wengert
(`support.put`), while PyTorch stays on the CPU. Kernels are compiled on their first use, so that a GPU gets a fixed
sample of a large suite; `WENGERT_PARITY=full` gives it all.
"""

import importlib.util
import os
import sys
import zlib
from collections import defaultdict
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # makes `support` importable from every folder
os.environ.setdefault("WENGERT_ALLOW_SOFTWARE_GPU", "1")

import wengert as wg
from support import FULL, need_gpu, run_on

MARKERS = [
    "only_wengert: wengert differs from PyTorch here on purpose",
    "devices(sample, per, factories): runs on each device, on a GPU only `sample` cases (of each value of the "
    "parameter `per`); with `factories` what the test makes itself is there too",
    "host(reason): of a suite marked `devices`, yet for the CPU alone",
]


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc):
    if metafunc.definition.get_closest_marker("devices") and wg.__name__ != "torch":
        metafunc.parametrize("device", ["cpu", "gpu"], indirect=True)


def not_for_gpu(items):
    """The GPU's cases that are for the CPU alone, or beyond what their suite gives it; the same ones every time."""
    beyond, groups = set(), defaultdict(list)
    for item in items:
        marker = item.get_closest_marker("devices")
        params = item.callspec.params if marker and hasattr(item, "callspec") else {}
        if params.get("device", "cpu") == "cpu":
            continue
        if item.get_closest_marker("host"):
            beyond.add(item)
        elif "sample" in marker.kwargs and not FULL:
            per = repr(params.get(marker.kwargs.get("per")))
            groups[item.path, item.originalname, per, marker.kwargs["sample"]].append(item)
    for (*_, sample), group in groups.items():
        group.sort(key=lambda item: zlib.crc32(item.name.encode()))
        beyond.update(group[sample:])
    return beyond


def pytest_sessionstart(session):
    if os.environ.get("CI", "").lower() == "true" and importlib.util.find_spec("torch") is None:
        raise pytest.UsageError(
            "CI=true but torch is not installed: the parity tests must not be skipped in CI"
        )


def pytest_collection_modifyitems(config, items):
    """Samples for the GPU. And the tests themselves are checked by running them with torch under the name wengert."""
    beyond = not_for_gpu(items)
    if beyond:
        config.hook.pytest_deselected(items=list(beyond))
        items[:] = [item for item in items if item not in beyond]
    if wg.__name__ != "torch":
        return
    for item in items:
        if item.get_closest_marker("only_wengert"):
            item.add_marker(pytest.mark.skip(reason="wengert differs from PyTorch here on purpose"))


@pytest.fixture(autouse=True)
def device(request):
    """Where the test's tensors are made."""
    name = getattr(request, "param", "cpu")
    if name == "cpu":
        yield wg.device(name)
        return
    need_gpu()
    marker = request.node.get_closest_marker("devices")
    with run_on(name), wg.device(name if marker.kwargs.get("factories") else "cpu"):
        yield wg.device(name)


@pytest.fixture(autouse=True)
def fresh_state():
    """Every test starts from the same random state and leaves the global switches as they were."""
    dtype = wg.get_default_dtype()
    wg.manual_seed(0)
    yield
    wg.set_default_dtype(dtype)
    assert wg.is_grad_enabled(), "the test left gradients switched off"
    wg.set_grad_enabled(True)
