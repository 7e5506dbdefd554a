"""Assertions for tests, as `torch.testing`."""

from .compare import assert_allclose, assert_close  # noqa: F401
from .make import make_tensor  # noqa: F401
