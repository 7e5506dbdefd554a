"""Interpolation to other sizes, one dimension at a time."""

import math
import warnings

from wengert import _core

from .pooling import _adaptive_avg_pool

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def _sources(x, dim, out, scale, align_corners):
    """Where along `dim` of x the centres of `out` places lie."""
    places = _core.arange(out, dtype=x.dtype, device=x.device)
    if align_corners:
        return places * ((x.shape[dim] - 1) / (out - 1) if out > 1 else 0.0)
    return (places + 0.5) * scale - 0.5


def _nearest(x, dim, out, scale, shift):
    # In float32, as PyTorch: on the border of two places the rounding decides.
    places = (_core.arange(out, dtype=_core.float32, device=x.device) + shift) * scale
    return x.index_select(dim, places.floor().to(_core.int64).clamp(max=x.shape[dim] - 1))


def _blend(x, dim, taps):
    """Σ weight · element over (index, weight) pairs."""
    if x.is_cpu and not x.requires_grad and x.dtype in (_core.float32, _core.float64):
        return _core._blend(x, dim, *map(list, zip(*taps, strict=True)))
    shape = [1] * x.ndim
    shape[dim] = -1
    return sum(x.index_select(dim, index) * weight.reshape(shape) for index, weight in taps)


def _linear(x, dim, out, scale, align_corners):
    at = _sources(x, dim, out, scale, align_corners).clamp(min=0.0)
    low = at.floor().to(_core.int64).clamp(max=x.shape[dim] - 1)
    share = at - low
    return _blend(x, dim, [(low, 1 - share), ((low + 1).clamp(max=x.shape[dim] - 1), share)])


def _cubic(x, dim, out, scale, align_corners):
    """Keys' kernel with a = −0.75 over four neighbours."""
    at = _sources(x, dim, out, scale, align_corners)
    low = at.floor()
    t, low, a = at - low, low.to(_core.int64), -0.75

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    weights = [far(t + 1), near(t), near(1 - t), far(2 - t)]
    return _blend(x, dim, [((low + k - 1).clamp(0, x.shape[dim] - 1), w) for k, w in enumerate(weights)])


def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """(N, C, …) resized to `size`, or by `scale_factor`, in its one to three last dimensions.

    Args:
        mode: 'nearest', 'nearest-exact', 'linear' (3D), 'bilinear', 'bicubic' (4D), 'trilinear' (5D) or 'area'.
        align_corners: corners of input and output coincide, instead of their borders.
        recompute_scale_factor: compute the scale anew from the rounded sizes.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.interpolate(wg.tensor([[[1.0, 3.0]]]), scale_factor=2, mode="linear")
        tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    """
    if mode not in ("nearest", "nearest-exact", "area", *_DIMS):
        raise NotImplementedError(
            f"interpolate(): mode {mode!r} is not one of nearest, nearest-exact, area, {', '.join(_DIMS)}"
        )
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if antialias:
        raise ValueError("interpolate(): antialias=True is not supported; blur the input first")
    n = input.ndim - 2
    if not 1 <= n <= 3 or _DIMS.get(mode, n) != n:
        raise NotImplementedError(
            f"Input Error: mode {mode!r} does not go with a {input.ndim}D input; it resizes the dimensions after (N, C)"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
    given = size if scale_factor is None else scale_factor
    given = list(given) if isinstance(given, (tuple, list)) else [given] * n
    if len(given) != n:
        raise ValueError(
            f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(input.shape[2:])} and {given}"
        )
    if scale_factor is None:
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        sizes, factors = [int(s) for s in given], [None] * n
    else:
        sizes = [math.floor(float(s) * f) for s, f in zip(input.shape[2:], given, strict=True)]
        factors = [None] * n if recompute_scale_factor else given
    if min(sizes) <= 0 or input.numel() == 0:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {list(input.shape)} and output {sizes}"
        )
    if mode == "area":
        return _adaptive_avg_pool(n, input, sizes)
    for i in range(n):
        dim, out = 2 + i, sizes[i]
        scale = 1.0 / factors[i] if factors[i] else input.shape[dim] / out
        if mode.startswith("nearest"):
            input = _nearest(input, dim, out, scale, 0.5 if mode == "nearest-exact" else 0.0)
        else:
            way = _cubic if mode == "bicubic" else _linear
            input = way(input, dim, out, scale, bool(align_corners))
    return input


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """:func:`interpolate` under its old name."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode, align_corners)
