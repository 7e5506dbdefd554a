"""The categorical distribution."""

import math

import wengert as wg

from . import constraints
from .distribution import Distribution
from .utils import ProbsOrLogits, one_of


class Categorical(ProbsOrLogits, Distribution):
    """0 … K−1 with probabilities along the last dim of `probs` (made to sum to 1) or `logits`.

    Example:
        >>> d = wg.distributions.Categorical(wg.tensor([1.0, 3.0]))
        >>> d.log_prob(wg.tensor(1)).exp()
        tensor(0.7500)
        >>> d.sample((5,)).shape
        torch.Size([5])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _is_binary = False

    def __init__(self, probs=None, logits=None, validate_args=None):
        one_of("probs", probs, "logits", logits)
        given = logits if probs is None else probs
        if given.ndim < 1:
            name = "logits" if probs is None else "probs"
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = given - given.logsumexp(-1, keepdim=True)
        else:
            self.probs = given / given.sum(-1, keepdim=True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @property
    def support(self):
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self):
        return self.probs.new_full(self._batch_shape, math.nan)

    variance = mean

    @property
    def mode(self):
        return self.probs.argmax(-1)

    def sample(self, sample_shape=()):
        sample_shape = wg.Size(sample_shape)
        flat = self.probs.detach().reshape(-1, self._num_events)
        drawn = wg.multinomial(flat, sample_shape.numel(), True).T
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        self._validate_sample(value)
        value = value.long().unsqueeze(-1)
        value, logits = wg.broadcast_tensors(value, self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self):
        # An impossible outcome has no part in it: 0 · −∞ is to be 0.
        logits = self.logits.clamp(min=wg.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        values = wg.arange(self._num_events, device=self.probs.device)
        values = values.reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
