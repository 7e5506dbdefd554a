"""Attention over short and long sequences, forward and backward."""

import numpy as np
from limits import computed
from paired import against_better, compare, main
from programs import each, jitted

HEADS, WIDTH = 8, 32


def operations(length, causal, train):
    """Those of the two products, and of four more for the gradients; what is computed anew does not count."""
    pairs = length * (length + 1) // 2 if causal else length * length
    return (6 if train else 2) * 2 * HEADS * WIDTH * pairs


def attention(m, length, causal, train, dropped=0.0):
    random = np.random.default_rng(0)
    shape = (1, HEADS, length, WIDTH)
    q, k, v = (
        m.tensor(random.standard_normal(shape).astype(np.float32), requires_grad=train) for _ in range(3)
    )
    g = m.tensor(random.standard_normal(shape).astype(np.float32))

    def run():
        out = m.nn.functional.scaled_dot_product_attention(q, k, v, None, dropped, causal)
        if train:
            q.grad = k.grad = v.grad = None
            out.backward(g)

    return run


def trained_in_jax(length):
    """The same by products and a softmax, which jax compiles together."""

    def make(jax):
        def attend(q, k, v):
            return jax.nn.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(WIDTH)) @ v

        def step(q, k, v, g):
            out, pull = jax.vjp(attend, q, k, v)
            return out, pull(g)

        return step

    random = np.random.default_rng(0)
    return jitted(
        make, *(random.standard_normal((1, HEADS, length, WIDTH)).astype(np.float32) for _ in range(4))
    )


def run(report):
    for length, rounds in ((128, 31), (2048, 7)):
        for causal in (False, True):
            for train in (False, True):
                title = f"{HEADS} heads of {WIDTH}, length {length}"
                title += ", causal" * causal + ", and backward" * train
                calls = each(lambda m, n=length, c=causal, t=train: attention(m, n, c, t))
                if train and not causal:
                    calls["jax"] = trained_in_jax(length)
                    result = against_better(title, calls, 0.8, rounds=rounds)
                else:
                    result = compare(title, calls, rounds=rounds)
                report.add(computed(result, operations(length, causal, train)))
    for length, rounds in ((128, 31), (1024, 5)):
        title = f"{HEADS} heads of {WIDTH}, length {length}, a tenth dropped, and backward"
        calls = each(lambda m, n=length: attention(m, n, False, True, 0.1))
        report.add(computed(compare(title, calls, rounds=rounds), operations(length, False, True)))


if __name__ == "__main__":
    main("Attention", run)
