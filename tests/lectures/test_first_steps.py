"""The first lectures: scalars, vectors, matrices, the printed form, accumulation."""

import math

import pytest
import wengert as torch
from support import close

pytestmark = pytest.mark.devices(factories=True)


def test_the_derivative_of_a_polynomial():
    x = torch.tensor(2.0, requires_grad=True)
    y = x**2 + 4 * x + 3
    y.backward()
    assert y.item() == 15.0
    assert x.grad.item() == 8.0


@pytest.mark.parametrize("value", [2, [1, 2, 3], True])
def test_integers_cannot_require_gradients(value):
    message = "Only Tensors of floating point and complex dtype can require gradients"
    with pytest.raises(RuntimeError, match=message):
        torch.tensor(value, requires_grad=True)
    with pytest.raises(RuntimeError, match="(?i)only Tensors of floating point"):
        torch.tensor(value).requires_grad_()


@pytest.mark.host("elsewhere the device is printed too")
@pytest.mark.parametrize(
    "f, printed",
    [
        (lambda x: x + 2, "tensor(4., grad_fn=<AddBackward0>)"),
        (lambda x: torch.sqrt(x), "tensor(1.4142, grad_fn=<SqrtBackward0>)"),
        (lambda x: torch.sin(x), "tensor(0.9093, grad_fn=<SinBackward0>)"),
        (lambda x: torch.exp(x), "tensor(7.3891, grad_fn=<ExpBackward0>)"),
        (lambda x: torch.log(x), "tensor(0.6931, grad_fn=<LogBackward0>)"),
        (lambda x: x, "tensor(2., requires_grad=True)"),
    ],
)
def test_results_show_how_they_were_made(f, printed):
    assert repr(f(torch.tensor(2.0, requires_grad=True))) == printed


def test_a_nested_function():
    x = torch.tensor(2.0, requires_grad=True)
    y = torch.sin((x + 2) + (1 + torch.exp(x**2)))
    y.backward()
    close(x.grad, -218.4625)


def test_a_chain_through_a_named_intermediate():
    x = torch.tensor(2.0, requires_grad=True)
    y = x**2
    z = 2 * y + 3
    z.backward()
    assert x.grad.item() == 8.0
    assert y.is_leaf is False and x.is_leaf is True


def test_components_of_a_vector():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = 2 * x[0] + 3 * x[1] + 4 * x[2]
    y.backward()
    assert y.item() == 20.0
    assert x.grad.tolist() == [2.0, 3.0, 4.0]


def test_the_sum_of_a_matrix():
    a = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    y = torch.sum(a)
    y.backward()
    assert y.item() == 21.0
    assert repr(a.grad.cpu()) == "tensor([[1., 1., 1.],\n        [1., 1., 1.]])"


def test_a_quadratic_form():
    w = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.matmul(torch.matmul(x, w), x)
    y.backward()
    assert y.item() == 13.0
    assert [float(g) for g in x.grad.cpu().numpy()] == [10.0, 8.0]


def test_a_bilinear_form():
    w = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x1 = torch.tensor([1.0, 2.0], requires_grad=True)
    x2 = torch.tensor([3.0, 4.0], requires_grad=True)
    y = x1 @ w @ x2
    y.backward()
    assert y.item() == 61.0
    assert w.grad.tolist() == [[3.0, 4.0], [6.0, 8.0]]  # the outer product of x1 and x2
    assert x1.grad.tolist() == [11.0, 25.0]  # W x2
    assert x2.grad.tolist() == [7.0, 10.0]  # x1 W


def test_a_perfect_square():
    x = torch.tensor(3.0, requires_grad=True)
    y = x**2 + 2 * x + 1
    y.backward()
    assert x.grad.item() == 8.0


def test_two_variables():
    x = torch.tensor(3.0, requires_grad=True)
    y = torch.tensor(2.0, requires_grad=True)
    z = (x + y) ** 2
    z.backward()
    assert z.item() == 25.0
    assert x.grad.item() == 10.0
    assert y.grad.item() == 10.0


@pytest.mark.parametrize("coin, slope", [(0.2, 1.0), (0.8, math.cos(2.0) - 4 * math.sin(4.0))])
def test_branches_chosen_at_run_time(coin, slope):
    def f(x):
        return x + 3

    def g(x):
        return torch.sin(x) + torch.cos(x**2)

    x = torch.tensor(2.0, requires_grad=True)
    y = f(x) if coin < 0.5 else g(x)
    y.backward()
    close(x.grad, slope)


def test_a_branch_on_the_value_of_a_tensor():
    x = torch.tensor(1.5, requires_grad=True)
    y = x
    while y < 100:  # 1.5 -> 3.25 -> 11.5625 -> 134.69...
        y = y * y + 1
    y.backward()
    close(y, 134.69140625)
    close(x.grad, (2 * 1.5) * (2 * 3.25) * (2 * 11.5625))


def q(a, b):
    return 3 * a**3 - b**2


def test_two_partials_of_one_function():
    a = torch.tensor(2.0, requires_grad=True)
    b = torch.tensor(6.0, requires_grad=True)
    q(a, b).backward()
    assert a.grad.item() == 36.0
    assert b.grad.item() == -12.0


@pytest.mark.parametrize("reset", ["none", "zero_", "None"])
def test_gradients_accumulate_until_they_are_reset(reset):
    a = torch.tensor(2.0, requires_grad=True)
    b = torch.tensor(6.0, requires_grad=True)
    q(a, b).backward()
    if reset == "zero_":
        a.grad.zero_()
        b.grad.zero_()
    elif reset == "None":
        a.grad = None
        b.grad = None
    r = -4 * a**2 - b**4
    r.backward()
    want = (20.0, -876.0) if reset == "none" else (-16.0, -864.0)
    assert (a.grad.item(), b.grad.item()) == want


def test_backward_of_a_vector_needs_a_direction():
    a = torch.tensor([2.0, 3.0, 1.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0, 1.0], requires_grad=True)
    y = q(a, b)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        y.backward()
    y.backward(gradient=torch.ones(3))
    assert a.grad.tolist() == [36.0, 81.0, 9.0]
    assert b.grad.tolist() == [-12.0, -8.0, -2.0]


def test_linear_algebra_on_the_side():
    x = torch.tensor([[1.0, 2.0], [-1.0, 0.0]])
    assert (x @ x).tolist() == [[-1.0, 2.0], [-1.0, -2.0]]
    close(x.exp().sum(), 11.4752)
    assert torch.trace(x).item() == 1.0
    u, s, v = torch.svd(x)
    close(u @ torch.diag(s) @ v.T, x.tolist(), tol=1e-5)
    close(s, [math.sqrt(3 + math.sqrt(5)), math.sqrt(3 - math.sqrt(5))], tol=1e-5)
    uu, ss, vh = torch.linalg.svd(x)
    close(uu @ torch.diag(ss) @ vh, x.tolist(), tol=1e-5)
