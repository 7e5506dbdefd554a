"""Means and norms of windows; maxima are the core's."""

import math

from wengert import _core
from wengert._core import max_pool1d, max_pool2d, max_pool3d

from .conv import each

_MAX_POOLS = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


def _windows(name, size, kernel, stride, padding, ceil_mode, device):
    """Number of windows along one dimension, and what tells for each how many places it has, padded or real ones."""
    if kernel <= 0 or stride <= 0 or padding < 0 or padding > kernel // 2:
        raise RuntimeError(
            f"{name}(): kernel_size and stride must be positive and padding at most half of kernel_size, "
            f"but got kernel_size={kernel}, stride={stride}, padding={padding}"
        )
    span = size + 2 * padding - kernel
    count = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    if count <= 0:
        raise RuntimeError(
            f"{name}(): an input of size {size} has no window of size {kernel}: Output size is too small"
        )

    def places(padded):
        start = _core.arange(count, device=device) * stride - padding
        stop = (start + kernel).clamp(max=size + padding)
        return stop - start if padded else stop.clamp(max=size) - start.clamp(min=0)

    return count, places


def _no_stride(stride):
    return stride is None or stride == () or stride == []


def _avg_pool(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    name = f"avg_pool{n}d"
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}(): Expected {n + 1}D or {n + 2}D (batch mode) input, but got shape {list(input.shape)}"
        )
    kernel = each("kernel_size", kernel_size, n)
    stride = kernel if _no_stride(stride) else each("stride", stride, n)
    padding = each("padding", padding, n)
    first = input.ndim - n
    pads, counts = [(0, 0)] * first, []
    for i in range(n):
        size = input.shape[first + i]
        count, places = _windows(name, size, kernel[i], stride[i], padding[i], ceil_mode, input.device)
        after = (count - 1) * stride[i] + kernel[i] - padding[i] - size
        pads.append((padding[i], max(after, 0)))
        counts.append((count, places))
    whole = all(pad == (0, 0) for pad in pads)
    if not whole:
        input = _core._pad(input, pads, 0.0)
    divisor = 1.0 if divisor_override is None else divisor_override
    if whole and divisor_override is None:
        # Every window has all its elements.
        divisor = math.prod(kernel)
    elif divisor_override is None:
        for i, (_, places) in enumerate(counts):
            divisor = divisor * places(count_include_pad).to(input.dtype).reshape(-1, *([1] * (n - 1 - i)))
    if tuple(kernel) == tuple(stride):
        # Windows that share nothing are parts of the dimensions.
        for i, (count, _) in enumerate(counts):
            dim = first + 2 * i
            input = input.narrow(dim, 0, count * kernel[i]).unflatten(dim, (count, kernel[i]))
        return input.sum(tuple(range(first + 1, first + 2 * n, 2))) / divisor
    for i, (count, _) in enumerate(counts):
        input = input.unfold(first + i, kernel[i], stride[i]).narrow(first + i, 0, count)
    return input.sum(tuple(range(-n, 0))) / divisor


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Mean of each window of (N, C, L) or (C, L)."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """Mean of each window of (N, C, H, W) or (C, H, W).

    Args:
        stride: the window's size if left out.
        count_include_pad: whether the zeros of the padding count as elements.
        divisor_override: divide the windows' sums by this instead.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.avg_pool2d(wg.arange(4.0).reshape(1, 2, 2), 2)
        tensor([[[1.5000]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """Mean of each window of (N, C, D, H, W) or (C, D, H, W); see :func:`avg_pool2d`."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(n, input, norm_type, kernel_size, stride, ceil_mode):
    if norm_type == 0:
        raise ValueError(f"lp_pool{n}d: norm_type must be a non-zero value, but got {norm_type}")
    kernel = each("kernel_size", kernel_size, n)
    if math.isinf(norm_type):
        sign = math.copysign(1, norm_type)
        return sign * _MAX_POOLS[n](sign * input.abs(), kernel, stride, 0, 1, ceil_mode)
    means = _avg_pool(n, input.pow(norm_type), kernel, stride, 0, ceil_mode, True)
    sums = means.sign() * means.abs().relu() * math.prod(kernel)
    return sums.pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ x^p)^(1/p) of each window of (N, C, L) or (C, L), p being `norm_type`."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ x^p)^(1/p) of each window of (N, C, H, W) or (C, H, W), p being `norm_type`.

    For p = ±∞ it is the largest, or smallest, |x|.

    Raises:
        ValueError: if p is 0.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.lp_pool2d(wg.tensor([[[3.0, 4.0]]]), 2, (1, 2))
        tensor([[[5.]]])
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ x^p)^(1/p) of each window of (N, C, D, H, W) or (C, D, H, W), p being `norm_type`; see :func:`lp_pool2d`."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _parts(size, out, device):
    """Where the `out` windows begin and end that cover `size` places evenly, as two columns."""
    edges = _core.arange(out + 1, device=device).unsqueeze(1) * size
    return edges[:-1] // max(out, 1), (edges[1:] + (out - 1)) // max(out, 1)


def _targets(n, input, output_size):
    """Sizes that are asked for, None keeping the input's."""
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(wanted) != n or input.ndim <= n:
        raise RuntimeError(
            f"adaptive pooling to {n} sizes needs an input of {n + 1} or {n + 2} dimensions and {n} sizes, but got "
            f"shape {list(input.shape)} and output_size={output_size}"
        )
    sizes = [have if want is None else want for have, want in zip(input.shape[-n:], wanted, strict=True)]
    if min(sizes) < 0:
        raise RuntimeError(f"adaptive pooling: elements of output_size must not be negative, but got {sizes}")
    return sizes


def _adaptive_avg_pool(n, input, output_size):
    sizes = _targets(n, input, output_size)
    if all(size == 1 for size in sizes):
        return input.mean(tuple(range(-n, 0)), keepdim=True)
    for dim, size in zip(range(-n, 0), sizes, strict=True):
        start, stop = _parts(input.shape[dim], size, input.device)
        places = _core.arange(input.shape[dim], device=input.device)
        inside = (places >= start) & (places < stop)
        count = (stop - start).to(_core.promote_types(input.dtype, _core.float32))
        averaging = (inside / count).to(input.dtype)
        input = input.movedim(dim, -1).matmul(averaging.t()).movedim(-1, dim)
    return input


def adaptive_avg_pool1d(input, output_size):
    """Means of the windows that divide (…, L) into `output_size` parts."""
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """Means of the windows that divide (…, H, W) into `output_size` parts (None keeps a size).

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.adaptive_avg_pool2d(wg.arange(4.0).reshape(1, 2, 2), (1, 2))
        tensor([[[1., 2.]]])
    """
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """Means of the windows that divide (…, D, H, W) into `output_size` parts (None keeps a size)."""
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n, input, output_size, return_indices):
    sizes = _targets(n, input, output_size)
    lead, space = input.ndim - n, input.shape[-n:]
    windows, places = input, 0
    for i in range(n):
        start, stop = _parts(space[i], sizes[i], input.device)
        width = int((stop - start).max()) if sizes[i] else 1
        # A shorter window repeats its last place, which is never the first of equal ones.
        index = _core.minimum(start + _core.arange(width, device=input.device), stop - 1).flatten()
        dim = lead + 2 * i
        windows = windows.index_select(dim, index).unflatten(dim, (sizes[i], width))
        shape = [1] * (2 * n)
        shape[2 * i : 2 * i + 2] = sizes[i], width
        places = places * space[i] + index.reshape(shape)
    order = [*range(0, 2 * n, 2), *range(1, 2 * n, 2)]
    windows = windows.permute(*range(lead), *(lead + d for d in order)).flatten(lead + n)
    values, chosen = windows.max(-1)
    if not return_indices:
        return values
    places = places.permute(*order).flatten(n).expand(windows.shape)
    return values, places.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Largest values of the windows that divide (…, L) into `output_size` parts, and their positions if asked."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Largest values of the windows that divide (…, H, W) into `output_size` parts, and their positions if asked.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.adaptive_max_pool2d(wg.arange(6.0).reshape(1, 2, 3), (1, 2))
        tensor([[[4., 5.]]])
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """Largest values of the windows that divide (…, D, H, W) into `output_size` parts."""
    return _adaptive_max_pool(3, input, output_size, return_indices)
