"""The lectures on descent: minima found by hand-written loops and by optimizers."""

import math

import pytest
import wengert as torch
from support import close

pytestmark = pytest.mark.devices(factories=True)


def descend(f, start, device):
    lr, steps = (0.1, 1_001) if device.type == "gpu" else (0.01, 10_001)
    x = torch.tensor(start, requires_grad=True)
    for _ in range(steps):
        y = f(x)
        y.backward()
        x.data = x.data - lr * x.grad
        x.grad.zero_()
    return x


def test_gradient_descent_on_a_convex_function(device):
    x = descend(lambda x: x**2 + torch.exp(-x), 3.0, device)
    close(x, 0.3517337)  # where 2x = exp(-x)
    assert x.requires_grad and x.is_leaf


def test_gradient_descent_on_a_function_nobody_differentiates_by_hand(device):
    def f(x):
        return -torch.log(1 / (1 + torch.exp(-x)) + 1) / (x**2 + 1)

    x = descend(f, 3.0, device)
    close(x, 0.1900)
    y = f(x)
    y.backward()
    assert abs(x.grad.item()) < 1e-4
    for step in (-0.1, 0.1):
        assert f(x.detach() + step) > y


def net(theta, phi, psi, x):
    h = torch.relu(theta @ x)
    k = torch.sigmoid(phi @ h)
    return psi @ k


def test_a_small_network_in_matrices():
    """Three weight matrices, as the blackboard has them; ∂L/∂θ₂₃ also by the chain rule on paper."""
    theta = torch.tensor([[0.5, -1.0, 0.25], [1.0, 0.5, 2.0]], requires_grad=True)
    phi = torch.tensor([[1.0, -0.5], [-2.0, 0.5]], requires_grad=True)
    psi = torch.tensor([[1.5, -1.0]], requires_grad=True)
    x = torch.tensor([1.0, -1.0, 0.5])
    y = torch.tensor([2.0])
    loss = ((net(theta, phi, psi, x) - y) ** 2).sum()
    loss.backward()

    h = [0.5 + 1.0 + 0.125, 1.0 - 0.5 + 1.0]
    k = [1 / (1 + math.exp(-(h[0] - 0.5 * h[1]))), 1 / (1 + math.exp(-(-2 * h[0] + 0.5 * h[1])))]
    delta = 2 * (1.5 * k[0] - k[1] - 2.0)
    dh2 = delta * (1.5 * k[0] * (1 - k[0]) * -0.5 + -1.0 * k[1] * (1 - k[1]) * 0.5)
    close(theta.grad[1, 2], dh2 * 0.5)
    close(psi.grad, [[delta * k[0], delta * k[1]]])
    assert theta.grad.shape == (2, 3) and phi.grad.shape == (2, 2)


def test_the_evaluation_trace_of_a_model():
    """theta1 x1 - theta2 cos(theta3 + x2) at one point, every line of its Wengert list."""
    theta = [torch.tensor(v, requires_grad=True) for v in (0.2, 0.3, 0.4)]
    x1, x2, y = 5.0, 1.0, -2.0
    v1 = theta[2] + x2
    v2 = torch.cos(v1)
    v3 = theta[1] * v2
    v4 = theta[0] * x1
    v5 = v4 - v3
    loss = (v5 - y) ** 2
    for v, want in [(v1, 1.4), (v2, 0.17), (v3, 0.0510), (v4, 1.0), (v5, 0.9490), (loss, 8.6967)]:
        close(v, want)
    loss.backward()
    for t, want in zip(theta, (29.4901, -1.0025, 1.7437), strict=True):
        close(t.grad, want)
