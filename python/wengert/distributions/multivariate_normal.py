"""The multivariate normal distribution."""

import math

import wengert as wg

from . import constraints
from .distribution import Distribution
from .utils import standard_normal


class MultivariateNormal(Distribution):
    """Mean `loc` (…, n) and one of `covariance_matrix`, `precision_matrix` and `scale_tril` (…, n, n).

    `scale_tril` is the covariance's Cholesky factor, from which all is computed.

    Example:
        >>> wg.distributions.MultivariateNormal(wg.zeros(2), wg.eye(2)).log_prob(wg.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None
    ):
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix,
            "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = wg.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand(*batch, -1)
        self.__dict__[name] = matrix = matrix.expand(*batch, -1, -1)
        super().__init__(batch, loc.shape[-1:], validate_args)
        if name == "scale_tril":
            self._factor = matrix
        elif name == "covariance_matrix":
            self._factor = wg.linalg.cholesky(matrix)
        else:
            # P = LLᵀ of the precision, turned over, gives the covariance's factor as an inverse.
            turned = wg.linalg.cholesky(matrix.flip(-2, -1)).flip(-2, -1).mT
            eye = wg.eye(loc.shape[-1], dtype=loc.dtype, device=loc.device)
            self._factor = wg.linalg.solve_triangular(turned, eye.expand(matrix.shape), upper=False)

    def __getattr__(self, name):
        own = self.__dict__
        if name not in self.arg_constraints or "_factor" not in own:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        factor = own["_factor"]
        if name == "scale_tril":
            return factor
        if name == "covariance_matrix":
            return factor @ factor.mT
        return wg.cholesky_inverse(factor)

    @property
    def mean(self):
        return self.loc

    mode = mean

    @property
    def variance(self):
        return self._factor.pow(2).sum(-1)

    def rsample(self, sample_shape=()):
        drawn = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + (self._factor @ drawn.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self):
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value):
        self._validate_sample(value)
        away = (value - self.loc).unsqueeze(-1)
        factor = self._factor.expand(*away.shape[:-2], -1, -1)
        distance = wg.linalg.solve_triangular(factor, away, upper=False).pow(2).sum((-2, -1))
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - self._half_log_det()

    def entropy(self):
        return 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()
