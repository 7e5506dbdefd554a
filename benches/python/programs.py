"""Programs that several benchmarks run, written once for every library with PyTorch's interface."""

import itertools
import os

import numpy as np
from paired import optional

# WENGERT_BENCH_AS names another module to stand in for wengert, to try the benchmarks themselves.
MODULES = {"wengert": __import__(os.environ.get("WENGERT_BENCH_AS", "wengert"))}
if optional("torch") is not None:
    MODULES["torch"] = optional("torch")


def each(make):
    """{name: make(module)} for wengert and torch: the same program, each with its own inputs."""
    return {name: make(m) for name, m in MODULES.items()}


def jitted(make, *arrays):
    """A call of the function `make(jax)` compiled by jax, on these arrays; None without jax."""
    jax = optional("jax")
    if jax is None:
        return None
    compiled, inputs = jax.jit(make(jax)), [jax.numpy.asarray(a) for a in arrays]
    return lambda: jax.block_until_ready(compiled(*inputs))


def moons(count=100, seed=0):
    """Two half moons like sklearn's, without needing it: points (count, 2) f32 and labels (count,) i64."""
    angle = np.linspace(0, np.pi, count // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.concatenate([upper, lower]).astype(np.float32)
    labels = np.repeat(np.arange(2), count // 2)
    order = np.random.default_rng(seed).permutation(len(points))
    return points[order], labels[order]


POINTS = 96


def Moons(m):
    """The lectures' dataset class over `m`: tensor points, labels that are numpy integers."""

    class Dataset(m.utils.data.Dataset):
        def __init__(self):
            points, self.labels = moons(POINTS)
            self.points = m.tensor(points)

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, index):
            return self.points[index], self.labels[index]

    return Dataset()


def mlp_step(m, sizes=(2, 3, 2, 2), batch=16, lr=0.1, device="cpu", optimizer="Adam"):
    """One training step of a perceptron: zero_grad, forward, cross-entropy, backward, the optimizer's step."""
    nn = m.nn
    m.manual_seed(0)
    layers = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).to(device)
    optimizer = getattr(m.optim, optimizer)(model.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss()
    random = np.random.default_rng(0)
    x = m.tensor(random.standard_normal((batch, sizes[0])).astype(np.float32)).to(device)
    target = m.tensor(random.integers(0, sizes[-1], batch)).to(device)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), target)
        loss.backward()
        optimizer.step()

    return step
