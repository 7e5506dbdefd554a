"""The binomial distribution."""

import wengert as wg

from . import constraints
from .distribution import Distribution
from .utils import ProbsOrLogits, broadcast_all, one_of


class Binomial(ProbsOrLogits, Distribution):
    """Successes in `total_count` tries; give `probs` or `logits`.

    Example:
        >>> wg.distributions.Binomial(4, wg.tensor(0.25)).mean
        tensor(1.)
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        one_of("probs", probs, "logits", logits)
        name = "logits" if probs is None else "probs"
        self.total_count, given = broadcast_all(total_count, logits if probs is None else probs)
        self.__dict__[name] = given
        self.total_count = self.total_count.to(given.dtype)
        super().__init__(given.shape, validate_args=validate_args)

    @property
    def support(self):
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def mode(self):
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with wg.no_grad():
            return wg.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value):
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        choices = wg.lgamma(n + 1) - wg.lgamma(value + 1) - wg.lgamma(n - value + 1)
        return choices + value * logits - n * wg.nn.functional.softplus(logits)

    def entropy(self):
        count = int(self.total_count.max())
        if bool((self.total_count != count).any()):
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand=True):
        count = int(self.total_count.max())
        if bool((self.total_count != count).any()):
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = wg.arange(count + 1, dtype=self.probs.dtype, device=self.probs.device)
        values = values.reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
