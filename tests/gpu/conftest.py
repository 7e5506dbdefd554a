"""The GPU's own tests: on whatever adapter there is, a software one included. CI requires one (``REQUIRE_GPU=1``)."""

import pytest
import wengert as wg
from support import need_gpu


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
    need_gpu()
    return wg.device("gpu")
