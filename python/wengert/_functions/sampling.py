"""Random choices composed from the core's generators."""

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
