"""autocast: accepted, and off."""

import warnings
from contextlib import ContextDecorator

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_KNOWN = ("cpu", "gpu", "cuda", "mps", "xpu", "meta", "hpu", "mtia")


class autocast(ContextDecorator):
    """A context or decorator under which PyTorch chooses dtypes; here tensors keep their own.

    Enabling it warns and leaves it disabled, which is what PyTorch does where a device or dtype has none.

    Raises:
        RuntimeError: for an unknown device type.

    Example:
        >>> with wg.autocast("cpu", enabled=False):
        ...     (wg.ones(1) * 2).dtype
        torch.float32
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in _KNOWN:
            raise RuntimeError(f"autocast: unknown device type '{device_type}'; use 'cpu'")
        self.device = device_type
        self.fast_dtype = dtype
        if enabled:
            why = (
                "tensors are computed in their own dtypes"
                if device_type in ("cpu", "gpu")
                else f"device '{device_type}' is not there"
            )
            warnings.warn(f"autocast: {why}; disabling autocast", stacklevel=2)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


def is_autocast_available(device_type):
    """False: no device type computes in other dtypes than its tensors'.

    Example:
        >>> wg.amp.is_autocast_available("cpu")
        False
    """
    return False


def custom_fwd(fwd=None, *, device_type="cuda", cast_inputs=None):
    """The forward of a Function as it is: there is no autocast that it might be called under.

    Example:
        >>> wg.amp.custom_fwd(len, device_type="cpu") is len
        True
    """
    return (lambda function: function) if fwd is None else fwd


def custom_bwd(bwd=None, *, device_type="cuda"):
    """The backward of a Function as it is, as for :func:`custom_fwd`.

    Example:
        >>> wg.amp.custom_bwd(len, device_type="cpu") is len
        True
    """
    return (lambda function: function) if bwd is None else bwd
