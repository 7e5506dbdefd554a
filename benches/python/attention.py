"""Attention over short and long sequences, forward and backward."""

import numpy as np
from paired import against_better, compare, main
from programs import each, jitted


def attention(m, length, causal, train, heads=8, width=32):
    random = np.random.default_rng(0)
    shape = (1, heads, length, width)
    q, k, v = (
        m.tensor(random.standard_normal(shape).astype(np.float32), requires_grad=train) for _ in range(3)
    )
    g = m.tensor(random.standard_normal(shape).astype(np.float32))

    def run():
        out = m.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        if train:
            q.grad = k.grad = v.grad = None
            out.backward(g)

    return run


def trained_in_jax(length, heads=8, width=32):
    """The same by products and a softmax, which jax compiles together."""

    def make(jax):
        def attend(q, k, v):
            return jax.nn.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(width)) @ v

        def step(q, k, v, g):
            out, pull = jax.vjp(attend, q, k, v)
            return out, pull(g)

        return step

    random = np.random.default_rng(0)
    return jitted(
        make, *(random.standard_normal((1, heads, length, width)).astype(np.float32) for _ in range(4))
    )


def run(report):
    for length, rounds in ((128, 31), (2048, 7)):
        for causal in (False, True):
            for train in (False, True):
                title = f"8 heads of 32, length {length}" + ", causal" * causal + ", and backward" * train
                calls = each(lambda m, n=length, c=causal, t=train: attention(m, n, c, t))
                if train and not causal:
                    calls["jax"] = trained_in_jax(length)
                    report.add(against_better(title, calls, 0.8, rounds=rounds))
                else:
                    report.add(compare(title, calls, rounds=rounds))


if __name__ == "__main__":
    main("Attention", run)
