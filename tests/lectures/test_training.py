"""The lectures on training: a three-point fit, and make_moons with data loader and Adam."""

import math

import pytest
import wengert as torch
import wengert.nn as nn
from support import close, put
from wengert.utils.data import DataLoader, Dataset

pytestmark = pytest.mark.devices(factories=True)

FIT = {"steps": 100, "lr": 0.01}
POINTS = [((5.0, 1.0), -2.0), ((1.0, 2.0), -1.0), ((2.0, -1.0), -4.0)]
START = (0.2, 0.3, 0.4)


class Wave(nn.Module):
    """theta1 x1 - theta2 cos(theta3 + x2)."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(START))

    def forward(self, x):
        return self.theta[0] * x[0] - self.theta[1] * torch.cos(self.theta[2] + x[1])


class grad_descent:  # noqa: N801 - the lecture's name
    """The optimizer as the lecture writes it before it shows torch.optim."""

    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        self.lr = lr

    def step(self):
        with torch.no_grad():
            for p in self.parameters:
                p -= self.lr * p.grad

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None


def fit_on_paper():
    """The same fit in Python floats, with the derivative written out."""
    t1, t2, t3 = START
    for _ in range(FIT["steps"]):
        g1 = g2 = g3 = 0.0
        for (x1, x2), y in POINTS:
            r = 2 * (t1 * x1 - t2 * math.cos(t3 + x2) - y)
            g1 += r * x1
            g2 -= r * math.cos(t3 + x2)
            g3 += r * t2 * math.sin(t3 + x2)
        t1, t2, t3 = (t - FIT["lr"] * g for t, g in ((t1, g1), (t2, g2), (t3, g3)))
    return [t1, t2, t3]


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, grad_descent])
def test_a_fit_of_three_points(optimizer):
    model = Wave()
    opt = optimizer(model.parameters(), lr=FIT["lr"])
    losses = []
    for _ in range(FIT["steps"]):
        opt.zero_grad()
        loss = sum((model(x) - y) ** 2 for x, y in POINTS)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    close(model.theta, fit_on_paper())
    assert losses[-1] < 0.2 * losses[0]


class Moons(Dataset):
    """Rows of numpy arrays: float features, integer labels."""

    def __init__(self, features, labels):
        self.features = features
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.tensor(self.features[i], dtype=torch.float32), self.labels[i]


def moons():
    datasets = pytest.importorskip("sklearn.datasets")
    model_selection = pytest.importorskip("sklearn.model_selection")
    x, y = datasets.make_moons(100, noise=0.1, random_state=0)
    xa, xb, ya, yb = model_selection.train_test_split(x, y, test_size=0.33, random_state=0)
    return Moons(xa, ya), Moons(xb, yb)


NETWORKS = {
    "relu": (
        lambda nn: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)),
        20,
    ),
    "sigmoid": (lambda nn: nn.Sequential(nn.Linear(2, 10), nn.Sigmoid(), nn.Linear(10, 2)), 50),
}


def train(torch, nn, loader, network, data, seed):
    """The lecture's loop, for wengert or torch; returns the model and the loss of every step."""
    build, epochs = NETWORKS[network]
    torch.manual_seed(seed)
    with torch.device("cpu"):  # whose random numbers are PyTorch's
        model = build(nn)
    model = put(model)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    losses = []
    for _ in range(epochs):
        for xb, yb in loader(data, batch_size=16, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model, losses


LONG = pytest.mark.host("the shorter one does for a GPU")


@pytest.mark.host("losses that are those of PyTorch step by step are learnt from")
@pytest.mark.parametrize("network", NETWORKS)
def test_make_moons_is_learnt(network):
    data, held_out = moons()
    accuracies = []
    for seed in (0, 1, 2):  # three seeds: a ReLU network of three units may die from one of them
        model, losses = train(torch, nn, DataLoader, network, data, seed)
        x, y = next(iter(DataLoader(held_out, batch_size=len(held_out))))
        with torch.no_grad():
            accuracies.append((model(x).argmax(dim=1) == y).float().mean().item())
        assert sum(losses[-5:]) < sum(losses[:5])  # five batches an epoch
    assert max(accuracies) >= 0.85, accuracies


@pytest.mark.parametrize("network", ["relu", pytest.param("sigmoid", marks=LONG)])
def test_make_moons_losses_are_torchs_step_by_step(network):
    real = pytest.importorskip("torch")
    data, _ = moons()

    class RealMoons(Moons):
        def __getitem__(self, i):
            return real.tensor(self.features[i], dtype=real.float32), self.labels[i]

    _, ours = train(torch, nn, DataLoader, network, data, 0)
    theirs_data = RealMoons(data.features, data.labels)
    _, theirs = train(real, real.nn, real.utils.data.DataLoader, network, theirs_data, 0)
    assert len(ours) == len(theirs)
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    assert worst < 1e-4, f"losses part by {worst} (first ten: {ours[:10]} and {theirs[:10]})"
