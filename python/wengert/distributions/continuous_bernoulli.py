"""The continuous Bernoulli distribution."""

import math

import wengert as wg
from wengert.nn.functional import binary_cross_entropy_with_logits

from . import constraints
from .distribution import Distribution
from .utils import ProbsOrLogits, broadcast_all, clamp_probs, one_of


class ContinuousBernoulli(ProbsOrLogits, Distribution):
    """Density ∝ probs^x · (1 − probs)^(1 − x) on [0, 1]; give `probs` or `logits`.

    From Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders" (2019). Between `lims`, about probs = ½, formulas that divide by 1 − 2·probs are Taylor series.

    Example:
        >>> wg.distributions.ContinuousBernoulli(wg.tensor(0.5)).mean
        tensor(0.5000)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        one_of("probs", probs, "logits", logits)
        name = "logits" if probs is None else "probs"
        (given,) = broadcast_all(logits if probs is None else probs)
        if probs is not None:
            constraint = self.arg_constraints["probs"]
            # As in PyTorch only on demand, since numbers are held to (0, 1) in any case.
            if validate_args and not bool(constraint.check(given.detach()).all()):
                raise ValueError(f"ContinuousBernoulli: expected probs in {constraint!r}, but got {given}")
            given = clamp_probs(given)
        self.__dict__[name] = given
        self._lims = lims
        super().__init__(given.shape, validate_args=validate_args)

    def _off_half(self):
        """(where the formulas hold, probs with another number where they do not)."""
        off = (self.probs <= self._lims[0]) | (self.probs > self._lims[1])
        return off, wg.where(off, self.probs, self._lims[0])

    def _log_norm(self):
        """log of 2·artanh(1 − 2p) / (1 − 2p)."""
        off, p = self._off_half()
        below, above = p.clamp(max=0.499), p.clamp(min=0.501)
        width = wg.where(p <= 0.5, (-2 * below).log1p(), (2 * above - 1).log())
        exact = ((-p).log1p() - p.log()).abs().log() - width
        x = (self.probs - 0.5).pow(2)
        return wg.where(off, exact, math.log(2.0) + (4 / 3 + 104 / 45 * x) * x)

    @property
    def mean(self):
        off, p = self._off_half()
        exact = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        x = self.probs - 0.5
        return wg.where(off, exact, 0.5 + (1 / 3 + 16 / 45 * x.pow(2)) * x)

    @property
    def variance(self):
        off, p = self._off_half()
        exact = p * (p - 1) / (1 - 2 * p).pow(2) + 1 / ((-p).log1p() - p.log()).pow(2)
        x = (self.probs - 0.5).pow(2)
        return wg.where(off, exact, 1 / 12 - (1 / 15 - 128 / 945 * x) * x)

    @property
    def stddev(self):
        return self.variance.sqrt()

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        return self.icdf(wg.rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value):
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._log_norm()

    def cdf(self, value):
        self._validate_sample(value)
        off, p = self._off_half()
        exact = (p.pow(value) * (1 - p).pow(1 - value) + p - 1) / (2 * p - 1)
        inside = wg.where(off, exact, value)
        return wg.where(value <= 0, 0.0, wg.where(value >= 1, 1.0, inside))

    def icdf(self, value):
        off, p = self._off_half()
        exact = ((-p + value * (2 * p - 1)).log1p() - (-p).log1p()) / (p.log() - (-p).log1p())
        return wg.where(off, exact, value)

    def entropy(self):
        fail, win = (-self.probs).log1p(), self.probs.log()
        return self.mean * (fail - win) - self._log_norm() - fail
