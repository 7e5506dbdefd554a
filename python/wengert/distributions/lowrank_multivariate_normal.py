"""Multivariate normal distributions whose covariance is a diagonal and a product of few columns."""

import math

import wengert as wg

from . import constraints
from .distribution import Distribution
from .utils import standard_normal


class LowRankMultivariateNormal(Distribution):
    """Mean `loc` (…, n), covariance cov_factor · cov_factorᵀ + diag(cov_diag).

    Determinants and inverses go by Woodbury's identities over r × r matrices.

    Args:
        cov_factor: (…, n, r).
        cov_diag: (…, n), positive.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> D = wg.distributions
        >>> D.LowRankMultivariateNormal(wg.zeros(2), wg.ones(2, 1), wg.ones(2)).variance
        tensor([2., 2.])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        n = loc.shape[-1]
        if cov_factor.ndim < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            )
        if cov_factor.shape[-2] != n:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {n} x m")
        if cov_diag.shape[-1:] != (n,):
            raise ValueError(f"cov_diag must be a batch of vectors with shape ({n},)")
        try:
            batch = wg.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {tuple(loc.shape)}, cov_factor {tuple(cov_factor.shape)}, "
                f"cov_diag {tuple(cov_diag.shape)}"
            ) from error
        self.loc = loc.expand(*batch, n)
        self.cov_factor = cov_factor.expand(*batch, *cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(*batch, n)
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        one = wg.eye(cov_factor.shape[-1], dtype=loc.dtype, device=loc.device)
        self._capacitance = wg.linalg.cholesky(scaled @ self.cov_factor + one)
        super().__init__(batch, (n,), validate_args)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return self.cov_factor.pow(2).sum(-1) + self.cov_diag

    @property
    def covariance_matrix(self):
        """(…, n, n)."""
        return self.cov_factor @ self.cov_factor.mT + wg.diag_embed(self.cov_diag)

    @property
    def scale_tril(self):
        """The covariance's Cholesky factor."""
        return wg.linalg.cholesky(self.covariance_matrix)

    @property
    def precision_matrix(self):
        """The covariance's inverse."""
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        inner = wg.linalg.solve_triangular(self._capacitance, scaled, upper=False)
        return wg.diag_embed(self.cov_diag.reciprocal()) - inner.mT @ inner

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        few = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc)
        many = standard_normal(shape, self.loc)
        return self.loc + (self.cov_factor @ few.unsqueeze(-1)).squeeze(-1) + self.cov_diag.sqrt() * many

    def _log_det(self):
        return 2 * self._capacitance.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self.cov_diag.log().sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        away = value - self.loc
        scaled = away / self.cov_diag
        inner = (self.cov_factor.mT @ scaled.unsqueeze(-1)).contiguous()
        factor = self._capacitance.expand(*inner.shape[:-2], -1, -1)
        inner = wg.linalg.solve_triangular(factor, inner, upper=False)
        distance = (away * scaled).sum(-1) - inner.square().sum((-2, -1))
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self):
        return 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())
