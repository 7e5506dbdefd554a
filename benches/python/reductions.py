"""Reductions, scans and the fused operations over rows, of 4000×1000 f32."""

import numpy as np
from limits import moved
from paired import against_better, compare, main
from programs import MODULES, each, jitted

ROWS, COLUMNS = 4000, 1000
AXES = {"all": None, "rows": 1, "columns": 0}


def reduction(m, name, axis, x):
    f, t = getattr(m, {"max": "amax"}.get(name, name)), m.tensor(x)
    return (lambda: f(t)) if axis is None else (lambda: f(t, axis))


def in_jax(name, axis):
    extra = {"ddof": 1} if name == "var" else {}
    return lambda jax: lambda x: getattr(jax.numpy, name)(x, axis=axis, **extra)


def normalised(jax, x, weight, bias):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * weight + bias


def row_operations(m, x, weight, bias, target):
    """{name: (function of no arguments, its differentiable inputs)}"""
    f = m.nn.functional
    t, w, b = (m.tensor(v, requires_grad=True) for v in (x, weight, bias))
    labels = m.tensor(target)
    return {
        "softmax": (lambda: f.softmax(t, 1), (t,)),
        "log_softmax": (lambda: f.log_softmax(t, 1), (t,)),
        "layer_norm": (lambda: f.layer_norm(t, (COLUMNS,), w, b), (t, w, b)),
        "cross_entropy": (lambda: f.cross_entropy(t, labels), (t,)),
    }


def norms(m, x, weight, image):
    """{name: (function of no arguments, its differentiable inputs)}"""
    f = m.nn.functional
    t, w, pixels = (m.tensor(v, requires_grad=True) for v in (x, weight, image))
    scale, shift = (m.ones(image.shape[1], requires_grad=True) for _ in range(2))
    channels = (pixels, scale, shift)
    return {
        "rms_norm": (lambda: f.rms_norm(t, (COLUMNS,), w), (t, w)),
        "batch_norm": (lambda: f.batch_norm(pixels, None, None, scale, shift, True), channels),
        "group_norm": (lambda: f.group_norm(pixels, 8, scale, shift), channels),
        "dropout": (lambda: f.dropout(t, 0.1), (t,)),
        "gelu": (lambda: f.gelu(t), (t,)),
        "silu": (lambda: f.silu(t), (t,)),
    }


def trained(call, inputs):
    """Forward and backward; the gradients are read by nobody."""
    g = call().detach() * 0 + 1

    def run():
        for t in inputs:
            t.grad = None
        call().backward(g)

    return run


def untaped(m, call):
    def run():
        with m.no_grad():
            call()

    return run


def trained_in_jax(name):
    def make(jax):
        def cross_entropy(x, target):
            return -jax.nn.log_softmax(x)[jax.numpy.arange(ROWS), target].mean()

        forms = {
            "softmax": (lambda x, w, b, t: jax.nn.softmax(x), (0,)),
            "log_softmax": (lambda x, w, b, t: jax.nn.log_softmax(x), (0,)),
            "layer_norm": (lambda x, w, b, t: normalised(jax, x, w, b), (0, 1, 2)),
            "cross_entropy": (lambda x, w, b, t: cross_entropy(x, t), (0,)),
        }
        form, places = forms[name]

        def step(g, *inputs):
            varied = tuple(inputs[k] for k in places)

            def of(*values):
                full = list(inputs)
                for k, v in zip(places, values, strict=True):
                    full[k] = v
                return form(*full)

            out, pull = jax.vjp(of, *varied)
            return out, pull(g)

        return step

    return make


def run(report):
    random = np.random.default_rng(0)
    x = random.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    for name in ("sum", "max", "mean", "var"):
        for title, axis in AXES.items():
            calls = each(lambda m, name=name, axis=axis: reduction(m, name, axis, x))
            calls["jax"] = jitted(in_jax(name, axis), x)
            result = against_better(f"{name} of {title}", calls, 1.0)
            report.add(moved(result, x, calls["wengert"]()))
    for name, axis in (("argmax", 1), ("argmax", 0), ("cumsum", 1), ("cumsum", 0)):
        calls = each(lambda m, name=name, axis=axis: reduction(m, name, axis, x))
        calls["jax"] = jitted(in_jax(name, axis), x)
        result = against_better(f"{name} along dim {axis}", calls, 1.0)
        report.add(moved(result, x, calls["wengert"]()))

    weight, bias = (random.standard_normal(COLUMNS).astype(np.float32) for _ in range(2))
    arrays = (x, weight, bias, random.integers(0, COLUMNS, ROWS))
    for name in ("softmax", "log_softmax", "layer_norm", "cross_entropy"):
        calls = each(lambda m, name=name: trained(*row_operations(m, *arrays)[name]))
        g = np.float32(1) if name == "cross_entropy" else np.ones_like(x)
        calls["jax"] = jitted(trained_in_jax(name), g, *arrays)
        call, inputs = row_operations(MODULES["wengert"], *arrays)[name]
        passed = (*inputs, call())
        result = against_better(f"{name}, forward and backward", calls, 0.8)
        report.add(moved(result, *passed, *passed))  # each with its gradient
        calls = each(lambda m, name=name: untaped(m, row_operations(m, *arrays)[name][0]))
        report.add(moved(compare(f"{name}, forward", calls, rounds=15), *passed))
    image = random.standard_normal((16, 64, 28, 28)).astype(np.float32)
    sizes = {"batch_norm": ", 16×64×28×28", "group_norm": ", 8 groups, 16×64×28×28"}
    for name, (call, inputs) in norms(MODULES["wengert"], x, weight, image).items():
        passed, title = (*inputs, call()), name + sizes.get(name, "")
        calls = each(lambda m, name=name: trained(*norms(m, x, weight, image)[name]))
        report.add(moved(compare(f"{title}, forward and backward", calls, rounds=15), *passed, *passed))
        calls = each(lambda m, name=name: untaped(m, norms(m, x, weight, image)[name][0]))
        report.add(moved(compare(f"{title}, forward", calls, rounds=15), *passed))
    calls = each(lambda m: (lambda t: lambda: t.sort(1))(m.tensor(x)))
    result = compare("sort of rows", calls | {"numpy": lambda: np.sort(x, 1)}, rounds=7)
    report.add(moved(result, x, *calls["wengert"]()))


if __name__ == "__main__":
    main("Reductions and rows", run)
