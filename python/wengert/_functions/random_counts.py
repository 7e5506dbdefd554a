"""Poisson and binomial counts, drawn one element after the other, so that a seed gives PyTorch's numbers.

Large means by Hörmann's transformed rejection: "The transformed rejection method for generating Poisson random
variables" (1993), PTRS, and "The generation of binomial random variates" (1993), BTRS.
"""

import math

from .. import _core
from ._compose import composed
from ._dims import broadcast_sizes
from .reductions import constant_of

# From this mean on rejection takes fewer numbers than counting.
_LARGE = 10


class _Uniforms:
    """Uniform numbers of a generator, taken one at a time from blocks; what is left of them counts as not drawn."""

    def __init__(self, generator):
        self.generator = _core.default_generator if generator is None else generator
        self.block, self.taken = [], 0

    def __enter__(self):
        self.state = self.generator.get_state()
        return self

    def __call__(self):
        if not self.block:
            self.block = self._draw(max(64, self.taken)).tolist()[::-1]
        self.taken += 1
        return self.block.pop()

    def _draw(self, count):
        return _core.rand(count, dtype=_core.float64, device="cpu", generator=self.generator)

    def __exit__(self, *error):
        if self.block:
            self.generator.set_state(self.state)
            self._draw(self.taken)


def _poisson(rate, uniform):
    """A count of mean `rate`."""
    if rate >= _LARGE:
        return _poisson_by_rejection(rate, uniform)
    count, product, floor = 0, 1.0, math.exp(-rate)
    if rate == 0 or math.isnan(rate):
        return 0
    # Events at exponential distances, whose negative logarithms are uniform, until the rate is passed.
    while (product := product * uniform()) > floor:
        count += 1
    return count


def _poisson_by_rejection(rate, uniform):
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    hat = math.log(1.1239 + 1.1328 / (b - 3.4))
    sure = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = uniform() - 0.5, uniform()
        edge = 0.5 - abs(u)
        count = math.floor((2 * a / edge + b) * u + rate + 0.43) if edge else -1
        if edge >= 0.07 and v <= sure:
            return count
        if count < 0 or (edge < 0.013 and v > edge):
            continue
        log_mass = -rate + count * math.log(rate) - math.lgamma(count + 1)
        if v == 0 or math.log(v) + hat - math.log(a / (edge * edge) + b) <= log_mass:
            return count


def _binomial(tries, prob, uniform):
    """How many of `tries` succeed."""
    if math.isnan(tries) or math.isnan(prob):
        return math.nan
    if tries <= 0 or prob <= 0:
        return 0
    if prob >= 1:
        return tries
    if prob > 0.5:
        return tries - _binomial_of_rare(tries, 1 - prob, uniform)
    return _binomial_of_rare(tries, prob, uniform)


def _binomial_of_rare(tries, prob, uniform):
    """The same for prob ≤ ½."""
    if tries * prob >= _LARGE:
        return _binomial_by_rejection(tries, prob, uniform)
    # Successes stand at geometric distances.
    wins, place, log_miss = 0, 0.0, math.log1p(-prob)
    while True:
        u = uniform()
        place += math.ceil(math.log(u) / log_miss) if u else math.inf
        if place > tries:
            return wins
        wins += 1


def _stirling_rest(k):
    """log k! less Stirling's formula for k + 1 (Hörmann's fc)."""
    if k < 10:
        return math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + k + 1 - 0.5 * math.log(2 * math.pi)
    square = (k + 1) ** 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _binomial_by_rejection(tries, prob, uniform):
    deviation = math.sqrt(tries * prob * (1 - prob))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    middle, sure, odds = tries * prob + 0.5, 0.92 - 4.2 / b, prob / (1 - prob)
    hat = (2.83 + 5.1 / b) * deviation
    mode = math.floor((tries + 1) * prob)
    while True:
        u, v = uniform() - 0.5, uniform()
        edge = 0.5 - abs(u)
        wins = math.floor((2 * a / edge + b) * u + middle) if edge else -1
        if edge >= 0.07 and v <= sure:
            return wins
        if not 0 <= wins <= tries:
            continue
        log_mass = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (tries - mode + 1)))
            + (tries + 1) * math.log((tries - mode + 1) / (tries - wins + 1))
            + (wins + 0.5) * math.log(odds * (tries - wins + 1) / (wins + 1))
            + _stirling_rest(mode)
            + _stirling_rest(tries - mode)
            - _stirling_rest(wins)
            - _stirling_rest(tries - wins)
        )
        if v == 0 or math.log(v * hat / (a / (edge * edge) + b)) <= log_mass:
            return wins


@composed(method=False)
def poisson(input, generator=None):
    """Counts drawn from Poisson distributions whose rates are the input's elements: same shape and dtype.

    The numbers are PyTorch's for the same seed. They are drawn in Python, on the CPU; the gradient is 0.

    Raises:
        RuntimeError: for a negative rate.
        NotImplementedError: for a dtype that is not floating point.

    Example:
        >>> wg.poisson(wg.zeros(2))
        tensor([0., 0.])
    """
    if not input.is_floating_point():
        raise NotImplementedError(f"poisson(): expected a floating point tensor, but got {input.dtype}")
    rates = input.detach().reshape(-1).tolist()
    if any(rate < 0 for rate in rates):
        raise RuntimeError("poisson(): invalid Poisson rate, expected rate to be non-negative")
    with _Uniforms(generator) as uniform:
        drawn = [_poisson(rate, uniform) for rate in rates]
    return constant_of(input, input.detach().new_tensor(drawn).reshape(input.shape))


@composed(method=False)
def binomial(count, prob, generator=None):
    """How many of `count` tries succeed that do so with probability `prob`, for each pair of broadcast elements.

    For float64 the numbers are PyTorch's for the same seed; for other dtypes a rounding in PyTorch's own
    arithmetic may make a rare one differ. They are drawn in Python, on the CPU, and have no gradient.

    Raises:
        ValueError: for a `count` that is not floating point.
        RuntimeError: for a `prob` of another dtype.

    Example:
        >>> wg.binomial(wg.tensor([4., 4.]), wg.tensor([0., 1.]))
        tensor([0., 4.])
    """
    for place, (name, value) in enumerate((("count", count), ("prob", prob)), 1):
        if not isinstance(value, _core.Tensor):
            raise TypeError(
                f"binomial(): argument '{name}' (position {place}) must be Tensor, not {type(value).__name__}"
            )
    if not count.is_floating_point():
        raise ValueError(f"binomial only supports floating-point dtypes for count, got: {count.dtype}")
    if prob.dtype != count.dtype:
        raise RuntimeError(
            f"binomial(): expected prob of dtype {count.dtype}, as count's, but got {prob.dtype}"
        )
    shape = broadcast_sizes(count.shape, prob.shape)
    pairs = [t.detach().expand(shape).reshape(-1).tolist() for t in (count, prob)]
    with _Uniforms(generator) as uniform:
        drawn = [_binomial(*pair, uniform) for pair in zip(*pairs, strict=True)]
    return count.detach().new_tensor(drawn).reshape(shape)
