"""Shared set-up: a fixed seed, restored global state, and torch made compulsory in CI."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # makes `support` importable from every folder

import wengert as wg


def pytest_configure(config):
    config.addinivalue_line("markers", "only_wengert: wengert differs from PyTorch here on purpose")


def pytest_sessionstart(session):
    if os.environ.get("CI", "").lower() == "true" and importlib.util.find_spec("torch") is None:
        raise pytest.UsageError(
            "CI=true but torch is not installed: the parity tests must not be skipped in CI"
        )


def pytest_collection_modifyitems(items):
    """The tests themselves are checked by running them with torch under the name wengert."""
    if wg.__name__ != "torch":
        return
    for item in items:
        if item.get_closest_marker("only_wengert"):
            item.add_marker(pytest.mark.skip(reason="wengert differs from PyTorch here on purpose"))


@pytest.fixture(autouse=True)
def fresh_state():
    """Every test starts from the same random state and leaves the global switches as they were."""
    dtype = wg.get_default_dtype()
    wg.manual_seed(0)
    yield
    wg.set_default_dtype(dtype)
    assert wg.is_grad_enabled(), "the test left gradients switched off"
    wg.set_grad_enabled(True)
