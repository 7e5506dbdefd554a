"""The negative binomial distribution."""

import wengert as wg
from wengert.nn.functional import logsigmoid

from . import constraints
from .distribution import Distribution
from .gamma import Gamma
from .utils import ProbsOrLogits, broadcast_all, one_of


class NegativeBinomial(ProbsOrLogits, Distribution):
    """Successes, of probability `probs` each, before the `total_count`-th failure; give `probs` or `logits`.

    Example:
        >>> wg.distributions.NegativeBinomial(4, wg.tensor(0.5)).mean
        tensor(4.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        one_of("probs", probs, "logits", logits)
        name = "logits" if probs is None else "probs"
        self.total_count, given = broadcast_all(total_count, logits if probs is None else probs)
        self.__dict__[name] = given
        self.total_count = self.total_count.to(given.dtype)
        super().__init__(given.shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.total_count * self.logits.exp()

    @property
    def mode(self):
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self):
        return self.mean / wg.sigmoid(-self.logits)

    def sample(self, sample_shape=()):
        with wg.no_grad():
            rates = Gamma(self.total_count, (-self.logits).exp(), validate_args=False)
            return wg.poisson(rates.sample(sample_shape))

    def log_prob(self, value):
        self._validate_sample(value)
        n = self.total_count
        likely = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        # Without failures to wait for, nothing is all there is.
        nothing = n + value == 0
        choices = wg.lgamma(n + value) - wg.lgamma(1 + value) - wg.lgamma(n)
        return likely + choices.masked_fill(nothing, 0.0)
