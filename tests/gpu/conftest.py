"""The GPU's own tests: on whatever adapter there is, a software one included. CI requires one (``REQUIRE_GPU=1``)."""

import pytest
import wengert as wg
from support import need_gpu


@pytest.fixture(autouse=True)
def gpu():
    """The device; without one these tests have nothing to say."""
    need_gpu()
    return wg.device("gpu")
