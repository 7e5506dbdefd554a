"""Windows of signal processing, as curves over [0, 1]."""

import math

from .. import _core
from ._compose import composed
from ._dims import integer


def _window(name, curve, window_length, periodic, dtype, device, requires_grad):
    """`curve` at k/N for each k below the length, with N the length, or the length less 1 if not periodic."""
    dtype = dtype or _core.get_default_dtype()
    try:
        length = integer("window_length", window_length)
    except TypeError as error:
        raise TypeError(f"{name}(): {error}") from None
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    if length <= 1:
        window = _core.ones(length, dtype=dtype)
    else:
        window = curve(_core.arange(length, dtype=dtype) / (length if periodic else length - 1))
    window = window if device is None else window.to(device)
    return window.requires_grad_() if requires_grad else window


@composed(method=False)
def bartlett_window(
    window_length,
    periodic=True,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """1 − |2k/N − 1|, a triangle, with N the length, or the length less 1 if not `periodic`.

    Raises:
        TypeError: for a length that is not an int.
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.bartlett_window(4)
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """

    def curve(places):
        return 1 - (2 * places - 1).abs()

    return _window("bartlett_window", curve, window_length, periodic, dtype, device, requires_grad)


@composed(method=False)
def hann_window(
    window_length,
    periodic=True,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """0.5 − 0.5·cos 2πk/N, with N the length, or the length less 1 if not `periodic`.

    Raises:
        TypeError: for a length that is not an int.
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.hann_window(2)
        tensor([0., 1.])
    """

    def curve(places):
        return 0.5 - 0.5 * (2 * math.pi * places).cos()

    return _window("hann_window", curve, window_length, periodic, dtype, device, requires_grad)


@composed(method=False)
def hamming_window(
    window_length,
    periodic=True,
    alpha=0.54,
    beta=0.46,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """alpha − beta·cos 2πk/N, with N the length, or the length less 1 if not `periodic`.

    Raises:
        TypeError: for a length that is not an int.
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.hamming_window(2)
        tensor([0.0800, 1.0000])
    """

    def curve(places):
        return alpha - beta * (2 * math.pi * places).cos()

    return _window("hamming_window", curve, window_length, periodic, dtype, device, requires_grad)


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
        TypeError: for a length that is not an int.
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.blackman_window(3, periodic=False).round(decimals=4).abs()
        tensor([0., 1., 0.])
    """

    def curve(places):
        turn = 2 * math.pi * places
        return 0.42 - 0.5 * turn.cos() + 0.08 * (2 * turn).cos()

    return _window("blackman_window", curve, window_length, periodic, dtype, device, requires_grad)


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
        TypeError: for a length that is not an int.
        RuntimeError: for a negative length, or a dtype that is not floating point.

    Example:
        >>> wg.kaiser_window(3, periodic=False, beta=2.0)
        tensor([0.4387, 1.0000, 0.4387])
    """

    def curve(places):
        from .special_methods import i0

        arch = (1 - (2 * places - 1) ** 2).clamp(min=0).sqrt()
        return i0(beta * arch) / i0(places.new_full((), beta))

    return _window("kaiser_window", curve, window_length, periodic, dtype, device, requires_grad)
