"""Exponential families."""

import wengert as wg

from .distribution import Distribution


class ExponentialFamily(Distribution):
    """Base of distributions with density h(x)·e^(θ·t(x) − F(θ)), for natural parameters θ and the log normalizer F.

    Subclasses define `_natural_params`, a tuple of tensors, `_log_normalizer(*θ)` and `_mean_carrier_measure`,
    the mean of log h. The entropy is F(θ) − θ·∇F(θ) less that mean (Nielsen and Nock, "Entropies and
    cross-entropies of exponential families", 2010).

    Example:
        >>> class Waiting(wg.distributions.ExponentialFamily):
        ...     _natural_params = (wg.tensor(-2.0),)
        ...     _mean_carrier_measure = 0
        ...     def _log_normalizer(self, x):
        ...         return -(-x).log()
        >>> Waiting().entropy().detach()
        tensor(0.3069)
    """

    @property
    def _natural_params(self):
        raise NotImplementedError(f"{type(self).__name__} does not define _natural_params")

    def _log_normalizer(self, *natural_params):
        raise NotImplementedError(f"{type(self).__name__} does not define _log_normalizer()")

    @property
    def _mean_carrier_measure(self):
        raise NotImplementedError(f"{type(self).__name__} does not define _mean_carrier_measure")

    def entropy(self):
        with wg.enable_grad():
            natural = [p.detach().requires_grad_() for p in self._natural_params]
            normalizer = self._log_normalizer(*natural)
            gradients = wg.autograd.grad(normalizer.sum(), natural, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for parameter, gradient in zip(natural, gradients, strict=True):
            result = result - (parameter * gradient).reshape(*self._batch_shape, -1).sum(-1)
        return result
