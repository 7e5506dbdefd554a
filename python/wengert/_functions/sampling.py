"""Random choices and fillings composed from the core's generators."""

import math

from .. import _core
from ._compose import composed
from ._dims import wide_float
from .ordering import searchsorted


@composed(out=True)
def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Indices drawn from each row of weights `[n]` or `[m, n]`: `[num_samples]` or `[m, num_samples]`.

    Example:
        >>> wg.multinomial(wg.tensor([0.0, 1.0]), 3, replacement=True)
        tensor([1, 1, 1])
    """
    weights = input.detach()
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, got {weights.ndim}")
    if not weights.is_floating_point():
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {weights.dtype}")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if bool((weights.sum(-1) == 0).any()):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if num_samples == 1 or not replacement:
        # The first arrivals of independent exponential clocks, whose rates are the weights.
        clocks = _core.empty_like(weights).exponential_(1, generator=generator)
        race = weights / clocks
        if num_samples == 1:
            return race.argmax(-1, keepdim=True)
        return _core.topk(race, num_samples, -1)[1]
    reach = weights.to(wide_float(weights)).cumsum(-1)
    reach = reach / reach.narrow(-1, reach.shape[-1] - 1, 1)
    draws = _core.rand(
        (*weights.shape[:-1], num_samples), dtype=reach.dtype, device=weights.device, generator=generator
    )
    return searchsorted(reach, draws).clamp(max=weights.shape[-1] - 1)


def _filling(definition):
    """Registers a definition of random numbers in the input's shape as an in-place method alone."""
    return composed(method=False, function=False, inplace=True)(definition)


def _normals(input, generator):
    """Standard normal numbers, of float64 where there is one, drawn as a loop over the elements would draw them."""
    options = {"dtype": wide_float(input), "device": input.device, "generator": generator}
    count = input.numel()
    if not input.is_cpu:
        return _core.randn(count, **options)
    # From 16 on the core draws them as PyTorch's vectors do, in another order.
    return _core.cat(
        [_core.randn(min(15, count - k), **options) for k in range(0, count, 15)] or [input.reshape(-1)]
    )


@_filling
def cauchy(input, median=0, sigma=1, *, generator=None):
    """Numbers of the Cauchy distribution with this median and half-width `sigma`, PyTorch's for the same seed.

    Raises:
        RuntimeError: for a dtype that is not floating point, or `sigma` ≤ 0.

    Example:
        >>> wg.empty(2).cauchy_().shape
        torch.Size([2])
    """
    if not input.is_floating_point():
        raise RuntimeError(
            f"cauchy_(): the Cauchy distribution is continuous; expected a float, got {input.dtype}"
        )
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    u = _core.rand(input.shape, dtype=wide_float(input), device=input.device, generator=generator)
    return (median + sigma * (math.pi * (u - 0.5)).tan()).to(input.dtype)


@_filling
def log_normal(input, mean=1, std=2, *, generator=None):
    """Powers of e whose exponents are normal with this mean and `std`; PyTorch's to rounding for the same seed.

    Raises:
        NotImplementedError: for a dtype that is not floating point.
        RuntimeError: for `std` ≤ 0.

    Example:
        >>> bool((wg.empty(2).log_normal_() > 0).all())
        True
    """
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    if not input.is_floating_point():
        raise NotImplementedError(f"log_normal_(): expected a floating point tensor, got {input.dtype}")
    return (_normals(input, generator) * std + mean).exp().to(input.dtype).reshape(input.shape)


@_filling
def geometric(input, p, *, generator=None):
    """How many tries the first success takes that has probability `p`: 1, 2, …; PyTorch's for the same seed.

    Raises:
        NotImplementedError: for a bool tensor.
        RuntimeError: unless 0 < `p` < 1.

    Example:
        >>> bool((wg.empty(2).geometric_(0.5) >= 1).all())
        True
    """
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    if input.dtype == _core.bool:
        raise NotImplementedError("geometric_(): not implemented for bool tensors")
    u = _core.rand(input.shape, dtype=wide_float(input), device=input.device, generator=generator)
    return (u.log() / math.log1p(-p)).ceil().to(input.dtype)
