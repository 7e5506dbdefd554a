"""Attention over short and long sequences, forward and backward."""

import numpy as np
from paired import compare, main
from programs import MODULES


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


def run(report):
    for length, rounds in ((128, 31), (2048, 7)):
        for causal in (False, True):
            for train in (False, True):
                title = f"8 heads of 32, length {length}" + ", causal" * causal + ", and backward" * train
                contenders = {key: attention(m, length, causal, train) for key, m in MODULES.items()}
                report.add(compare(title, contenders, rounds=rounds))


if __name__ == "__main__":
    main("Attention", run)
