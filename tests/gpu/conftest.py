"""The GPU's tests: on whatever adapter there is, a software one included. CI requires one (``REQUIRE_GPU=1``)."""

import os

import pytest

os.environ.setdefault("WENGERT_ALLOW_SOFTWARE_GPU", "1")

import wengert as wg


@pytest.fixture(autouse=True)
def gpu():
    """The device; without one these tests have nothing to say."""
    if wg.gpu.is_available():
        return wg.device("gpu")
    if os.environ.get("REQUIRE_GPU"):
        pytest.fail("REQUIRE_GPU is set, and there is no adapter")
    pytest.skip("there is no GPU adapter; Debian's mesa-vulkan-drivers has a software one")
