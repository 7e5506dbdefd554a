"""Distribution: shapes, checks and what follows from a sampler and a density."""

import warnings

import wengert as wg
from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad


class Distribution:
    """Base of distributions over events of shape `event_shape`, `batch_shape` of them side by side.

    Subclasses define `arg_constraints` and `support`, `rsample` (and `has_rsample`) or `sample`, and
    `log_prob`. Tensors that they keep as attributes begin with the batch shape, but for those named in `_shared`.
    """

    _shared = ()

    has_rsample = False
    has_enumerate_support = False
    arg_constraints = {}
    _validate_args = True

    @staticmethod
    def set_default_validate_args(value):
        """Sets whether parameters and samples are checked where `validate_args` is not given."""
        if value not in (True, False):
            raise ValueError("validate_args must be True or False")
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape = wg.Size(batch_shape)
        self._event_shape = wg.Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self):
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor) and not bool(constraint.check(value.detach()).all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of "
                    f"distribution {self!r} to satisfy the constraint {constraint!r}, but found invalid "
                    f"values:\n{value}"
                )

    def expand(self, batch_shape, _instance=None):
        """The same distribution with its parameters expanded to a batch shape."""
        batch_shape = wg.Size(batch_shape)
        new = object.__new__(type(self)) if _instance is None else _instance
        old = self._batch_shape
        for name, value in self.__dict__.items():
            if name in self._shared:
                pass
            elif isinstance(value, Tensor) and value.shape[: len(old)] == old:
                value = value.expand(batch_shape + value.shape[len(old) :])
            elif isinstance(value, Distribution):
                inner = value.batch_shape[len(old) :]
                value = value.expand(batch_shape + inner)
            new.__dict__[name] = value
        new._batch_shape = batch_shape
        return new

    @property
    def batch_shape(self):
        """The shape of independent distributions side by side."""
        return self._batch_shape

    @property
    def event_shape(self):
        """The shape of one event."""
        return self._event_shape

    @property
    def support(self):
        """The constraint that samples satisfy."""
        raise NotImplementedError(f"{type(self).__name__} does not define support")

    @property
    def mean(self):
        """The mean, of the batch and event shapes."""
        raise NotImplementedError(f"{type(self).__name__} does not define mean")

    @property
    def mode(self):
        """The mode."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self):
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} does not define variance")

    @property
    def stddev(self):
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """A sample of shape sample_shape + batch_shape + event_shape, without history."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """A sample through which gradients reach the parameters."""
        raise NotImplementedError(f"{type(self).__name__} does not define rsample()")

    def sample_n(self, n):
        """The old form of `sample((n,))`."""
        warnings.warn("sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value):
        """The logarithm of the density or probability of values."""
        raise NotImplementedError(f"{type(self).__name__} does not define log_prob()")

    def cdf(self, value):
        """The probability of at most `value`."""
        raise NotImplementedError(f"{type(self).__name__} does not define cdf()")

    def icdf(self, value):
        """The inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} does not define icdf()")

    def enumerate_support(self, expand=True):
        """All values of a discrete distribution, along a new first dim."""
        raise NotImplementedError(f"{type(self).__name__} does not define enumerate_support()")

    def entropy(self):
        """The entropy, of the batch shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define entropy()")

    def perplexity(self):
        """e to the entropy."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape=()):
        return wg.Size(sample_shape) + self._batch_shape + self._event_shape

    def _validate_sample(self, value):
        """Refuses values of a wrong shape or outside the support, if checks are on."""
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        begin = value.ndim - len(self._event_shape)
        if value.shape[max(begin, 0) :] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{tuple(value.shape)} vs {tuple(self._event_shape)}."
            )
        expected = self._batch_shape + self._event_shape
        for given, own in zip(reversed(value.shape), reversed(expected), strict=False):
            if given != 1 and own != 1 and given != own:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{tuple(value.shape)} vs {tuple(expected)}."
                )
        try:
            support = self.support
        except NotImplementedError:
            return
        if not bool(support.check(value.detach()).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within "
                f"the support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self):
        own = [(n, self.__dict__[n]) for n in self.arg_constraints if n in self.__dict__]
        shown = [f"{n}: {v if v.numel() == 1 else v.size()}" for n, v in own]
        return f"{type(self).__name__}({', '.join(shown)})"
