"""The version, read by the build from Cargo.toml's workspace; a test holds the two together."""

__version__ = "0.1.0"
cuda = hip = None
