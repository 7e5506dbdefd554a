"""Transposed convolutions, composed of convolutions."""

from wengert import _core
from wengert._core import conv1d, conv2d, conv3d

from .padding import pad

_CONVOLUTIONS = {1: conv1d, 2: conv2d, 3: conv3d}


def each(name, value, n):
    """`value` for each of n dimensions, if it is not given so."""
    if not isinstance(value, (tuple, list)):
        return (value,) * n
    value = tuple(value)
    if len(value) == 1:
        return value * n
    if len(value) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values, got {list(value)}"
        )
    return value


def _conv_transpose(n, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """A convolution's transpose: its input's gradient.

    Where output_padding reaches beyond a stride, or nothing is given, the input spread out, `stride` apart, is
    convolved with the flipped weights.
    """
    name = f"conv_transpose{n}d"
    if input.ndim not in (n + 1, n + 2) or weight.ndim != n + 2:
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name} and a {n + 2}D weight, "
            f"but got input of size: {list(input.shape)} and weight of size: {list(weight.shape)}"
        )
    stride, padding = each("stride", stride, n), each("padding", padding, n)
    output_padding, dilation = each("output_padding", output_padding, n), each("dilation", dilation, n)
    if min(stride) <= 0 or min(dilation) <= 0 or min(padding) < 0 or min(output_padding) < 0:
        raise RuntimeError(
            f"{name}(): stride and dilation must be positive, padding and output_padding not negative, but got "
            f"stride={stride}, dilation={dilation}, padding={padding}, output_padding={output_padding}"
        )
    if any(extra >= max(s, d) for extra, s, d in zip(output_padding, stride, dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding={output_padding}, "
            f"stride={stride}, dilation={dilation}"
        )
    x = input if input.ndim == n + 2 else input.unsqueeze(0)
    channels = weight.shape[0]
    if x.shape[1] != channels or groups <= 0 or channels % groups:
        raise RuntimeError(
            f"{name}(): Given weight of size {list(weight.shape)}, expected input {list(x.shape)} to have {channels} "
            f"channels, in {groups} groups of equal size"
        )
    kernel = weight.shape[2:]
    sizes = [
        (size - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for size, s, p, d, k, extra in zip(
            x.shape[2:], stride, padding, dilation, kernel, output_padding, strict=True
        )
    ]
    if min(sizes) <= 0:
        raise RuntimeError(f"{name}(): Calculated output size: {sizes}. Output size is too small")
    plain = bias is None or (bias.shape == (weight.shape[1] * groups,) and bias.dtype == input.dtype)
    whole = (
        input.numel() > 0
        and weight.numel() > 0
        and all(e < s for e, s in zip(output_padding, stride, strict=True))
    )
    if plain and whole and input.dtype == weight.dtype:
        output = _core._conv_transpose(x, weight, sizes, stride, padding, dilation, groups)
        if bias is not None:
            output = output + bias.reshape(-1, *([1] * n))
        return output if input.ndim == n + 2 else output.squeeze(0)
    border = []
    for i in range(n):
        if stride[i] > 1:
            dim, size = 2 + i, x.shape[2 + i]
            spread = [(0, 0)] * (x.ndim + 1)
            spread[dim + 1] = (0, stride[i] - 1)
            x = _core._pad(x.unsqueeze(dim + 1), spread, 0).flatten(dim, dim + 1)
            x = x.narrow(dim, 0, (size - 1) * stride[i] + 1)
        reach = dilation[i] * (kernel[i] - 1) - padding[i]
        border = [reach, reach + output_padding[i], *border]
    x = pad(x, border)
    turned = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(tuple(range(2, n + 2)))
    output = _CONVOLUTIONS[n](x, turned, bias, 1, 0, dilation, groups)
    return output if input.ndim == n + 2 else output.squeeze(0)


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv1d: (N, C, L) or (C, L) with `weight` (C, O/groups, k) → (N, O, L').

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.conv_transpose1d(wg.ones(1, 1, 2), wg.ones(1, 1, 2), stride=2)
        tensor([[[1., 1., 1., 1.]]])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv2d: (N, C, H, W) or (C, H, W) with `weight` (C, O/groups, kH, kW) → (N, O, H', W').

    Args:
        stride, padding, dilation: those of the convolution whose transpose it is.
        output_padding: added to one side of each dimension of the output; less than stride or dilation.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.conv_transpose2d(wg.ones(1, 1, 2, 2), wg.ones(1, 1, 2, 2)).tolist()
        [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of conv3d: (N, C, D, H, W) or (C, D, H, W) with `weight` (C, O/groups, kD, kH, kW)."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
