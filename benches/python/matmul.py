"""Matrix products in the shapes that networks meet, forward and backward."""

import numpy as np
from limits import computed, moved
from paired import Ratio, Result, against_better, compare, main, optional
from programs import MODULES

# name, shape of a, shape of b, whether a and b are transposed views of what is stored
CASES = [
    ("64³", (64, 64), (64, 64), "NN"),
    *((f"{n}³", (n, n), (n, n), layout) for n in (512, 1024, 2048) for layout in ("NN", "NT", "TN")),
    ("64×784×128", (64, 784), (784, 128), "NN"),
    ("784×64×128", (784, 64), (64, 128), "TN"),
    ("256×512×512", (256, 512), (512, 512), "NN"),
    ("8192×64×64", (8192, 64), (64, 64), "NN"),
    ("matrix by vector, 4096", (4096, 4096), (4096,), "NN"),
    ("matrix by vector, 4096", (4096, 4096), (4096,), "TN"),
    *(("96 times 128×128×32", (96, 128, 128), (96, 128, 32), layout) for layout in ("NN", "NT", "TN")),
]
PRODUCT, STREAM = 1.05, 1.0  # the bars of products, and of what reads each element once or is many small ones


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
        contenders = {key: forward(m, a, b, layout) for key, m in MODULES.items()}
        contenders["jax"] = in_jax(a, b, layout)
        bar = STREAM if "vector" in name or "times" in name else None if name == "64³" else PRODUCT
        product = 2 * np.prod(left) * (right[-1] if len(right) > 1 else 1)
        result = against_better(f"{name} {layout}", contenders, bar, rounds=9 if max(left) > 1024 else 15)
        computed(result, product)
        if "vector" in name:
            moved(result, a, b, contenders["wengert"]())
        report.add(result)
    medians = [
        r.ratios["wengert"].median for r in report.results if r.bar == PRODUCT and "wengert" in r.ratios
    ]
    if medians:
        middle = Ratio(*[float(np.median(medians))] * 3)
        report.add(Result("median of the products", {}, {"wengert": middle}, "the better", 1.0))
    for size in (64, 512):
        a, b = (random.standard_normal((size, size)).astype(np.float32) for _ in range(2))
        contenders = {k: training(m, a, b) for k, m in MODULES.items()}
        result = compare(f"{size}³, forward and backward", contenders, rounds=21)
        report.add(computed(result, 3 * 2 * size**3))  # the product, and one for each gradient


if __name__ == "__main__":
    main("Matrix products", run)
