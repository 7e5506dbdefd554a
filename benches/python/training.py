"""Whole training steps, from networks of a dozen numbers to a small convolutional one."""

import itertools

import numpy as np
from paired import compare, main, optional
from programs import MODULES, each, mlp_step


def convolutional_step(m, batch=16, device="cpu"):
    """LeNet-like over images of 28×28, SGD with momentum."""
    nn = m.nn
    m.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 10),
    ).to(device)
    optimizer = m.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    random = np.random.default_rng(0)
    x = m.tensor(random.standard_normal((batch, 1, 28, 28)).astype(np.float32)).to(device)
    target = m.tensor(random.integers(0, 10, batch)).to(device)

    def step():
        optimizer.zero_grad()
        criterion(model(x), target).backward()
        optimizer.step()

    return step


def descent(m):
    """A gradient step written by hand, as the lectures do: x² + e^{-x}."""
    x = m.tensor(2.0, requires_grad=True)

    def step():
        y = x**2 + m.exp(-x)
        y.backward()
        x.data = x.data - 0.01 * x.grad
        x.grad.zero_()

    return step


def recurrence(m, steps=200):
    """h = tanh(h w + x) over a sequence, with the backward pass."""
    random = np.random.default_rng(0)
    w = m.tensor((random.standard_normal((16, 16)) / 4).astype(np.float32), requires_grad=True)
    x = m.tensor(random.standard_normal((steps, 16)).astype(np.float32))
    start = m.zeros(16)

    def run():
        w.grad = None
        h = start
        for t in range(steps):
            h = m.tanh(h @ w + x[t])
        h.sum().backward()

    return run


def encoder(m, batch=8, length=128, device="cpu"):
    """A transformer's encoder layer, 256 wide with 8 heads, forward and backward."""
    m.manual_seed(0)
    layer = m.nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True).to(device)
    random = np.random.default_rng(0)
    x, g = (
        m.tensor(random.standard_normal((batch, length, 256)).astype(np.float32), device=device)
        for _ in range(2)
    )
    x.requires_grad_()

    def run():
        x.grad = None
        layer.zero_grad()
        layer(x).backward(g)

    return run


def lstm(m, batch=32, length=64):
    """An LSTM from 128 to 256, forward and backward."""
    m.manual_seed(0)
    layer = m.nn.LSTM(128, 256)
    random = np.random.default_rng(0)
    x = m.tensor(random.standard_normal((length, batch, 128)).astype(np.float32), requires_grad=True)
    g = m.tensor(random.standard_normal((length, batch, 256)).astype(np.float32))

    def run():
        x.grad = None
        layer.zero_grad()
        layer(x)[0].backward(g)

    return run


# title, program, the bar of issue 5 against torch
STEPS = {
    "784-128-10, batch 64, SGD": (lambda m: mlp_step(m, (784, 128, 10), 64, optimizer="SGD"), 0.5),
    "784-512-512-10, batch 256, Adam": (lambda m: mlp_step(m, (784, 512, 512, 10), 256), 0.85),
    "transformer encoder layer 256/8/1024 on 8×128": (encoder, 0.7),
    "LSTM 128→256, length 64, batch 32": (lstm, 0.7),
}


def jax_step(sizes, batch, lr=0.1):
    """The perceptron's step compiled whole by jax, with Adam written out; None without jax."""
    jax = optional("jax")
    if jax is None:
        return None
    jnp = jax.numpy
    random = np.random.default_rng(0)
    weights = [
        (jnp.asarray(random.standard_normal((a, b)) / np.sqrt(a), jnp.float32), jnp.zeros(b))
        for a, b in itertools.pairwise(sizes)
    ]
    x = jnp.asarray(random.standard_normal((batch, sizes[0])), jnp.float32)
    target = jnp.asarray(random.integers(0, sizes[-1], batch))

    def loss(weights):
        h = x
        for w, b in weights[:-1]:
            h = jax.nn.relu(h @ w + b)
        logits = h @ weights[-1][0] + weights[-1][1]
        return -jax.nn.log_softmax(logits)[jnp.arange(batch), target].mean()

    @jax.jit
    def step(weights, first, second, count):
        grads = jax.grad(loss)(weights)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)

        def update(w, m, v):
            return w - lr * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)

        return jax.tree.map(update, weights, first, second), first, second, count + 1

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [weights, zeros, zeros, 1.0]

    def run():
        state[:] = step(*state)
        jax.block_until_ready(state[0])

    return run


def run(report):
    for title, (make, bar) in STEPS.items():
        report.add(compare(title, each(make), bar=bar, rounds=15, by_interval=True))
    for sizes, batch in (
        ((2, 3, 2, 2), 16),
        ((2, 10, 2), 16),
        ((512, 512, 512, 10), 256),
    ):
        contenders = {name: mlp_step(m, sizes, batch) for name, m in MODULES.items()}
        contenders["jax"] = jax_step(sizes, batch)
        report.add(compare(f"perceptron {'-'.join(map(str, sizes))}, batch {batch}", contenders, rounds=21))
    for title, make in (
        ("convolutional network, batch 16", convolutional_step),
        ("hand-written descent step", descent),
        ("recurrence of 200 steps", recurrence),
    ):
        report.add(compare(title, each(make), rounds=21))


if __name__ == "__main__":
    main("Training steps", run)
