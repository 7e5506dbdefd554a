"""The Wishart distribution."""

import math

import wengert as wg

from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .multivariate_normal import MultivariateNormal


class Wishart(Distribution):
    """Sums of `df` products x·xᵀ of normal vectors, for whole `df`, with the same matrices as MultivariateNormal.

    Samples are Bartlett's: L·A·Aᵀ·Lᵀ with L the scale's Cholesky factor and a triangular A of chi and normal numbers.

    Args:
        df: degrees of freedom, more than the matrices' size less 1.
        covariance_matrix, precision_matrix, scale_tril: one of them, (…, n, n).

    Raises:
        ValueError: for too few degrees of freedom.
        AssertionError: for other than one matrix.

    Example:
        >>> wg.distributions.Wishart(wg.tensor(3.0), wg.eye(2)).mean
        tensor([[3., 0.],
                [0., 3.]])
    """

    arg_constraints = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.greater_than(0),
    }
    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None
    ):
        given = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        df = wg.as_tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch = wg.broadcast_shapes(matrix.shape[:-2], df.shape)
        self.df = df.expand(batch)
        self.__dict__[name] = matrix.expand(*batch, -1, -1)
        n = matrix.shape[-1]
        if bool((self.df <= n - 1).any()):
            raise ValueError(f"Value of df={df} is expected to be greater than ndim - 1 = {n - 1}.")
        super().__init__(batch, matrix.shape[-2:], validate_args)
        places = wg.arange(n, dtype=matrix.dtype, device=matrix.device)
        self._chi2 = Chi2(self.df.unsqueeze(-1) - places, validate_args=False)
        zero = matrix.new_zeros((*batch, n))
        self._normal = MultivariateNormal(zero, **{name: self.__dict__[name]}, validate_args=False)

    def __getattr__(self, name):
        own = self.__dict__
        if name not in self.arg_constraints or "_normal" not in own:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(own["_normal"], name)

    def _scaled(self, numbers, matrices):
        return numbers[..., None, None] * matrices

    @property
    def mean(self):
        return self._scaled(self.df, self.covariance_matrix)

    @property
    def mode(self):
        factor = self.df - self._event_shape[-1] - 1
        return self._scaled(wg.where(factor > 0, factor, math.nan), self.covariance_matrix)

    @property
    def variance(self):
        matrix = self.covariance_matrix
        diagonal = matrix.diagonal(dim1=-2, dim2=-1)
        return self._scaled(self.df, matrix.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def rsample(self, sample_shape=()):
        n = self._event_shape[-1]
        lengths = wg.diag_embed(self._chi2.rsample(sample_shape).sqrt())
        rows, columns = wg.tril_indices(n, n, -1, device=self.df.device).unbind()
        shape = (*self._extended_shape(sample_shape)[:-2], len(rows))
        lengths[..., rows, columns] = wg.randn(shape, dtype=self.df.dtype, device=self.df.device)
        factor = self._normal.scale_tril @ lengths
        return factor @ factor.mT

    def _log_scale(self):
        """log det(2·scale) / 2."""
        return 0.5 * self._event_shape[-1] * math.log(2) + self._normal._half_log_det()

    def log_prob(self, value):
        self._validate_sample(value)
        n, half = self._event_shape[-1], self.df / 2
        batch = wg.broadcast_shapes(value.shape[:-2], self._batch_shape)
        value, factor = value.expand(*batch, n, n), self._normal.scale_tril.expand(*batch, n, n)
        trace = wg.cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(-1)
        size = (self.df - n - 1) / 2 * wg.linalg.slogdet(value).logabsdet
        return size - self.df * self._log_scale() - wg.mvlgamma(half, n) - trace / 2

    def entropy(self):
        n, half = self._event_shape[-1], self.df / 2
        places = wg.arange(n, dtype=self.df.dtype, device=self.df.device)
        digammas = wg.digamma(half.unsqueeze(-1) - places / 2).sum(-1)
        scale = (n + 1) * self._log_scale()
        return scale + wg.mvlgamma(half, n) - (self.df - n - 1) / 2 * digammas + self.df * n / 2
