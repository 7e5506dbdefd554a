"""The multinomial distribution."""

import math

import wengert as wg

from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution


class Multinomial(Distribution):
    """Counts of the categories in `total_count` draws; give `probs` or `logits`.

    Example:
        >>> wg.distributions.Multinomial(4, wg.tensor([1.0, 3.0])).mean
        tensor([1., 3.])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits, validate_args)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    @property
    def support(self):
        return constraints.multinomial(self.total_count)

    @property
    def probs(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self):
        """Their logarithms."""
        return self._categorical.logits

    @property
    def mean(self):
        return self.probs * self.total_count

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = self.probs.new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add_(-1, drawn, counts.new_ones(drawn.shape))

    def entropy(self):
        # −E log p: the categories' part, and that of the ways to order the draws.
        n = self.total_count
        counts = wg.arange(1.0, n + 1, dtype=self.probs.dtype, device=self.probs.device)
        counts = counts.reshape(-1, *[1] * self.probs.ndim)
        chances = Binomial(n, self.probs).log_prob(counts).exp()
        ways = (chances * wg.lgamma(counts + 1)).sum((0, -1))
        return n * self._categorical.entropy() - math.lgamma(n + 1) + ways

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = wg.broadcast_tensors(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == float("-inf")), 0.0)
        ways = wg.lgamma(value.sum(-1) + 1) - wg.lgamma(value + 1).sum(-1)
        return ways + (logits * value).sum(-1)
