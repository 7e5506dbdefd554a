"""Sums of squares, norms and other folds composed from sum, amax, sort and cumsum."""

import warnings

from .. import _core
from .._core import bfloat16, float16, float32
from ._compose import composed
from ._dims import product, truth, wrap_dim, wrap_dims

HALVES = (float16, bfloat16)


def widen(input):
    """Half precision computes in float32, as PyTorch's reductions do."""
    return input.to(float32) if input.dtype in HALVES else input


def to_float(input):
    """Integers and bools become the default float dtype."""
    return input if input.is_floating_point() else input.to(_core.get_default_dtype())


def safe_root(square, root):
    """`root(square)` whose gradient is 0, not NaN, where `square` is 0."""
    if not square.requires_grad:
        return root(square)
    zero = square == 0
    return root(square.masked_fill(zero, 1.0)).masked_fill(zero, 0.0)


def constant_of(input, value):
    """`value` on the input's graph, with zero gradient: what PyTorch gives for functions constant in their input."""
    return (
        _core.where(_core.ones((), dtype=_core.bool, device=input.device), value, input)
        if input.requires_grad
        else value
    )


def _spread(name, input, dim, unbiased, correction):
    """(dims, correction) of the overloads of var and std: (unbiased), (dim, unbiased), (dim, correction)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}() received both unbiased and correction; pass one of them")
    if unbiased is not None:
        truth(name, "unbiased", unbiased)
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    if not input.is_floating_point():
        raise NotImplementedError(
            f"{name} only support floating point and complex dtypes, got {input.dtype}; "
            "convert with .float() first"
        )
    return wrap_dims(dim, input.ndim), correction


def _var_mean(name, input, dim, unbiased, keepdim, correction):
    dims, correction = _spread(name, input, dim, unbiased, correction)
    count = product([input.shape[d] for d in dims]) if input.ndim else 1
    if count <= correction:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            stacklevel=4,
        )
    return _core._var_mean(widen(input), dims, correction, keepdim)


@composed(out="cast")
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Variance over `dim` (all dims if None), divided by n - correction (1 by default).

    Example:
        >>> wg.var(wg.tensor([1., 2., 3., 4.]))
        tensor(1.6667)
    """
    return _var_mean("var", input, dim, unbiased, keepdim, correction)[0].to(input.dtype)


@composed(out="cast")
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Standard deviation over `dim`: the root of :func:`var`; its gradient at 0 is 0.

    Example:
        >>> wg.std(wg.tensor([[1., 3.], [2., 6.]]), dim=1)
        tensor([1.4142, 2.8284])
    """
    variance = _var_mean("std", input, dim, unbiased, keepdim, correction)[0]
    return safe_root(variance, _core.sqrt).to(input.dtype)


@composed(method=False)
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(variance, mean) over `dim`.

    Example:
        >>> wg.var_mean(wg.tensor([1., 3.]))
        (tensor(2.), tensor(2.))
    """
    variance, mean = _var_mean("var_mean", input, dim, unbiased, keepdim, correction)
    return variance.to(input.dtype), mean.to(input.dtype)


@composed(method=False)
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(standard deviation, mean) over `dim`.

    Example:
        >>> wg.std_mean(wg.tensor([1., 3.]), correction=0)
        (tensor(1.), tensor(2.))
    """
    variance, mean = _var_mean("std_mean", input, dim, unbiased, keepdim, correction)
    return safe_root(variance, _core.sqrt).to(input.dtype), mean.to(input.dtype)


@composed(out="cast")
def logsumexp(input, dim, keepdim=False):
    """log(sum(exp(x))) over `dim`, without overflow.

    Example:
        >>> wg.logsumexp(wg.tensor([1000., 1000., 1000., 1000.]), 0)
        tensor(1001.3863)
    """
    x = to_float(input)
    if x.ndim == 0:
        wrap_dims(dim, 0)
        return x.clone()
    dims = wrap_dims(dim, x.ndim)
    if product([x.shape[d] for d in dims]) == 0:
        return x.exp().sum(dims, keepdim=keepdim).log()
    top = x.detach().amax(dims, keepdim=True)
    top = top.masked_fill(top.isinf(), 0.0)
    total = (x - top).exp().sum(dims, keepdim=keepdim).log()
    return total + (top if keepdim else top.reshape(total.shape))


@composed(out="cast")
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum with NaN counted as 0.

    Example:
        >>> wg.nansum(wg.tensor([1., float("nan"), 2.]))
        tensor(3.)
    """
    x = input.masked_fill(input.isnan(), 0) if input.is_floating_point() else input
    return x.sum(dtype=dtype) if dim is None else x.sum(dim, keepdim=keepdim, dtype=dtype)


