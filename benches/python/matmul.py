"""Matrix products in the shapes that networks meet, forward and backward."""

import numpy as np
from paired import compare, main, optional
from programs import MODULES

# name, shape of a, shape of b, whether a and b are transposed views of what is stored
CASES = [
    ("64³", (64, 64), (64, 64), "NN"),
    ("512³", (512, 512), (512, 512), "NN"),
    ("512³", (512, 512), (512, 512), "TN"),
    ("512³", (512, 512), (512, 512), "NT"),
    ("64×784×128", (64, 784), (784, 128), "NN"),
    ("64×784×128", (64, 784), (784, 128), "NT"),
    ("784×64×128", (784, 64), (64, 128), "TN"),
    ("256×512×512", (256, 512), (512, 512), "NT"),
    ("8192×64×64", (8192, 64), (64, 64), "NN"),
    ("matrix by vector, 4096", (4096, 4096), (4096,), "NN"),
    ("96 times 128×32×128", (96, 128, 32), (96, 32, 128), "NT"),
    ("96 times 128×128×32", (96, 128, 128), (96, 128, 32), "NN"),
]


def operand(random, shape, transposed):
    """A matrix of that shape, stored the other way round if `transposed`."""
    stored = (*shape[:-2], shape[-1], shape[-2]) if transposed else shape
    return random.standard_normal(stored).astype(np.float32)


def forward(m, a, b, layout):
    x, y = m.tensor(a), m.tensor(b)
    x = x.transpose(-1, -2) if layout[0] == "T" else x
    y = y.transpose(-1, -2) if layout[1] == "T" else y
    return lambda: x @ y


def training(m, a, b):
    x, y = m.tensor(a).requires_grad_(), m.tensor(b).requires_grad_()
    g = m.tensor(a @ b)

    def run():
        x.grad = y.grad = None
        (x @ y).backward(g)

    return run


def in_jax(a, b, layout):
    jax = optional("jax")
    if jax is None:
        return None
    swap = {"N": lambda v: v, "T": lambda v: v.swapaxes(-1, -2)}
    product = jax.jit(lambda x, y: swap[layout[0]](x) @ swap[layout[1]](y))
    x, y = jax.numpy.asarray(a), jax.numpy.asarray(b)
    return lambda: product(x, y).block_until_ready()


def run(report):
    random = np.random.default_rng(0)
    for name, left, right, layout in CASES:
        a, b = operand(random, left, layout[0] == "T"), operand(random, right, layout[1] == "T")
        x = a.swapaxes(-1, -2) if layout[0] == "T" else a
        y = b.swapaxes(-1, -2) if layout[1] == "T" else b
        contenders = {key: forward(m, a, b, layout) for key, m in MODULES.items()}
        contenders |= {"numpy": lambda x=x, y=y: x @ y, "jax": in_jax(a, b, layout)}
        report.add(compare(f"{name} {layout}", contenders, rounds=21))
    for size in (64, 512):
        a, b = (random.standard_normal((size, size)).astype(np.float32) for _ in range(2))
        report.add(
            compare(
                f"{size}³, forward and backward",
                {k: training(m, a, b) for k, m in MODULES.items()},
                rounds=21,
            )
        )


if __name__ == "__main__":
    main("Matrix products", run)
