"""Random correlation matrices, by their Cholesky factors."""

import math

import wengert as wg

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all


class LKJCholesky(Distribution):
    """Cholesky factors L of correlation matrices with density ∝ det(L·Lᵀ)^(concentration − 1).

    Each row is a direction on a sphere, drawn evenly, times a length whose square is beta-distributed: the onion
    method of Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on vines and extended
    onion method" (2009).

    Args:
        dim: the matrices' size, at least 2.
        concentration: 1 draws correlation matrices evenly, more favours the identity.

    Raises:
        ValueError: for `dim` below 2.

    Example:
        >>> wg.distributions.LKJCholesky(3, 0.5).sample().shape
        torch.Size([3, 3])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        options = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        offset = wg.cat([wg.zeros(1, **options), wg.arange(dim - 1, **options)])
        above = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * offset
        super().__init__(self.concentration.shape, (dim, dim), validate_args)
        # For negative concentrations, unchecked, there is nothing to draw from.
        # Row i + 1 has i + 1 elements below the diagonal; PyTorch's first parameter here is i + ½, and its samples
        # of more than two dims do not have this density.
        self._squares = Beta(((offset + 1) / 2).expand(above.shape), above, validate_args=False)

    def expand(self, batch_shape, _instance=None):
        batch_shape = wg.Size(batch_shape)
        return type(self)(self.dim, self.concentration.expand(batch_shape), validate_args=False)

    def sample(self, sample_shape=()):
        with wg.no_grad():
            square = self._squares.sample(sample_shape).unsqueeze(-1)
            shape = self._extended_shape(sample_shape)
            like = self.concentration
            direction = wg.randn(shape, dtype=like.dtype, device=like.device).tril(-1)
            length = direction.norm(dim=-1, keepdim=True)
            # The first row has no elements below the diagonal, and no direction.
            rows = square.sqrt() * direction / wg.where(length == 0, 1.0, length)
            rest = (1 - rows.square().sum(-1)).clamp(min=wg.finfo(like.dtype).tiny).sqrt()
            return rows + wg.diag_embed(rest)

    def log_prob(self, value):
        self._validate_sample(value)
        n, diagonal = self.dim, value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        place = wg.arange(2, n + 1, device=self.concentration.device)
        power = 2 * (self.concentration - 1).unsqueeze(-1) + n - place
        alpha = self.concentration + 0.5 * (n - 1)
        volume = 0.5 * (n - 1) * math.log(math.pi) + wg.mvlgamma(alpha - 0.5, n - 1)
        return (power * diagonal.log()).sum(-1) - (volume - wg.lgamma(alpha) * (n - 1))
