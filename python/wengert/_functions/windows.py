"""Windows of signal processing beside those of `creation`."""

import math

from .. import _core
from ._compose import composed


def _places(name, window_length, periodic, dtype):
    """(window positions in [0, 1], or a window that is no more than ones)."""
    dtype = dtype or _core.get_default_dtype()
    if window_length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={window_length}")
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    if window_length <= 1:
        return None, _core.ones(window_length, dtype=dtype)
    last = window_length if periodic else window_length - 1
    return _core.arange(window_length, dtype=dtype) / last, None


def _given(window, device, requires_grad):
    window = window if device is None else window.to(device)
    return window.requires_grad_() if requires_grad else window


@composed(method=False)
def blackman_window(
    window_length,
    periodic=True,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """0.42 − 0.5·cos 2πk/N + 0.08·cos 4πk/N, with N the length, or the length less 1 if not `periodic`.

    Raises:
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.blackman_window(3, periodic=False).round(decimals=4).abs()
        tensor([0., 1., 0.])
    """
    places, trivial = _places("blackman_window", window_length, periodic, dtype)
    if trivial is not None:
        return _given(trivial, device, requires_grad)
    turn = 2 * math.pi * places
    return _given(0.42 - 0.5 * turn.cos() + 0.08 * (2 * turn).cos(), device, requires_grad)


@composed(method=False)
def kaiser_window(
    window_length,
    periodic=True,
    beta=12.0,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """I₀(beta·√(1 − (2k/N − 1)²)) / I₀(beta), with N the length, or the length less 1 if not `periodic`.

    Raises:
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.kaiser_window(3, periodic=False, beta=2.0)
        tensor([0.4387, 1.0000, 0.4387])
    """
    from .special_methods import i0

    places, trivial = _places("kaiser_window", window_length, periodic, dtype)
    if trivial is not None:
        return _given(trivial, device, requires_grad)
    arch = (1 - (2 * places - 1) ** 2).clamp(min=0).sqrt()
    return _given(i0(beta * arch) / i0(places.new_full((), beta)), device, requires_grad)
