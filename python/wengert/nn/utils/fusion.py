"""Batch normalisation, in evaluation, worked into the layer before it."""

import copy

from wengert import _core

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _fused(weight, bias, mean, var, eps, scale, shift, dim):
    """weight · s and (bias − mean) · s + shift, where s = scale / sqrt(var + eps) runs along `dim` of the weight."""
    s = (var + eps).rsqrt()
    s = s if scale is None else s * scale
    factor = s.reshape(*(-1 if d == dim else 1 for d in range(weight.ndim)))
    given = _core.zeros_like(mean) if bias is None else bias
    moved = (given - mean) * s
    moved = moved if shift is None else moved + shift
    dtype = weight.dtype if bias is None else bias.dtype
    needs = bias is not None and bias.requires_grad
    return (
        Parameter((weight * factor).to(weight.dtype), weight.requires_grad),
        Parameter(moved.to(dtype), needs),
    )


def _fuse(layer, bn, weights, *rest):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval! Call .eval() on both modules first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    made = copy.deepcopy(layer)
    statistics = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    made.weight, made.bias = weights(made.weight, made.bias, *statistics, *rest)
    return made


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of the convolution that gives what `bn` gives after it.

    Args:
        transpose: for a transposed convolution.

    Raises:
        AssertionError: if a module is in training, or `bn` has no running statistics.

    Example:
        >>> conv, bn = wg.nn.Conv2d(2, 3, 1).eval(), wg.nn.BatchNorm2d(3).eval()
        >>> x = wg.randn(1, 2, 4, 4)
        >>> wg.allclose(wg.nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
        True
    """
    return _fuse(conv, bn, fuse_conv_bn_weights, transpose)


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Weight and bias of :func:`fuse_conv_bn_eval`, as parameters; conv_b, bn_w and bn_b may be None.

    Example:
        >>> one = wg.ones(1)
        >>> weight, bias = wg.nn.utils.fuse_conv_bn_weights(wg.ones(1, 1, 1), one, one, one, 3.0, one, one)
        >>> weight.tolist(), bias.tolist()
        ([[[0.5]]], [1.0])
    """
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_eval(linear, bn):
    """A copy of the linear layer that gives what `bn` gives after it.

    Raises:
        AssertionError: if a module is in training, `bn` has no running statistics, or its features are neither
            one nor as many as the layer's outputs.

    Example:
        >>> linear, bn = wg.nn.Linear(2, 3).eval(), wg.nn.BatchNorm1d(3).eval()
        >>> x = wg.randn(4, 2)
        >>> wg.allclose(wg.nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-6)
        True
    """
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    return _fuse(linear, bn, fuse_linear_bn_weights)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Weight and bias of :func:`fuse_linear_bn_eval`, as parameters; linear_b may be None.

    Example:
        >>> one = wg.ones(1)
        >>> weight, bias = wg.nn.utils.fuse_linear_bn_weights(wg.ones(1, 2), None, one, one, 3.0, one, one)
        >>> weight.tolist(), bias.tolist()
        ([[0.5, 0.5]], [0.5])
    """
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)
