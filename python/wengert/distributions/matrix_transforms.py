"""Transforms of vectors into probabilities and into triangular, correlation and positive definite matrices."""

import math

import wengert as wg

from . import constraints
from ._transform import Transform

_softplus = wg.nn.functional.softplus


def _held_sigmoid(x):
    info = wg.finfo(x.dtype)
    return wg.sigmoid(x).clamp(min=info.tiny, max=1.0 - info.eps)


class StickBreakingTransform(Transform):
    """n numbers to n + 1 probabilities: each takes its sigmoid's part of what the ones before have left.

    The k-th of n numbers is shifted by −log(n + 1 − k), so that zeros give equal parts.

    Example:
        >>> wg.distributions.StickBreakingTransform()(wg.zeros(1))
        tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    @staticmethod
    def _shift(x):
        count = x.shape[-1]
        return wg.arange(count, 0, -1, dtype=x.dtype, device=x.device).log()

    def _call(self, x):
        part = _held_sigmoid(x - self._shift(x))
        left = (1 - part).cumprod(-1)
        one = part.new_ones((*part.shape[:-1], 1))
        return wg.cat([part, one], -1) * wg.cat([one, left], -1)

    def _inverse(self, y):
        first = y[..., :-1]
        left = (1 - first.cumsum(-1)).clamp(min=wg.finfo(y.dtype).tiny)
        return first.log() - left.log() + self._shift(first)

    def log_abs_det_jacobian(self, x, y):
        x = x - self._shift(x)
        return (-x + wg.nn.functional.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        if not shape:
            raise ValueError("Too few dimensions on input")
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape):
        if not shape:
            raise ValueError("Too few dimensions on input")
        return (*shape[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """A matrix to the lower triangle whose diagonal is eˣ of its own.

    Example:
        >>> wg.distributions.LowerCholeskyTransform()(wg.zeros(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """

    bijective = False
    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x):
        return x.tril(-1) + wg.diag_embed(x.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y):
        return y.tril(-1) + wg.diag_embed(y.diagonal(dim1=-2, dim2=-1).log())


class PositiveDefiniteTransform(Transform):
    """A matrix to L·Lᵀ for the L of :class:`LowerCholeskyTransform`.

    Example:
        >>> wg.distributions.PositiveDefiniteTransform()(wg.zeros(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """

    bijective = False
    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x):
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y):
        return LowerCholeskyTransform().inv(wg.linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """n·(n − 1) / 2 numbers to the Cholesky factor of an n × n correlation matrix.

    tanh makes them partial correlations, row by row below the diagonal, as in Lewandowski, Kurowicka and Joe,
    "Generating random correlation matrices based on vines and extended onion method" (2009).

    Raises:
        ValueError: for another count of numbers.

    Example:
        >>> wg.distributions.CorrCholeskyTransform()(wg.zeros(1))
        tensor([[1., 0.],
                [0., 1.]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky

    @staticmethod
    def _places(size, device):
        return wg.tril_indices(size, size, -1, device=device).unbind()

    @staticmethod
    def _size(count):
        size = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != count:
            raise ValueError(f"Input is not a flattend lower-diagonal number: {count}")
        return size

    def _call(self, x):
        eps = wg.finfo(x.dtype).eps
        partial = x.tanh().clamp(min=-1 + eps, max=1 - eps)
        size = self._size(x.shape[-1])
        rows, columns = self._places(size, x.device)
        matrix = x.new_zeros((*x.shape[:-1], size, size))
        matrix[..., rows, columns] = partial
        # What a row's elements so far leave of its unit length.
        left = (1 - matrix**2).cumprod(-1).sqrt()
        matrix = matrix + wg.eye(size, dtype=x.dtype, device=x.device)
        return matrix * wg.nn.functional.pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y):
        # Of a row's squares what is not yet taken, before each element.
        left = 1 - (y * y).cumsum(-1)
        left = wg.nn.functional.pad(left[..., :-1], [1, 0], value=1)
        rows, columns = self._places(y.shape[-1], y.device)
        partial = y[..., rows, columns] / left[..., rows, columns].sqrt()
        return (partial.log1p() - (-partial).log1p()) / 2

    def log_abs_det_jacobian(self, x, y):
        left = 1 - (y * y).cumsum(-1)
        rows, columns = self._places(y.shape[-1], y.device)
        # The first subdiagonal's elements begin with a whole row.
        inner = columns < rows - 1
        jacobian = 0.5 * left[..., rows[inner], columns[inner]].log().sum(-1)
        return jacobian - 2 * (x + _softplus(-2 * x) - math.log(2.0)).sum(-1)

    def forward_shape(self, shape):
        if not shape:
            raise ValueError("Too few dimensions on input")
        size = self._size(shape[-1])
        return (*shape[:-1], size, size)

    def inverse_shape(self, shape):
        if len(shape) < 2:
            raise ValueError("Too few dimensions on input")
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)
