"""`linear` with an activation in the same call: what the two calls give, values and gradients of every order."""

import pytest
import wengert as wg
from support import put

linear = wg.nn.functional.linear

ROWS = [
    row for row in wg._core._rows() if len(row["args"]) == 1 and row["class"] not in ("test", "logic", "bit")
]
pytestmark = pytest.mark.devices(sample=9)


def function(row):
    return getattr(wg._core, row["name"])


def arguments(dtype, *sizes, bias=True):
    m, k, n = sizes
    wg.manual_seed(m + n)
    shapes = [(m, k), (n, k), (n,)][: 3 if bias else 2]
    return [put(wg.randn(*shape, dtype=wg.float64)).to(dtype) for shape in shapes]


def test_every_row_of_one_number_is_there():
    assert {"relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "exp"} <= {row["name"] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
@pytest.mark.parametrize("sizes", [(2, 3, 4), (65, 40, 33)], ids=str)
def test_values_and_gradients(row, sizes):
    ours, theirs = arguments(wg.float32, *sizes), arguments(wg.float32, *sizes)
    for t in ours + theirs:
        t.requires_grad_()
    y, z = linear(*ours, activation=row["name"]), function(row)(linear(*theirs))
    assert wg.allclose(y, z, 1e-5, 1e-5, equal_nan=True)
    if not row["differentiable"]:
        return
    y.sum().backward()
    z.sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert wg.allclose(a.grad, b.grad, 1e-4, 1e-4, equal_nan=True)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh", "square"])
@pytest.mark.host("float64 throughout")
def test_gradients_of_gradients(name):
    inputs = [t.requires_grad_() for t in arguments(wg.float64, 3, 4, 2)]
    assert wg.autograd.gradcheck(lambda *a: linear(*a, activation=name), inputs)
    assert wg.autograd.gradgradcheck(lambda *a: linear(*a, activation=name), inputs)


@pytest.mark.parametrize("dtype", [wg.float16, wg.bfloat16, wg.float64], ids=str)
def test_other_dtypes(dtype):
    inputs = arguments(dtype, 5, 6, 7)
    y = linear(*inputs, activation="gelu")
    assert y.dtype == dtype
    assert wg.allclose(y, wg.nn.functional.gelu(linear(*inputs)), 1e-2, 1e-2)


def test_shapes_without_gradients():
    w, b = put(wg.randn(3, 4)), put(wg.randn(3))
    for shape in [(4,), (2, 4), (2, 5, 4), (0, 4), (2, 0, 4)]:
        x = put(wg.randn(*shape))
        with wg.no_grad():
            assert wg.allclose(linear(x, w, b, activation="relu"), linear(x, w, b).relu())
    # A bias that is broadcast, a weight that is a vector.
    x = put(wg.randn(2, 4))
    assert wg.allclose(
        linear(x, w, put(wg.ones(1, 3)), activation="tanh"), linear(x, w, put(wg.ones(1, 3))).tanh()
    )
    assert wg.allclose(linear(x, w[0], activation="tanh"), linear(x, w[0]).tanh())


def test_what_is_no_activation():
    w = put(wg.ones(3, 4))
    for name in ("", "add", "isnan", "softmax", "bitwise_not", "relu\0"):
        with pytest.raises(ValueError, match="must name an elementwise function of one input"):
            linear(put(wg.ones(2, 4)), w, activation=name)
    with pytest.raises(TypeError):
        linear(put(wg.ones(2, 4)), w, activation=1)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        linear(put(wg.ones(2, 5)), w, activation="relu")
    with pytest.raises(TypeError):
        linear(put(wg.ones(2, 4)), w, None, "relu")


def test_it_is_one_node():
    x, w = put(wg.randn(2, 4)), put(wg.randn(3, 4)).requires_grad_()
    y = linear(x, w, activation="relu")
    assert y.grad_fn.name() == "ReluBackward0"
    assert y.grad_fn.next_functions[1][0].name().endswith("AccumulateGrad")
