"""Windows as columns and back, and shuffles of channels."""

import math

from wengert import _core

from .conv import conv_transpose2d, each


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of (N, C, H, W) or (C, H, W) as columns: (N, C · kH · kW, number of windows).

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.unfold(wg.arange(4.0).reshape(1, 2, 2), 2)
        tensor([[0.],
                [1.],
                [2.],
                [3.]])
    """
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor for input to unfold, but got shape {list(input.shape)}"
        )
    kernel, dilation = each("kernel_size", kernel_size, 2), each("dilation", dilation, 2)
    padding, stride = each("padding", padding, 2), each("stride", stride, 2)
    if min(kernel) <= 0 or min(dilation) <= 0 or min(stride) <= 0 or min(padding) < 0:
        raise RuntimeError(
            f"unfold(): sizes must be positive, but got kernel_size={kernel}, dilation={dilation}, padding={padding}, "
            f"stride={stride}"
        )
    x = input if input.ndim == 4 else input.unsqueeze(0)
    x = _core._pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2], 0)
    # Views of windows are copied once; but gradients of views that overlap cost more than those of copies.
    views = x.is_cpu and not x.requires_grad
    for i in range(2):
        span, dim = dilation[i] * (kernel[i] - 1) + 1, 2 + i if views else 2 + 2 * i
        if span > x.shape[dim]:
            raise RuntimeError(
                f"unfold(): an input of shape {list(input.shape)} has no window of kernel_size={kernel}, "
                f"dilation={dilation}, padding={padding}"
            )
        if views:
            x = x.unfold(dim, span, stride[i])[..., :: dilation[i]]
            continue
        starts = _core.arange(0, x.shape[dim] - span + 1, stride[i], device=x.device).unsqueeze(1)
        places = starts + _core.arange(kernel[i], device=x.device) * dilation[i]
        x = x.index_select(dim, places.flatten()).unflatten(dim, places.shape)
    columns = x.permute((0, 1, 4, 5, 2, 3) if views else (0, 1, 3, 5, 2, 4)).flatten(1, 3).flatten(2)
    return columns if input.ndim == 4 else columns.squeeze(0)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns (N, C · kH · kW, L) added up into (N, C, *output_size): the transpose of :func:`unfold`.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.fold(wg.ones(1, 2, 2), (1, 3), (1, 2))
        tensor([[[[1., 2., 1.]]]])
    """
    kernel, dilation = each("kernel_size", kernel_size, 2), each("dilation", dilation, 2)
    padding, stride = each("padding", padding, 2), each("stride", stride, 2)
    size, area = each("output_size", output_size, 2), math.prod(kernel)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2D or 3D (batch mode) tensor for input to fold, but got shape {list(input.shape)}"
        )
    x = input if input.ndim == 3 else input.unsqueeze(0)
    if x.shape[1] % area:
        raise RuntimeError(
            f"Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={x.shape[1]} and kernel_size={kernel}"
        )
    room = [size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1 for i in range(2)]
    count = [r // s + 1 for r, s in zip(room, stride, strict=True)]
    if min(count) <= 0 or math.prod(count) != x.shape[2]:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, padding={padding}, stride={stride}, "
            f"expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{count[0]} * {count[1]}, but got input.size(2)={x.shape[2]}"
        )
    channels = x.shape[1] // area
    ones = _core.eye(area, dtype=x.dtype, device=x.device).reshape(area, 1, *kernel)
    ones = ones.repeat(channels, 1, 1, 1)
    # What is over of the last window's stride is padding of the output, cut off where it is too much.
    extra = [r - (c - 1) * s for r, c, s in zip(room, count, stride, strict=True)]
    x = conv_transpose2d(x.unflatten(2, count), ones, None, stride, 0, 0, channels, dilation)
    x = _core._pad(x, [(0, 0), (0, 0), (0, extra[0]), (0, extra[1])], 0)
    x = x.narrow(2, padding[0], size[0]).narrow(3, padding[1], size[1])
    return x if input.ndim == 3 else x.squeeze(0)


def pixel_shuffle(input, upscale_factor):
    """(…, C · r², H, W) → (…, C, H · r, W · r) with r = `upscale_factor`.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.pixel_shuffle(wg.arange(4.0).reshape(4, 1, 1), 2)
        tensor([[[0., 1.],
                 [2., 3.]]])
    """
    r = upscale_factor
    if r <= 0 or input.ndim < 3 or input.shape[-3] % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but got shape {list(input.shape)} and upscale_factor={r}"
        )
    *lead, channels, height, width = input.shape
    x = input.reshape(-1, channels // (r * r), r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(*lead, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input, downscale_factor):
    """(…, C, H · r, W · r) → (…, C · r², H, W) with r = `downscale_factor`: undoes :func:`pixel_shuffle`."""
    r = downscale_factor
    if r <= 0 or input.ndim < 3 or input.shape[-2] % r or input.shape[-1] % r:
        raise RuntimeError(
            "pixel_unshuffle expects height and width to be divisible by downscale_factor, "
            f"but got shape {list(input.shape)} and downscale_factor={r}"
        )
    *lead, channels, height, width = input.shape
    x = input.reshape(-1, channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return x.reshape(*lead, channels * r * r, height // r, width // r)


def channel_shuffle(input, groups):
    """Channels (dimension 1) of `groups` groups in turns: 0, C/g, 2C/g, …, 1, …"""
    if input.ndim < 3 or groups <= 0 or input.shape[1] % groups:
        raise RuntimeError(
            f"channel_shuffle(): number of channels must be divisible by groups. Got shape {list(input.shape)} and "
            f"{groups} groups."
        )
    return input.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
