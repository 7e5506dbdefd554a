"""Rows over a million elements, with strides, broadcasts and dtypes; reductions and softmax."""

import numpy as np
from paired import compare, main, optional
from programs import MODULES

COUNT = 1 << 20
UNARY = ["exp", "log", "tanh", "sigmoid", "sin", "relu", "sqrt", "erf"]
NUMPY = {"exp", "log", "tanh", "sin", "sqrt"}


def tensors(make):
    """{module name: function}, each with its own inputs."""
    return {name: make(m) for name, m in MODULES.items()}


def unary(m, name, x):
    f, t = getattr(m, name, None) or getattr(m.special, name), m.tensor(x)
    return lambda: f(t)


def taped(m, name, x):
    f, t, g = getattr(m, name), m.tensor(x).requires_grad_(), m.tensor(np.ones_like(x))

    def run():
        t.grad = None
        f(t).backward(g)

    return run


def in_jax(name, x):
    jax = optional("jax")
    if jax is None:
        return None
    homes = (jax.numpy, jax.nn, jax.scipy.special)
    f = jax.jit(next(getattr(home, name) for home in homes if hasattr(home, name)))
    x = jax.numpy.asarray(x)
    return lambda: f(x).block_until_ready()


def run(report):
    random = np.random.default_rng(0)
    x = random.uniform(0.1, 4.0, COUNT).astype(np.float32)
    for name in UNARY:
        contenders = tensors(lambda m, name=name: unary(m, name, x))
        if name in NUMPY:
            contenders["numpy"] = lambda f=getattr(np, name): f(x)
        report.add(compare(f"{name}, 1M f32", contenders | {"jax": in_jax(name, x)}, rounds=21))
    for name in ("tanh", "exp", "relu"):
        calls = tensors(lambda m, name=name: taped(m, name, x))
        report.add(compare(f"{name}, 1M f32, forward and backward", calls, rounds=21))

    matrix = x.reshape(1024, 1024)
    pairs = {
        "add, contiguous": (matrix, matrix),
        "add, row broadcast": (matrix, matrix[0]),
        "add, column broadcast": (matrix, matrix[:, :1].copy()),
        "add, f16 + f32": (matrix.astype(np.float16), matrix),
        "add, i64 + f32": (matrix.astype(np.int64), matrix),
    }
    for title, (a, b) in pairs.items():
        contenders = tensors(lambda m, a=a, b=b: (lambda s, t: lambda: s + t)(m.tensor(a), m.tensor(b)))
        report.add(compare(title, contenders | {"numpy": lambda a=a, b=b: a + b}, rounds=21))
    contenders = tensors(lambda m: (lambda s, t: lambda: s.T + t)(m.tensor(matrix), m.tensor(matrix)))
    report.add(
        compare("add, transposed + contiguous", contenders | {"numpy": lambda: matrix.T + matrix}, rounds=21)
    )

    folds = {
        "sum": (lambda t: t.sum(), lambda: matrix.sum()),
        "sum of rows": (lambda t: t.sum(1), lambda: matrix.sum(1)),
        "sum of columns": (lambda t: t.sum(0), lambda: matrix.sum(0)),
        "max of rows": (lambda t: t.amax(1), lambda: matrix.max(1)),
        "variance of rows": (lambda t: t.var(1), lambda: matrix.var(1, ddof=1)),
        "largest place": (lambda t: t.argmax(), lambda: matrix.argmax()),
        "transposed copy": (lambda t: t.T.contiguous(), lambda: np.ascontiguousarray(matrix.T)),
        "to f16": (lambda t: t.half(), lambda: matrix.astype(np.float16)),
        "in-place add": (lambda t: t.add_(1.0), None),
        "softmax of rows": (lambda t: t.softmax(1), None),
        "log_softmax of rows": (lambda t: t.log_softmax(1), None),
        "sort of rows": (lambda t: t.sort(1), lambda: np.sort(matrix, 1)),
    }
    for title, (fold, rival) in folds.items():
        calls = tensors(lambda m, fold=fold: (lambda t: lambda: fold(t))(m.tensor(matrix)))
        report.add(compare(f"{title}, 1024×1024 f32", calls | {"numpy": rival}, rounds=21))


if __name__ == "__main__":
    main("Elementwise and reductions", run)
