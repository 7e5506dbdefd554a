"""The geometric distribution."""

import wengert as wg
from wengert.nn.functional import binary_cross_entropy_with_logits

from . import constraints
from .distribution import Distribution
from .utils import ProbsOrLogits, broadcast_all, one_of


class Geometric(ProbsOrLogits, Distribution):
    """Failures before the first success; give `probs` or `logits`.

    Example:
        >>> wg.distributions.Geometric(wg.tensor(0.25)).mean
        tensor(3.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        one_of("probs", probs, "logits", logits)
        name = "logits" if probs is None else "probs"
        (self.__dict__[name],) = broadcast_all(logits if probs is None else probs)
        super().__init__(self.__dict__[name].shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not bool((self.probs > 0).all()):
            raise ValueError(f"Expected parameter probs of {self!r} to be above 0")

    @property
    def mean(self):
        return 1.0 / self.probs - 1.0

    @property
    def mode(self):
        return wg.zeros_like(self.probs)

    @property
    def variance(self):
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with wg.no_grad():
            drawn = self.probs.new_empty(shape).uniform_(wg.finfo(self.probs.dtype).tiny, 1)
            return (drawn.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value):
        self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        # One try that succeeds for sure leaves 0 · −∞.
        certain = (probs == 1) & (value == 0)
        return value * (-wg.where(certain, 0.0, probs)).log1p() + self.probs.log()

    def entropy(self):
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
