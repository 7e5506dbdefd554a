"""Images read at computed places."""

import warnings
from itertools import product

from wengert import _core


def _coordinates(size, align_corners, device):
    """Places of `size` pixels along one dim, the image reaching from −1 to 1."""
    if size == 1:
        return _core.zeros(1, device=device)
    places = _core.linspace(-1, 1, size, device=device)
    return places if align_corners else places * ((size - 1) / size)


def affine_grid(theta, size, align_corners=None):
    """For each pixel of an image of `size` (N, C, H, W) the place that `theta` (N, 2, 3) takes it to: (N, H, W, 2).

    Images of three dims take (N, C, D, H, W) and (N, 3, 4) to (N, D, H, W, 3). Places are (x, y) and (x, y, z),
    −1 and 1 being the image's edges (with `align_corners`, the outermost pixels' centres).

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.affine_grid(wg.eye(2, 3).unsqueeze(0), (1, 1, 1, 2), align_corners=False)
        tensor([[[[-0.5000,  0.0000],
                  [ 0.5000,  0.0000]]]])
    """
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
            "Please specify align_corners=True if the old behavior is desired.",
            stacklevel=2,
        )
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, but got size {tuple(size)}"
        )
    if theta.ndim != 3 or tuple(theta.shape[-2:]) != (dims, dims + 1):
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {tuple(size)}. "
            f"Got {tuple(theta.shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    if theta.shape[0] != size[0]:
        raise RuntimeError(f"affine_grid: theta has {theta.shape[0]} matrices for size {tuple(size)}")
    axes = [_coordinates(n, align_corners, theta.device).to(theta.dtype) for n in size[2:]]
    places = [*reversed(_meshgrid(axes)), theta.new_ones(*size[2:])]
    base = _core.stack(places, -1).reshape(1, -1, dims + 1)
    return (base @ theta.mT).reshape(size[0], *size[2:], dims)


def _meshgrid(axes):
    shape = [len(axis) for axis in axes]
    return [
        axis.reshape([-1 if i == d else 1 for i in range(len(axes))]).expand(shape)
        for d, axis in enumerate(axes)
    ]


def _reflected(x, low, high):
    """x reflected at `low` and `high` until it is between them."""
    if high == low:
        return _core.zeros_like(x)
    span = high - low
    away = (x - low).abs()
    turns = (away / span).floor()
    rest = away - turns * span
    return _core.where(turns % 2 == 0, rest + low, high - rest)


def _folded(x, size, mode, align_corners):
    """Pixel coordinates brought into the image as the padding mode has it."""
    if mode == "reflection":
        x = _reflected(x, 0, size - 1) if align_corners else _reflected(x, -0.5, size - 0.5)
    return x if mode == "zeros" else x.clamp(0, size - 1)


def _read(flat, sizes, places):
    """Pixels (N, C, P) of flat images (N, C, pixels) at integer places, 0 outside, and nothing else."""
    inside, index = None, 0
    for place, size in zip(places, sizes, strict=True):
        here = (place >= 0) & (place <= size - 1)
        inside = here if inside is None else inside & here
        index = index * size + place.clamp(0, size - 1).long()
    values = flat.gather(2, index.unsqueeze(1).expand(-1, flat.shape[1], -1))
    return values.masked_fill(~inside.unsqueeze(1), 0)


def _linear(flat, sizes, places):
    """The mean of the neighbours, weighted by nearness along each dim."""
    lows = [place.detach().floor() for place in places]
    total = 0
    for corner in range(2 ** len(places)):
        weight, at = 1, []
        for d, (place, low) in enumerate(zip(places, lows, strict=True)):
            upper = corner >> d & 1
            weight = weight * ((place - low) if upper else (low + 1 - place))
            at.append(low + upper)
        total = total + _read(flat, sizes, at) * weight.unsqueeze(1)
    return total


def _cubic_weights(t):
    """Weights of the four neighbours at −1, 0, 1 and 2, by the cubic convolution of a = −0.75."""
    a = -0.75

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _cubic(flat, sizes, places, mode, align_corners):
    lows = [place.detach().floor() for place in places]
    weights = [_cubic_weights(place - low) for place, low in zip(places, lows, strict=True)]
    total = 0
    for steps in product(range(4), repeat=len(places)):
        weight, at = 1, []
        for d, k in enumerate(steps):
            weight = weight * weights[d][k]
            at.append(_folded(lows[d] + k - 1, sizes[d], mode, align_corners))
        total = total + _read(flat, sizes, at) * weight.unsqueeze(1)
    return total


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Images (N, C, H, W) read at the places `grid` (N, H', W', 2): (N, C, H', W').

    Images of three dims take (N, C, D, H, W) and (N, D', H', W', 3).

    Args:
        mode: "bilinear" (trilinear in three dims), "nearest" or "bicubic".
        padding_mode: what stands outside: "zeros", "border" or "reflection".
        align_corners: whether −1 and 1 are the centres of the outermost pixels, not the image's edges.

    Example:
        >>> import wengert as wg
        >>> image = wg.tensor([[[[0.0, 4.0]]]])
        >>> wg.nn.functional.grid_sample(image, wg.zeros(1, 1, 1, 2), align_corners=False)
        tensor([[[[2.]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
            "Please specify align_corners=True if the old behavior is desired.",
            stacklevel=2,
        )
        align_corners = False
    dims = input.ndim - 2
    if (
        dims not in (2, 3)
        or grid.ndim != input.ndim
        or grid.shape[-1] != dims
        or grid.shape[0] != input.shape[0]
    ):
        raise RuntimeError(
            "grid_sampler(): expected images (N, C, H, W) and a grid (N, H', W', 2), or (N, C, D, H, W) and "
            f"(N, D', H', W', 3), but got {tuple(input.shape)} and {tuple(grid.shape)}"
        )
    if input.dtype != grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but got {input.dtype} and {grid.dtype}"
        )
    sizes = list(input.shape[2:])
    if 0 in sizes:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but got {tuple(input.shape)}"
        )
    places = []
    # The grid's last dim counts x, y, z; the image's dims are z, y, x.
    for x, n in zip(reversed(grid.reshape(grid.shape[0], -1, dims).unbind(-1)), sizes, strict=True):
        x = (x + 1) / 2 * (n - 1) if align_corners else ((x + 1) * n - 1) / 2
        places.append(x if mode == "bicubic" else _folded(x, n, padding_mode, align_corners))
    flat = input.reshape(*input.shape[:2], -1)
    if mode == "nearest":
        result = _read(flat, sizes, [x.detach().round() for x in places])
    elif mode == "bilinear":
        result = _linear(flat, sizes, places)
    else:
        result = _cubic(flat, sizes, places, padding_mode, align_corners)
    return result.reshape(*input.shape[:2], *grid.shape[1:-1])
