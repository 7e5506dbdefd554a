"""Training on the GPU gives the CPU's losses."""

import runpy
from pathlib import Path

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


def convnet():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6),
        nn.ReLU(), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


def images():
    wg.manual_seed(6)
    return wg.randn(12, 1, 8, 8), wg.arange(12) % 3


class Attention(nn.Module):
    """One head, written out of products and a softmax, with what stands around it in a transformer."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 2)

    def forward(self, ids):
        x = self.tokens(ids)
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = q @ k.transpose(-2, -1) / 8**0.5
        later = wg.ones(scores.shape[-2:], dtype=wg.bool, device=scores.device).triu(1)
        weights = scores.masked_fill(later, float("-inf")).softmax(-1)
        return self.out(self.norm(x + weights @ v).mean(1))


def sentences():
    wg.manual_seed(7)
    ids = wg.randint(0, 11, (10, 6))
    return ids, (ids.sum(1) % 2).long()


@pytest.mark.parametrize(
    "model, data", [(convnet, images), (Attention, sentences)], ids=["convnet", "attention"]
)
def test_larger_models(model, data):
    here = losses("cpu", model, data, OPTIMIZERS["adam"], 8)
    there = losses("gpu", model, data, OPTIMIZERS["adam"], 8)
    assert there == pytest.approx(here, rel=1e-4, abs=1e-5)
    assert there[-1] < there[0]


def test_moons():
    moons = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "moons.py"), run_name="moons")
    here = moons["main"](["--no-figure", "--epochs", "3"])
    there = moons["main"](["--no-figure", "--epochs", "3", "--device", "gpu"])
    for a, b in zip(here, there, strict=True):
        assert b.losses == pytest.approx(a.losses, rel=1e-4) and b.accuracy == a.accuracy
        assert all(p.is_gpu for p in b.model.parameters())
