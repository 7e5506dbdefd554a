"""Operations that only move elements: transposed and strided copies, cat, gather, index_select, scatter_add."""

import numpy as np
from limits import moved
from paired import against_better, main
from programs import each, jitted


def run(report):
    random = np.random.default_rng(0)
    square = random.standard_normal((4096, 4096)).astype(np.float32)
    x = random.standard_normal((4000, 1000)).astype(np.float32)
    places = random.integers(0, 4000, (4000, 1000))
    rows = random.integers(0, 4000, 8000)

    def barred(title, program, in_jax, *arrays, read=None):
        """`read` is what is read of the arrays, if not all."""
        calls = each(lambda m: (lambda inputs: lambda: program(m, *inputs))([m.tensor(a) for a in arrays]))
        calls["jax"] = jitted(in_jax, *arrays)
        result = against_better(title, calls, 1.0)
        report.add(moved(result, *(arrays if read is None else read), calls["wengert"]()))

    # The barrier keeps jax from leaving a copy out.
    def copied(view):
        return lambda jax: lambda a: jax.numpy.copy(jax.lax.optimization_barrier(view(a)))

    views = {
        "transposed copy": lambda a: a.T,
        "every other column": lambda a: a[:, ::2],
        "every third row": lambda a: a[::3],
        "inner block": lambda a: a[7:-9, 5:-3],
    }
    for title, view in views.items():
        barred(
            f"{title}, 4096²",
            lambda m, a, view=view: view(a).contiguous(),
            copied(view),
            square,
            read=[view(square)],
        )
    for dim in (0, 1):
        barred(
            f"cat along dim {dim}, three of 4000×1000",
            lambda m, a, dim=dim: m.cat([a, a, a], dim),
            lambda jax, dim=dim: lambda a: jax.numpy.concatenate([a, a, a], dim),
            x,
        )
    barred(
        "gather along dim 0, 4000×1000",
        lambda m, a, i: a.gather(0, i),
        lambda jax: lambda a, i: jax.numpy.take_along_axis(a, i, 0),
        x,
        places,
    )
    barred(
        "gather along dim 1, 4000×1000",
        lambda m, a, i: a.gather(1, i),
        lambda jax: lambda a, i: jax.numpy.take_along_axis(a, i, 1),
        x,
        places % 1000,
    )
    barred(
        "index_select, 8000 rows of 1000",
        lambda m, a, i: a.index_select(0, i),
        lambda jax: lambda a, i: jax.numpy.take(a, i, 0),
        x,
        rows,
    )
    barred(
        "scatter_add along dim 0, 4000×1000",
        lambda m, a, i: m.zeros(4000, 1000).scatter_add(0, i, a),
        lambda jax: lambda a, i: jax.numpy.zeros_like(a).at[i, jax.numpy.arange(1000)].add(a),
        x,
        places,
    )
    barred(
        "index_add, 8000 rows of 1000",
        lambda m, a, i: m.zeros(4000, 1000).index_add(0, i, a),
        lambda jax: lambda a, i: jax.numpy.zeros((4000, 1000), a.dtype).at[i].add(a),
        np.concatenate([x, x]),
        rows,
    )


if __name__ == "__main__":
    main("Movement", run)
