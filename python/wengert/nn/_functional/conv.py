"""Convolution and padding."""

from wengert import _core
from wengert._core import conv2d as _conv2d


def _pair(value):
    if isinstance(value, (tuple, list)):
        return tuple(value) if len(value) == 2 else tuple(value) * 2
    return (value, value)


def _single(value):
    return tuple(value)[0] if isinstance(value, (tuple, list)) else value


def _same_padding(name, kernel, stride, dilation):
    """Zeros before and after each dimension for an output of the input's size."""
    if any(s != 1 for s in stride):
        raise RuntimeError(f"{name}(): padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(t // 2, t - t // 2) for t in total]


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of (N, C, H, W) or (C, H, W) with `weight` (O, C/groups, kH, kW).

    Args:
        padding: zeros on both sides (an int or a pair), 'valid' or 'same'.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.conv2d(wg.ones(1, 1, 3, 3), wg.ones(1, 1, 2, 2)).tolist()
        [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    stride, dilation = _pair(stride), _pair(dilation)
    if isinstance(padding, str):
        if padding == "valid":
            padding = 0
        elif padding == "same":
            pads = _same_padding("conv2d", weight.shape[2:], stride, dilation)
            if all(before == after for before, after in pads):
                padding = tuple(before for before, _ in pads)
            else:
                input = _core._pad(input, [(0, 0)] * (input.ndim - 2) + pads, 0.0)
                padding = 0
        else:
            raise RuntimeError(f"Invalid padding string: '{padding}'; use 'valid' or 'same'")
    if input.ndim == 3:
        batched = input.unsqueeze(0)
        return _conv2d(batched, weight, bias, stride, _pair(padding), dilation, groups).squeeze(0)
    return _conv2d(input, weight, bias, stride, _pair(padding), dilation, groups)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of (N, C, L) or (C, L) with `weight` (O, C/groups, k): a conv2d of height 1."""
    if input.ndim not in (2, 3) or weight.ndim != 3:
        raise RuntimeError(
            "Expected 2D (unbatched) or 3D (batched) input to conv1d with a 3D weight, "
            f"but got input of size: {list(input.shape)} and weight of size: {list(weight.shape)}"
        )
    if not isinstance(padding, str):
        padding = (0, _single(padding))
    output = conv2d(
        input.unsqueeze(-2),
        weight.unsqueeze(-2),
        bias,
        (1, _single(stride)),
        padding,
        (1, _single(dilation)),
        groups,
    )
    return output.squeeze(-2)


def _source_positions(size, before, after, mode):
    """For each place of a padded dimension, where in the input its value comes from."""
    places = range(-before, size + after)
    if mode == "replicate":
        return [min(max(i, 0), size - 1) for i in places]
    if mode == "circular":
        if before > size or after > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        return [i % size for i in places]
    if before >= size or after >= size:
        raise RuntimeError(
            "Padding size should be less than the corresponding input dimension, "
            f"but got: padding ({before}, {after}) at a dimension of size {size}"
        )
    return [-i if i < 0 else (2 * (size - 1) - i if i >= size else i) for i in places]


def pad(input, pad, mode="constant", value=None):
    """Pad the last dimensions: `pad` is (before, after) for the last, then for the one before it, and so on.

    Args:
        mode: 'constant' (of `value`, 0 if left out), 'reflect', 'replicate' or 'circular'.
            Negative amounts cut away.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.pad(wg.tensor([1, 2]), (1, 2))
        tensor([0, 1, 2, 0, 0])
    """
    pad = tuple(pad)
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(pad)} amounts")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input.ndim}"
        )
    pairs = [(0, 0)] * (input.ndim - len(pad) // 2) + [
        (pad[i], pad[i + 1]) for i in range(len(pad) - 2, -2, -2)
    ]
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if mode != "constant" and value not in (None, 0):
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    for dim, (before, after) in enumerate(pairs):
        if min(before, after) < 0:
            start, cut = max(-before, 0), max(-after, 0)
            length = input.shape[dim] - start - cut
            if length < 0:
                raise RuntimeError(
                    f"The input size {input.shape[dim]}, plus negative padding {before} and {after}, resulted in "
                    f"a negative output size, which is invalid. Check dimension {dim} of your input."
                )
            input = input.narrow(dim, start, length)
    pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    if mode == "constant":
        return _core._pad(input, pairs, 0.0 if value is None else value)
    for dim, (before, after) in enumerate(pairs):
        if before or after:
            positions = _source_positions(input.shape[dim], before, after, mode)
            input = input.index_select(dim, _core.tensor(positions))
    return input