@composed(out="cast")
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """Mean of what is not NaN.

    Example:
        >>> wg.nanmean(wg.tensor([1., float("nan"), 2.]))
        tensor(1.5000)
    """
    if not input.is_floating_point():
        raise NotImplementedError(
            f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype}"
        )
    count = (~input.isnan()).sum(wrap_dims(dim, input.ndim), keepdim=keepdim)
    return nansum(input, wrap_dims(dim, input.ndim), keepdim, dtype=dtype) / count


@composed()
def count_nonzero(input, dim=None):
    """How many elements differ from 0, over `dim` or in all, as int64.

    Example:
        >>> wg.count_nonzero(wg.tensor([[0, 1], [2, 3]]), dim=0)
        tensor([1, 2])
    """
    return (input != 0).sum() if dim is None else (input != 0).sum(dim)


@composed()
def sum_to_size(input, *size):
    """The sum that undoes broadcasting `size` to the input's shape.

    Example:
        >>> wg.ones(2, 3).sum_to_size(1, 3)
        tensor([[2., 2., 2.]])
    """
    from ._dims import ints

    size = ints("size", size)
    lead = input.ndim - len(size)
    if lead < 0 or any(s not in (1, n) for s, n in zip(size, input.shape[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(input.shape)}}}.")
    dims = [i for i in range(input.ndim) if i < lead or (size[i - lead] == 1 and input.shape[i] != 1)]
    return input.sum(dims, keepdim=True).reshape(size) if dims else input


def vector_power_sum(x, p, dims, keepdim):
    """The p-norm of widened floats over dims, with PyTorch's subgradients at 0."""
    if p == 2:
        if x.is_cpu and not x.requires_grad:
            return _core._square_sums(x, dims, keepdim).sqrt()
        return safe_root(x.square().sum(dims, keepdim=keepdim), _core.sqrt)
    if p == 1:
        return x.abs().sum(dims, keepdim=keepdim)
    if p == float("inf"):
        return x.abs().amax(dims, keepdim=keepdim)
    if p == float("-inf"):
        return x.abs().amin(dims, keepdim=keepdim)
    if p == 0:
        return constant_of(x, (x != 0).to(x.dtype)).sum(dims, keepdim=keepdim)
    magnitude = x.abs()
    if x.requires_grad:
        zero = x == 0
        powers = magnitude.masked_fill(zero, 1.0).pow(p).masked_fill(zero, 0.0 if p > 0 else float("inf"))
        return safe_root(powers.sum(dims, keepdim=keepdim), lambda s: s.pow(1.0 / p))
    return magnitude.pow(p).sum(dims, keepdim=keepdim).pow(1.0 / p)


def vector_norm_over(name, input, p, dim, keepdim, dtype):
    """Checks, widening and casts of the vector norms."""
    if dtype is not None:
        input = input.to(dtype)
    if not input.is_floating_point():
        raise NotImplementedError(
            f"{name}: Expected a floating point or complex tensor as input. Got {input.dtype}"
        )
    x = widen(input)
    if x.ndim == 0:
        wrap_dims(dim, 0)
        return x.abs().to(input.dtype) if p != 0 else (x != 0).to(input.dtype)
    dims = wrap_dims(dim, x.ndim)
    if p in (float("inf"), float("-inf")) or p < 0:
        empty = [d for d in dims if x.shape[d] == 0]
        if empty and (p < 0 or product(x.shape) == 0):
            raise RuntimeError(
                f"{name} cannot compute the {p} norm on an empty dimension because the operation "
                "does not have an identity"
            )
    return vector_power_sum(x, p, dims, keepdim).to(input.dtype)


@composed(out=True)
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """The p-norm of the elements (or of matrices for p="nuc"), over `dim` or in all.

    Example:
        >>> wg.norm(wg.tensor([3., 4.]))
        tensor(5.)
    """
    if isinstance(p, str) and p != "fro":
        from ..linalg import matrix_norm

        dims = (-2, -1) if dim is None else dim
        if isinstance(dims, int) or len(dims) != 2:
            raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
        return matrix_norm(input, p, dims, keepdim, dtype=dtype)
    if p is None or p == "fro":
        p = 2.0
    return vector_norm_over("norm()", input, float(p), dim, keepdim, dtype)


@composed(inplace=True, out=True)
def renorm(input, p, dim, maxnorm):
    """Scales each slice along `dim` whose p-norm exceeds `maxnorm` down to it.

    Example:
        >>> wg.renorm(wg.tensor([[3., 4.], [0., 1.]]), 2, 0, 1.)
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """
    dim = wrap_dim(dim, input.ndim)
    dims = tuple(d for d in range(input.ndim) if d != dim)
    if not dims:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    norms = vector_norm_over("renorm()", input, float(p), dims, True, None)
    scale = _core.where(norms > maxnorm, maxnorm / (norms + 1e-7), _core.ones_like(norms))
    return input * scale
