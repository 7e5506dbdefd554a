"""Rows of the elementwise table: large and small, over strides, broadcasts and dtypes."""

import numpy as np
from limits import moved
from paired import against_better, compare, main
from programs import each, jitted

LARGE, SMALL = 1 << 22, 1000
BARRED = ["add", "mul", "exp", "log", "tanh", "sigmoid", "gelu", "erf", "sin"]
OTHERS = ["relu", "sqrt"]


def called(m, name, x):
    """A row of that name over `x`, twice where it takes two."""
    homes = (m, m.special, m.nn.functional)
    f, t = next(getattr(home, name) for home in homes if hasattr(home, name)), m.tensor(x)
    if name in ("add", "mul"):
        return lambda: f(t, t)
    return lambda: f(t)


def added(x):
    """wengert's sum of two arrays."""
    import wengert as wg

    t, s = wg.tensor(x), wg.tensor(x)
    return lambda: wg.add(t, s)


def in_jax(name):
    """The same in jax, for `jitted`."""

    def make(jax):
        if name == "gelu":
            return lambda x: jax.nn.gelu(x, approximate=False)
        if name in ("add", "mul"):
            return lambda x: x + x if name == "add" else x * x
        homes = (jax.numpy, jax.nn, jax.scipy.special)
        return next(getattr(home, name) for home in homes if hasattr(home, name))

    return make


def taped(m, name, x):
    f, t, g = getattr(m, name), m.tensor(x).requires_grad_(), m.tensor(np.ones_like(x))

    def run():
        t.grad = None
        f(t).backward(g)

    return run


def scaled(m, x, other):
    """Of both operands, of which the other is broadcast."""
    t, s, g = m.tensor(x).requires_grad_(), m.tensor(other).requires_grad_(), m.tensor(np.ones_like(x))

    def run():
        t.grad = s.grad = None
        (t * s).backward(g)

    return run


def run(report):
    random = np.random.default_rng(0)
    large = random.uniform(0.1, 4.0, LARGE).astype(np.float32)
    for name in BARRED + OTHERS:
        calls = each(lambda m, name=name: called(m, name, large))
        calls["jax"] = jitted(in_jax(name), large)
        result = against_better(f"{name}, 4M f32", calls, 1.0 if name in BARRED else None)
        report.add(moved(result, large, calls["wengert"]()))
    exp, double = (each(lambda m, name=name: called(m, name, large))["wengert"] for name in ("exp", "add"))
    add = added(large)
    report.add(
        moved(
            compare("exp against our x + y, 4M", {"wengert": exp, "x + y": add}, "x + y", 1.15), large, exp()
        )
    )
    # Reads one array, as exp does.
    report.add(
        moved(compare("exp against our x + x, 4M", {"wengert": exp, "x + x": double}, "x + x"), large, exp())
    )
    for name in BARRED:
        calls = each(lambda m, name=name: called(m, name, large[:SMALL]))
        report.add(compare(f"{name}, 1,000 f32", calls, bar=0.5, rounds=15, by_interval=True))

    x = large[: 1 << 20]
    for name in ("tanh", "exp", "relu"):
        calls = each(lambda m, name=name: taped(m, name, x))
        report.add(compare(f"{name}, 1M f32, forward and backward", calls, rounds=15))
    matrix = x.reshape(1024, 1024)
    for title, other in (("row", matrix[0]), ("column", matrix[:, :1].copy())):
        calls = each(lambda m, other=other: scaled(m, matrix, other))
        report.add(compare(f"mul by a {title}, 1M, forward and backward", calls, rounds=15))
    pairs = {
        "contiguous": (matrix, matrix),
        "row broadcast": (matrix, matrix[0]),
        "column broadcast": (matrix, matrix[:, :1].copy()),
        "f16 + f32": (matrix.astype(np.float16), matrix),
        "i64 + f32": (matrix.astype(np.int64), matrix),
    }
    for title, (a, b) in pairs.items():
        calls = each(lambda m, a=a, b=b: (lambda s, t: lambda: s + t)(m.tensor(a), m.tensor(b)))
        calls["numpy"] = lambda a=a, b=b: a + b
        report.add(compare(f"add, {title}, 1M", calls, rounds=15))
    calls = each(lambda m: (lambda s, t: lambda: s.T + t)(m.tensor(matrix), m.tensor(matrix)))
    report.add(compare("add, transposed + contiguous, 1M", calls, rounds=15))
    calls = each(lambda m: (lambda t: lambda: t.add_(1.0))(m.tensor(matrix)))
    report.add(compare("in-place add, 1M", calls, rounds=15))
    calls = each(lambda m: (lambda t: lambda: t.half())(m.tensor(matrix)))
    calls["numpy"] = lambda: matrix.astype(np.float16)
    report.add(compare("f32 to f16, 1M", calls, rounds=15))


if __name__ == "__main__":
    main("Elementwise", run)
