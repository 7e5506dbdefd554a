"""`make_tensor`: random tensors of any dtype for tests."""

import math

from .. import _core

# (lowest, highest, default low, default high) of what is drawn; ints stop short of `high`.
_BOUNDS = {_core.bool: (0, 2, 0, 2), _core.uint8: (0, 256, 0, 10)}


def _bounds(dtype):
    if dtype in _BOUNDS:
        return _BOUNDS[dtype]
    if dtype.is_floating_point:
        info = _core.finfo(dtype)
        return info.min, info.max, -9, 9
    info = _core.iinfo(dtype)
    # int64 has no number for an end past its last.
    return info.min, info.max + (dtype != _core.int64), -9, 10


def _limits(low, high, dtype):
    """Both ends within the dtype, defaults where none are given."""
    lowest, highest, low_default, high_default = _bounds(dtype)
    low = low_default if low is None else low
    high = high_default if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low} and high={high}")
    if low > high or (low == high and not dtype.is_floating_point):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    low, high = max(low, lowest), min(high, highest)
    return (low, high) if dtype.is_floating_point else (math.ceil(low), math.ceil(high))


def _drawn(shape, low, high, dtype, device):
    if not dtype.is_floating_point:
        return _core.randint(low, high, shape, dtype=dtype, device=device)
    made = _core.empty(shape, dtype=dtype, device=device)
    # Beyond the dtype's range the width itself has no number.
    if high - low >= _core.finfo(dtype).max:
        return made.uniform_(low / 2, high / 2).mul_(2)
    return made.uniform_(low, high)


def make_tensor(
    *shape,
    dtype,
    device,
    low=None,
    high=None,
    requires_grad=False,
    noncontiguous=False,
    exclude_zero=False,
    memory_format=None,
):
    """A tensor of uniform numbers from [`low`, `high`): PyTorch's for the same seed.

    Args:
        shape: sizes one by one, or a sequence of them.
        low, high: by default −9 and 9 (10 for integers, 0 and 10 for uint8); held to the dtype's range.
        requires_grad: of floating-point tensors only.
        noncontiguous: gives every second element of a tensor twice as long.
        exclude_zero: puts 1, or the smallest normal number, in the place of zeros.

    Raises:
        ValueError: for limits that are NaN or out of order, or options that exclude each other.

    Example:
        >>> x = wg.testing.make_tensor(2, 3, dtype=wg.float32, device="cpu", low=0, high=1)
        >>> x.shape, bool((x < 1).all())
        (torch.Size([2, 3]), True)
    """
    shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    if requires_grad and not dtype.is_floating_point:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got dtype={dtype}"
        )
    low, high = _limits(low, high, dtype)
    apart = noncontiguous and math.prod(shape) > 1
    drawn = _drawn((*shape[:-1], 2 * shape[-1]) if apart else shape, low, high, dtype, device)
    result = drawn[..., 1::2] if apart else drawn
    if exclude_zero:
        result[result == 0] = _core.finfo(dtype).tiny if dtype.is_floating_point else 1
    return result.requires_grad_() if requires_grad else result
