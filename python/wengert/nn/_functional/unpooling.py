"""Maxima put back where `max_pool` with `return_indices=True` found them."""

from .conv import each


def _max_unpool(n, input, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{n}d"
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}(): Input to {name} should be a {n + 1}d or {n + 2}d Tensor, but got {tuple(input.shape)}"
        )
    if input.shape != indices.shape:
        raise RuntimeError(
            f"{name}(): Expected shape of indices to be the same as that of the input "
            f"({tuple(input.shape)}), but got {tuple(indices.shape)}"
        )
    kernel = each("kernel_size", kernel_size, n)
    stride = kernel if stride is None or stride == () else each("stride", stride, n)
    padding = each("padding", padding, n)
    inside = input.shape[-n:]
    usual = [(s - 1) * t + k - 2 * p for s, t, k, p in zip(inside, stride, kernel, padding, strict=True)]
    sizes = usual if output_size is None else list(output_size)[-n:]
    if output_size is not None:
        if len(output_size) not in (n, input.ndim):
            raise ValueError(
                f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of "
                f"'{len(output_size)}'"
            )
        for d, (size, own, step) in enumerate(zip(sizes, usual, stride, strict=True)):
            if not own - step < size < own + step:
                raise ValueError(
                    f'invalid output_size "{list(sizes)}" (dim {d} must be between {own - step} and {own + step})'
                )
    count = 1
    for size in sizes:
        count *= size
    lead = list(input.shape[:-n])
    flat = indices.reshape(*lead, -1)
    if flat.numel() and (int(flat.max()) >= count or int(flat.min()) < 0):
        raise RuntimeError(f"{name}(): Found an invalid max index for an output of sizes {list(sizes)}")
    output = input.new_zeros(*lead, count).scatter(-1, flat, input.reshape(*lead, -1))
    return output.reshape(*lead, *sizes)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Maxima (N, C, L) at their places in zeros; `output_size` says which of the possible lengths."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Maxima (N, C, H, W) at their places in zeros.

    Example:
        >>> import wengert as wg
        >>> F = wg.nn.functional
        >>> top, places = F.max_pool2d(wg.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
        >>> F.max_unpool2d(top, places, 2)
        tensor([[[0., 0.],
                 [4., 0.]]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Maxima (N, C, D, H, W) at their places in zeros."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
