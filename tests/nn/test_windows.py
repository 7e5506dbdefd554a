"""Convolutions' transposes, average pools and evaluation's batch norm against PyTorch, with their gradients."""

import numpy as np
import pytest
import torch
import wengert as wg


def _agree(name, shapes, *args, **kwargs):
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    found, wanted = [], []
    for lib, results in ((wg, found), (torch, wanted)):
        inputs = [lib.tensor(array, requires_grad=True) for array in arrays]
        y = getattr(lib.nn.functional, name)(*inputs, *args, **kwargs)
        (first,) = lib.autograd.grad((y * y * y.cos()).sum(), inputs[:1], create_graph=True)
        (first.sin().sum() + y.sum()).backward()
        results.extend([y.detach(), first.detach(), *(t.grad for t in inputs)])
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (4, {"stride": 2}),
        (3, {"stride": 2, "padding": 1, "output_padding": 1}),
        (2, {"stride": 3, "output_padding": 2}),
        (3, {"dilation": 2, "output_padding": 1}),
        (3, {"groups": 2, "stride": (1, 2), "padding": (1, 0)}),
    ],
)
def test_transposes_of_convolutions(kernel, options, bias):
    groups = options.get("groups", 1)
    shapes = [(2, 6, 7, 5), (6, 4, kernel, kernel)] + [(4 * groups,)] * bias
    _agree("conv_transpose2d", shapes, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": (3, 2)},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "stride": 3, "padding": 1},
        {"kernel_size": 2, "ceil_mode": True},
        {"kernel_size": 3, "padding": 1, "count_include_pad": False},
        {"kernel_size": 2, "divisor_override": 3},
    ],
)
def test_average_pools(options):
    _agree("avg_pool2d", [(2, 3, 9, 7)], **options)


def test_batch_norm_with_running_statistics():
    rng = np.random.default_rng(6)
    x, mean, weight, bias = (rng.standard_normal(shape) for shape in ((4, 5, 3, 2), 5, 5, 5))
    var = rng.random(5) + 0.5
    gradients = []
    for lib in (wg, torch):
        x_, w_, b_ = (lib.tensor(array, requires_grad=True) for array in (x, weight, bias))
        y = lib.nn.functional.batch_norm(x_, lib.tensor(mean), lib.tensor(var), w_, b_)
        (y * y).sum().backward()
        gradients.append([np.asarray(t) for t in (y.detach(), x_.grad, w_.grad, b_.grad)])
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
