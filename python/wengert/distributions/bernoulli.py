"""The Bernoulli distribution."""

import math

import wengert as wg
from wengert.nn.functional import binary_cross_entropy_with_logits

from . import constraints
from .distribution import Distribution
from .utils import ProbsOrLogits, broadcast_all, one_of


class Bernoulli(ProbsOrLogits, Distribution):
    """1 with a probability, else 0; give `probs` or `logits`.

    Example:
        >>> wg.distributions.Bernoulli(wg.tensor([0.25])).log_prob(wg.tensor([1.0]))
        tensor([-1.3863])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        one_of("probs", probs, "logits", logits)
        name = "logits" if probs is None else "probs"
        (self.__dict__[name],) = broadcast_all(logits if probs is None else probs)
        super().__init__(self.__dict__[name].shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return mode.masked_fill(self.probs == 0.5, math.nan)

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        with wg.no_grad():
            return wg.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand=True):
        values = wg.arange(2, dtype=self.mean.dtype, device=self.mean.device).reshape(
            2, *[1] * len(self._batch_shape)
        )
        return values.expand(2, *self._batch_shape) if expand else values
