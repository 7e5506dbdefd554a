"""The GPU's tests: on whatever adapter there is, a software one included. CI requires one (``REQUIRE_GPU=1``)."""

import os

import pytest

os.environ.setdefault("WENGERT_ALLOW_SOFTWARE_GPU", "1")

import wengert as wg


def computes_in_float64():
    """Whether the first device does."""
    try:
        return (wg.ones(1, dtype=wg.float64, device="gpu") + 1).item() == 2.0
    except RuntimeError:
        return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Tests that need 64-bit floats have nothing to say where the device has none."""
    try:
        return (yield)
    except RuntimeError as e:
        if "has no 64-bit floats" in str(e) and not computes_in_float64():
            pytest.skip(str(e))
        raise


@pytest.fixture(autouse=True)
def gpu():
    """The device; without one these tests have nothing to say."""
    if wg.gpu.is_available():
        return wg.device("gpu")
    if os.environ.get("REQUIRE_GPU"):
        pytest.fail("REQUIRE_GPU is set, and there is no adapter")
    pytest.skip("there is no GPU adapter; Debian's mesa-vulkan-drivers has a software one")
