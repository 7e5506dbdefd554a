"""Histograms over one or several dims, with their bins' edges."""

import math

from .. import _core
from ._compose import composed, results
from ._dims import integer, product
from .ordering import searchsorted
from .reductions import widen

_histogram = results("histogram", "hist", "bin_edges")
_histogramdd = results("histogramdd", "hist", "bin_edges")


def _given_edges(name, points, edges, dim):
    """Edges that came as a tensor, checked."""
    if edges.dtype != points.dtype:
        raise RuntimeError(
            f"{name}: input tensor and bins tensors should have the same dtype, but got input with dtype "
            f"{points.dtype} and bins for dimension {dim} with dtype {edges.dtype}"
        )
    if edges.ndim != 1:
        raise RuntimeError(
            f"{name}: bins tensor should have one dimension, but got {edges.ndim} dimensions in the bins tensor "
            f"for dimension {dim}"
        )
    if edges.numel() < 2:
        raise RuntimeError(
            f"{name}: bins tensor should have at least 2 elements, the edges of one bin, but got {edges.numel()} "
            f"for dimension {dim}"
        )
    return edges.detach().clone()


def _equal_edges(name, column, count, limits, dim):
    """Edges of `count` equal bins between the limits, or the data's least and greatest number."""
    if integer("bins", count) <= 0:
        raise RuntimeError(f"{name}: bins must be > 0, but got {count} for dimension {dim}")
    if limits is not None:
        low, high = map(float, limits)
    else:
        low, high = (column.amin().item(), column.amax().item()) if column.numel() else (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: dimension {dim}'s range [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(
            f"{name}: min should not exceed max, but got min {low} max {high} for dimension {dim}"
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _core.linspace(low, high, count + 1, dtype=column.dtype, device=column.device)


def _limits(name, limits, dims):
    """(min, max) of each dim from the flat sequence, or None for each."""
    if limits is None:
        return [None] * dims
    if len(limits) != 2 * dims:
        raise RuntimeError(
            f"{name}: for a {dims}-dimensional histogram range should have {2 * dims} elements, but got {len(limits)}"
        )
    return [limits[2 * d : 2 * d + 2] for d in range(dims)]


def _counted(points, edges, weights, density):
    """The histogram of points `[n, d]`; each bin has its lower edge, the last one the upper, too."""
    inside, place = points.new_ones(points.shape[0], dtype=_core.bool), 0
    for column, edge in zip(points.unbind(1), edges, strict=True):
        inside = inside & (column >= edge[0]) & (column <= edge[-1])
        at = searchsorted(edge, column.contiguous(), right=True) - 1
        place = place * (len(edge) - 1) + at.clamp(0, len(edge) - 2)
    shape = [len(edge) - 1 for edge in edges]
    hist = points.new_zeros(product(shape)).scatter_add(0, place[inside], weights[inside]).reshape(shape)
    if not density:
        return hist
    hist = hist / hist.sum()
    for dim, edge in enumerate(edges):
        hist = hist / edge.diff().reshape([-1 if d == dim else 1 for d in range(len(edges))])
    return hist


def _histogram_of(name, points, bins, limits, weight, density):
    """(histogram, edges) of points `[…, d]`; `bins` holds for each of the d dims a number of bins or edges."""
    if not points.is_floating_point():
        raise NotImplementedError(f"{name}: expected a floating point tensor, got {points.dtype}")
    if weight is not None and weight.dtype != points.dtype:
        raise RuntimeError(
            f"{name}: if weight tensor is provided, input tensor and weight tensor should have the same dtype, "
            f"but got input({points.dtype}), and weight({weight.dtype})"
        )
    if weight is not None and weight.shape != points.shape[:-1]:
        raise RuntimeError(
            f"{name}: if weight tensor is provided it should have the same shape as the input tensor excluding "
            f"its innermost dimension, but got input with shape {list(points.shape)} and weight with shape "
            f"{list(weight.shape)}"
        )
    dims = points.shape[-1]
    points = points.detach().reshape(-1, dims)
    weights = widen(points.new_ones(points.shape[0]) if weight is None else weight.detach().reshape(-1))
    edges = [
        _given_edges(name, points, b, d)
        if isinstance(b, _core.Tensor)
        else _equal_edges(name, points[:, d], b, limits, d)
        for d, (b, limits) in enumerate(zip(bins, _limits(name, limits, dims), strict=True))
    ]
    hist = _counted(widen(points), [widen(edge) for edge in edges], weights, density)
    return hist.to(points.dtype), edges


@composed(out=True)
def histogram(input, bins=100, *, range=None, weight=None, density=False):
    """How many elements are in each bin, and the bins' edges. Nothing of it has a gradient.

    Elements outside the edges, and NaN, are left out; each bin has its lower edge and the last one the upper, too.

    Args:
        input: floating point of any shape.
        bins: how many equal bins between the least and the greatest element, or a 1-D tensor of rising edges.
        range: (min, max) for equal bins instead of the data's.
        weight: what each element counts, of the input's shape and dtype.
        density: divides by the sum and the bins' widths, so that the integral is 1.

    Returns:
        `hist` `[bins]` and `bin_edges` `[bins + 1]`, of the input's dtype.

    Raises:
        RuntimeError: for no bins, a range that is not finite or falls, or a weight or edges that do not fit.
        NotImplementedError: for other dtypes.

    Example:
        >>> wg.histogram(wg.tensor([1., 2., 1.]), bins=2, range=(0., 3.))
        torch.return_types.histogram(
        hist=tensor([2., 1.]),
        bin_edges=tensor([0.0000, 1.5000, 3.0000]))
    """
    if isinstance(bins, _core.Tensor) and range is not None:
        raise TypeError(
            "histogram(): a range is for a number of bins; edges given as a tensor have their own"
        )
    if weight is not None and weight.shape != input.shape:
        raise RuntimeError(
            f"histogram(): weight should have the shape of the input, but got {list(weight.shape)} for an input "
            f"of shape {list(input.shape)}"
        )
    weight = None if weight is None else weight.reshape(-1)
    hist, edges = _histogram_of("histogram()", input.reshape(-1, 1), [bins], range, weight, density)
    return _histogram(hist, edges[0])


@composed(method=False)
def histogramdd(input, bins, range=None, weight=None, density=False):
    """The histogram of points in several dims; see :func:`histogram`.

    Args:
        input: points `[…, d]`, floating point.
        bins: a number of bins for all dims, or one for each, or the edges of each.
        range: min and max of each dim, one after the other.
        weight: what each point counts, `[…]`.
        density: divides by the sum and the bins' volumes.

    Returns:
        `hist` of d dims, and `bin_edges`, a tuple of d tensors.

    Raises:
        RuntimeError: for an input without points' dim, or bins, a range or a weight that do not fit.

    Example:
        >>> wg.histogramdd(wg.tensor([[0., 1.], [1., 0.], [1., 1.]]), bins=2).hist
        tensor([[0., 1.],
                [1., 1.]])
    """
    bins = [bins] * input.shape[-1] if isinstance(bins, int) else list(bins)
    if input.ndim < 2:
        raise RuntimeError("histogramdd(): input tensor should have at least 2 dimensions")
    if len(bins) != input.shape[-1]:
        raise RuntimeError(
            "histogramdd(): The size of bins must be equal to the innermost dimension of the input, "
            f"but got {len(bins)} for {input.shape[-1]}"
        )
    if not bins:
        raise RuntimeError("histogramdd(): points need at least one coordinate")
    hist, edges = _histogram_of("histogramdd()", input, bins, range, weight, density)
    return _histogramdd(hist, tuple(edges))
