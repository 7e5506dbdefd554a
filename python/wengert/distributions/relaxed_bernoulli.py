"""Bernoulli outcomes relaxed to numbers between 0 and 1."""

import wengert as wg

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, clamp_probs, logits_to_probs, one_of, probs_to_logits


class RelaxedBernoulli(Distribution):
    """Concrete samples at a `temperature`; give `probs` or `logits`.

    Example:
        >>> wg.distributions.RelaxedBernoulli(wg.tensor(0.5), wg.tensor([0.3])).rsample().shape
        torch.Size([1])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _shared = ("temperature",)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        one_of("probs", probs, "logits", logits)
        (given,) = broadcast_all(logits if probs is None else probs)
        self.temperature = temperature
        self._by_logits = probs is None
        self._given = given
        super().__init__(given.shape, validate_args=validate_args)

    @property
    def probs(self):
        """The probability of 1."""
        return logits_to_probs(self._given, True) if self._by_logits else self._given

    @property
    def logits(self):
        """log p − log(1 − p)."""
        return self._given if self._by_logits else probs_to_logits(self._given, True)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        uniform = clamp_probs(probs.new_empty(shape).uniform_())
        scores = uniform.log() - (-uniform).log1p() + probs.log() - (-probs).log1p()
        info = wg.finfo(probs.dtype)
        return wg.sigmoid(scores / self.temperature).clamp(min=info.tiny, max=1 - info.eps)

    def log_prob(self, value):
        self._validate_sample(value)
        temperature = wg.as_tensor(self.temperature, dtype=value.dtype, device=value.device)
        x = value.log() - (-value).log1p()
        difference = self.logits - x * temperature
        softplus = wg.nn.functional.softplus
        log_density = temperature.log() + difference - 2 * softplus(difference)
        return log_density + softplus(-x) + softplus(x)
