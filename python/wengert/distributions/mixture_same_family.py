"""Mixtures of one family."""

import wengert as wg

from .categorical import Categorical
from .distribution import Distribution


class MixtureSameFamily(Distribution):
    """The last batch dim of `component_distribution`, mixed with the weights of a Categorical.

    Example:
        >>> D = wg.distributions
        >>> mixture = D.MixtureSameFamily(D.Categorical(wg.ones(2)), D.Normal(wg.tensor([0.0, 4.0]), 1.0))
        >>> mixture.mean
        tensor(2.)
    """

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "The Mixture distribution needs to be an instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution need to be an instance of torch.distributions.Distribution"
            )
        count = mixture_distribution.param_shape[-1]
        batch = component_distribution.batch_shape
        if not batch or batch[-1] != count:
            raise ValueError(
                f"`mixture_distribution` has {count} components, but `component_distribution` has batch shape "
                f"{tuple(batch)}, whose last dim must be that"
            )
        for a, b in zip(mixture_distribution.batch_shape[::-1], batch[:-1][::-1], strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({tuple(mixture_distribution.batch_shape)}) is not "
                    f"compatible with `component_distribution.batch_shape` ({tuple(batch)})"
                )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._event_dims = len(component_distribution.event_shape)
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self):
        """The weights."""
        return self._mixture_distribution

    @property
    def component_distribution(self):
        """What is mixed."""
        return self._component_distribution

    @property
    def support(self):
        return self._component_distribution.support

    def _weights(self):
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * self._event_dims)

    @property
    def mean(self):
        return (self._weights() * self._component_distribution.mean).sum(-1 - self._event_dims)

    @property
    def variance(self):
        component, dim = self._component_distribution, -1 - self._event_dims
        within = (self._weights() * component.variance).sum(dim)
        between = self._weights() * (component.mean - self.mean.unsqueeze(dim)).pow(2)
        return within + between.sum(dim)

    def cdf(self, value):
        below = self._component_distribution.cdf(value.unsqueeze(-1))
        return (below * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        each = self._component_distribution.log_prob(value.unsqueeze(-1 - self._event_dims))
        return (each + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape=()):
        with wg.no_grad():
            dim = len(sample_shape) + len(self._batch_shape)
            which = self._mixture_distribution.expand(self._batch_shape).sample(sample_shape)
            drawn = self._component_distribution.sample(sample_shape)
            which = which.reshape(*which.shape, 1, *[1] * self._event_dims)
            which = which.expand(*which.shape[: dim + 1], *self._event_shape)
            return drawn.gather(dim, which).squeeze(dim)

    def expand(self, batch_shape, _instance=None):
        batch_shape = wg.Size(batch_shape)
        count = self._mixture_distribution.param_shape[-1]
        return MixtureSameFamily(
            self._mixture_distribution.expand(batch_shape),
            self._component_distribution.expand(batch_shape + (count,)),
            self._validate_args,
        )

    def __repr__(self):
        return f"MixtureSameFamily(\n  {self._mixture_distribution!r},\n  {self._component_distribution!r})"
