"""Assertions for tests, as `torch.testing`."""

from .compare import assert_close  # noqa: F401
