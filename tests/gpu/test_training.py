"""Training on the GPU gives the CPU's losses."""

import pytest
import wengert as wg
from wengert import nn


def losses(device, model, data, make_optimizer, steps):
    wg.manual_seed(1)
    net = model().to(device)
    x, y = (t.to(device) for t in data())
    optimizer = make_optimizer(net.parameters())
    out = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        out.append(loss.item())
    return out


def perceptron():
    return nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 2))


def points():
    wg.manual_seed(5)
    x = wg.randn(64, 2)
    return x, (x[:, 0] * x[:, 1] > 0).long()


OPTIMIZERS = {
    "sgd": lambda p: wg.optim.SGD(p, lr=0.1),
    "momentum": lambda p: wg.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: wg.optim.Adam(p, lr=0.05),
    "adamw": lambda p: wg.optim.AdamW(p, lr=0.05, amsgrad=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_perceptron(name):
    here = losses("cpu", perceptron, points, OPTIMIZERS[name], 30)
    there = losses("gpu", perceptron, points, OPTIMIZERS[name], 30)
    assert there == pytest.approx(here, rel=1e-4, abs=1e-5)
    assert there[-1] < there[0]
