"""Maxima of windows whose places are drawn, so that sizes shrink by any fraction."""

from wengert import _core

from .conv import each


def _starts(sample, size, out, kernel):
    """Where `out` windows of `kernel` places begin in `size`, for each sample of (N, C): (N, C, out)."""
    count = _core.arange(max(out - 1, 0), dtype=sample.dtype, device=sample.device)
    step = (sample.new_tensor(size - kernel) / max(out - 1, 1)) if out > 1 else 0.0
    sample = sample.unsqueeze(-1)
    inner = ((count + sample) * step).to(_core.int64) - (sample * step).to(_core.int64)
    last = inner.new_full((*inner.shape[:2], min(out, 1)), size - kernel)
    return _core.cat([inner, last], -1)


def _sizes(name, n, input, output_size, output_ratio):
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is not None:
        return each("output_size", output_size, n)
    if isinstance(output_ratio, (tuple, list)) and len(output_ratio) != n:
        raise ValueError(
            f"{name} requires output_ratio to be a number or {n} of them, but got {output_ratio}"
        )
    ratios = each("output_ratio", output_ratio, n)
    return tuple(int(size * ratio) for size, ratio in zip(input.shape[-n:], ratios, strict=True))


def _fractional_max_pool(n, input, kernel_size, output_size, output_ratio, samples):
    name = f"fractional_max_pool{n}d"
    if input.ndim not in (n + 1, n + 2):
        raise IndexError(
            f"{name}(): expected an input of {n + 1} or {n + 2} dimensions, but got shape {list(input.shape)}"
        )
    if not input.is_floating_point():
        raise NotImplementedError(
            f"{name}() is not implemented for {input.dtype}; use a floating-point input"
        )
    sizes, kernel = _sizes(name, n, input, output_size, output_ratio), each("kernel_size", kernel_size, n)
    batch = input if input.ndim == n + 2 else input.unsqueeze(0)
    space = batch.shape[2:]
    if 0 in batch.shape[1:]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got {list(input.shape)}"
        )
    if min(kernel) <= 0 or min(sizes) < 0:
        raise RuntimeError(
            f"{name}(): kernel_size must be positive and output sizes not negative, but got {kernel} and {sizes}"
        )
    for size, out, width in zip(space, sizes, kernel, strict=True):
        if out + width - 1 > size:
            raise RuntimeError(
                f"{name}(): {out} windows of size {width} are too large relative to an input of size {size}"
            )
    if samples is None:
        samples = _core.rand(*batch.shape[:2], n, dtype=input.dtype, device=input.device)
    if samples.dtype != input.dtype or samples.ndim != 3 or samples.shape[2] != n:
        raise RuntimeError(
            f"{name}(): Expect _random_samples of shape (N, C, {n}) and of {input.dtype}, but got "
            f"{list(samples.shape)} of {samples.dtype}"
        )
    if samples.shape[0] < batch.shape[0] or samples.shape[1] < batch.shape[1]:
        raise RuntimeError(
            f"{name}(): Expect _random_samples for {list(batch.shape[:2])} examples and channels, but got "
            f"{list(samples.shape[:2])}"
        )
    samples = samples[: batch.shape[0], : batch.shape[1]]
    # In two dimensions the first sample is the width's, in three the depth's.
    order = (1, 0) if n == 2 else (0, 1, 2)
    places = 0
    for i in range(n):
        starts = _starts(samples[..., order[i]], space[i], sizes[i], kernel[i])
        index = starts.unsqueeze(-1) + _core.arange(kernel[i], device=input.device)
        # (N, C, all windows' counts, all windows' sizes)
        shape = [*batch.shape[:2], *([1] * (2 * n))]
        shape[2 + i], shape[2 + n + i] = sizes[i], kernel[i]
        places = places * space[i] + index.reshape(shape)
    places = places.flatten(2 + n).flatten(2, 1 + n)
    flat = batch.flatten(2)
    found = flat.detach().gather(2, places.flatten(2)).unflatten(2, places.shape[2:])
    places = places.gather(3, found.argmax(3, keepdim=True)).squeeze(3)
    values = flat.gather(2, places)
    values, places = (x.reshape(*batch.shape[:2], *sizes) for x in (values, places))
    return (values, places) if input.ndim == n + 2 else (values.squeeze(0), places.squeeze(0))


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Values and positions of :func:`fractional_max_pool2d`."""
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Values and positions of :func:`fractional_max_pool3d`."""
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """Largest values of overlapping windows at drawn places of (N, C, H, W) or (C, H, W), and positions if asked.

    Args:
        kernel_size: of the windows.
        output_size: how many windows there are; or `output_ratio`, what share of the input's size.
        _random_samples: (N, C, 2) of [0, 1) instead of fresh ones, in the input's dtype.

    Raises:
        ValueError: without `output_size` and `output_ratio`.
        RuntimeError: if so many windows do not fit.

    Graham, "Fractional Max-Pooling" (2014), https://arxiv.org/abs/1412.6071.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.fractional_max_pool2d(wg.arange(9.0).reshape(1, 3, 3), 2, output_size=(2, 2))
        tensor([[[4., 5.],
                 [7., 8.]]])
    """
    found = _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return found if return_indices else found[0]


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """:func:`fractional_max_pool2d` of (N, C, D, H, W) or (C, D, H, W)."""
    found = _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return found if return_indices else found[0]
