"""Categories relaxed to points between the one-hot vectors."""

import wengert as wg

from . import constraints
from .categorical import Categorical
from .distribution import Distribution
from .utils import clamp_probs


class RelaxedOneHotCategorical(Distribution):
    """Gumbel-softmax samples at a `temperature`; give `probs` or `logits`.

    Example:
        >>> d = wg.distributions.RelaxedOneHotCategorical(wg.tensor(0.5), wg.tensor([0.25, 0.75]))
        >>> d.rsample().sum()
        tensor(1.)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True
    _shared = ("temperature",)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self._categorical = Categorical(probs, logits, validate_args)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    @property
    def probs(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self):
        """Their logarithms."""
        return self._categorical.logits

    def rsample(self, sample_shape=()):
        drawn = self.logits.new_empty(self._extended_shape(sample_shape)).uniform_()
        uniform = clamp_probs(drawn)
        scores = (self.logits - (-uniform.log()).log()) / self.temperature
        return scores.softmax(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        k, log_value = self._event_shape[0], value.log()
        temperature = wg.as_tensor(self.temperature, dtype=value.dtype, device=value.device)
        score = self.logits - log_value * temperature
        score = (score - score.logsumexp(-1, keepdim=True)).sum(-1)
        scale = wg.lgamma(value.new_tensor(float(k))) + temperature.log() * (k - 1)
        return score + scale - log_value.sum(-1)
