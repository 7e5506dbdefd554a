"""Pooling over windows."""

from wengert import _core


def _pair(value):
    if isinstance(value, (tuple, list)):
        return tuple(value) if len(value) == 2 else tuple(value) * 2
    return (value, value)


def _single(value):
    return tuple(value)[0] if isinstance(value, (tuple, list)) else value


def _windows(name, size, kernel, stride, padding, ceil_mode):
    """Number of windows along one dimension, and for each how many padded and how many real places it has."""
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
    padded, real = [], []
    for i in range(count):
        start = i * stride - padding
        stop = min(start + kernel, size + padding)
        padded.append(stop - start)
        real.append(min(stop, size) - max(start, 0))
    return count, padded, real


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
        count_include_pad: whether the zeros of the padding count as elements.
        divisor_override: divide the windows' sums by this instead.
    """
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    kernel = _pair(kernel_size)
    stride = kernel if stride is None or stride == () or stride == [] else _pair(stride)
    padding = _pair(padding)
    first = input.ndim - 2
    pads, counts = [(0, 0)] * first, []
    for i in range(2):
        size = input.shape[first + i]
        n, padded, real = _windows("avg_pool2d", size, kernel[i], stride[i], padding[i], ceil_mode)
        after = (n - 1) * stride[i] + kernel[i] - padding[i] - size
        pads.append((padding[i], max(after, 0)))
        counts.append((n, padded if count_include_pad else real))
    if any(pad != (0, 0) for pad in pads):
        input = _core._pad(input, pads, 0.0)
    windows = input.unfold(first, kernel[0], stride[0]).unfold(first + 1, kernel[1], stride[1])
    windows = windows.narrow(first, 0, counts[0][0]).narrow(first + 1, 0, counts[1][0])
    sums = windows.sum((-2, -1))
    if divisor_override is not None:
        return sums / divisor_override
    rows = _core.tensor(counts[0][1], dtype=input.dtype).unsqueeze(1)
    columns = _core.tensor(counts[1][1], dtype=input.dtype)
    return sums / (rows * columns)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Mean of each window of (N, C, L) or (C, L)."""
    stride = kernel_size if stride is None or stride == () or stride == [] else stride
    return avg_pool2d(
        input.unsqueeze(-2),
        (1, _single(kernel_size)),
        (1, _single(stride)),
        (0, _single(padding)),
        ceil_mode,
        count_include_pad,
    ).squeeze(-2)


def _averaging(size, out, dtype):
    """Matrix (out, size) whose rows average the windows that divide `size` places into `out` parts."""
    rows = []
    for i in range(out):
        start, stop = i * size // out, -(-(i + 1) * size // out)
        rows.append([1.0 / (stop - start) if start <= j < stop else 0.0 for j in range(size)])
    return _core.tensor(rows, dtype=dtype)


def adaptive_avg_pool2d(input, output_size):
    """Means of the windows that divide (…, H, W) into `output_size` parts (None keeps a size)."""
    size = _pair(output_size)
    height = input.shape[-2] if size[0] is None else size[0]
    width = input.shape[-1] if size[1] is None else size[1]
    if (height, width) == (1, 1):
        return input.mean((-2, -1), keepdim=True)
    columns = _averaging(input.shape[-1], width, input.dtype).t()
    return _averaging(input.shape[-2], height, input.dtype).matmul(input.matmul(columns))


def adaptive_avg_pool1d(input, output_size):
    """Means of the windows that divide (…, L) into `output_size` parts."""
    return input.matmul(_averaging(input.shape[-1], _single(output_size), input.dtype).t())
