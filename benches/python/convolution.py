"""Convolutions of common shapes, forward and backward; pooling."""

import numpy as np
from limits import computed
from paired import against_better, compare, main
from programs import each, jitted

# title, input, weight, arguments
CASES = [
    ("32→64, 3×3, on 16×32×28×28", (16, 32, 28, 28), (64, 32, 3, 3), {"padding": 1}),
    ("3→64, 7×7 by 2, on 8×3×224×224", (8, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ("depthwise 64, 3×3, on 16×64×28×28", (16, 64, 28, 28), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
]


def arrays(shape, kernel, options):
    random = np.random.default_rng(0)
    x = random.standard_normal(shape).astype(np.float32)
    w = (random.standard_normal(kernel) / np.sqrt(np.prod(kernel[1:]))).astype(np.float32)
    stride, padding = options.get("stride", 1), options["padding"]
    sides = [(n + 2 * padding - k) // stride + 1 for n, k in zip(shape[2:], kernel[2:], strict=True)]
    return x, w, random.standard_normal((shape[0], kernel[0], *sides)).astype(np.float32)


def trained(m, x, w, g, options):
    t, weight, gradient = m.tensor(x, requires_grad=True), m.tensor(w, requires_grad=True), m.tensor(g)

    def run():
        t.grad = weight.grad = None
        m.nn.functional.conv2d(t, weight, **options).backward(gradient)

    return run


def forward(m, x, w, options):
    t, weight = m.tensor(x), m.tensor(w)
    return lambda: m.nn.functional.conv2d(t, weight, **options)


def trained_in_jax(options):
    stride, padding = options.get("stride", 1), options["padding"]

    def make(jax):
        def convolved(x, w):
            sides = {"window_strides": (stride, stride), "padding": [(padding, padding)] * 2}
            return jax.lax.conv_general_dilated(x, w, feature_group_count=options.get("groups", 1), **sides)

        def step(x, w, g):
            out, pull = jax.vjp(convolved, x, w)
            return out, pull(g)

        return step

    return make


def run(report):
    for title, shape, kernel, options in CASES:
        x, w, g = arrays(shape, kernel, options)
        calls = each(lambda m, a=(x, w, g, options): trained(m, *a))
        calls["jax"] = jitted(trained_in_jax(options), x, w, g)
        operations = 2 * g.size * np.prod(kernel[1:])  # as many again for each of the two gradients
        result = against_better(f"{title}, forward and backward", calls, 1.0, rounds=9)
        report.add(computed(result, 3 * operations))
        result = compare(f"{title}, forward", each(lambda m, a=(x, w, options): forward(m, *a)), rounds=9)
        report.add(computed(result, operations))
    x = arrays(*CASES[0][1:])[0]
    for name in ("max_pool2d", "avg_pool2d"):
        calls = each(
            lambda m, name=name: (lambda f, t: lambda: f(t, 2))(getattr(m.nn.functional, name), m.tensor(x))
        )
        report.add(compare(f"{name} by 2 on 16×32×28×28", calls, rounds=9))


if __name__ == "__main__":
    main("Convolution", run)
