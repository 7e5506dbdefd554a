"""scaled_dot_product_attention against torch's."""

import pytest
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=5)

SHAPES = {
    "plain": ((5, 4), (6, 4), (6, 3)),
    "heads": ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)),
    "broadcast": ((2, 1, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)),
}
MASKS = {
    "none": lambda lib: None,
    "bools": lambda lib: data(lib, 5, 6, seed=9) > -0.5,
    "a blind query": lambda lib: lib.arange(5).unsqueeze(1).expand(5, 6) != 2,
    "numbers": lambda lib: data(lib, 5, 6, seed=9),
    "one for all": lambda lib: data(lib, 1, 6, seed=9) > -0.5,
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shapes", SHAPES)
def test_values_and_gradients(shapes, mask):
    def program(lib):
        q, k, v = (data(lib, *s, seed=i, dtype="float64", grad=True) for i, s in enumerate(SHAPES[shapes]))
        m = MASKS[mask](lib)
        m = m.double() if m is not None and m.is_floating_point() else m
        out = lib.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=m)
        (out * data(lib, *out.shape, seed=5, dtype="float64")).sum().backward()
        return [out, q.grad, k.grad, v.grad]

    both(program)


@pytest.mark.parametrize(
    "options", [{"is_causal": True}, {"scale": 0.3}, {"is_causal": True, "scale": 2.0}, {"dropout_p": 1.0}]
)
def test_options(options):
    def program(lib):
        q, k, v = (data(lib, *s, seed=i) for i, s in enumerate(SHAPES["heads"]))
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, **options)

    both(program)


def test_a_mask_of_float32_for_other_numbers():
    def program(lib):
        q, k, v = (data(lib, *s, seed=i, dtype="float64") for i, s in enumerate(SHAPES["heads"]))
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, data(lib, 5, 6, seed=9))

    both(program)


def test_grouped_queries():
    def program(lib):
        q, k, v = data(lib, 2, 6, 5, 4), data(lib, 2, 2, 5, 4, seed=1), data(lib, 2, 2, 5, 4, seed=2)
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda F, x: F.scaled_dot_product_attention(x[0], x, x),
        lambda F, x: F.scaled_dot_product_attention(x, x.double(), x),
        lambda F, x: F.scaled_dot_product_attention(x, x, x, x @ x.T, is_causal=True),
        lambda F, x: F.scaled_dot_product_attention(x, x[:, :2], x),
        lambda F, x: F.scaled_dot_product_attention(x, x, "x"),
        lambda F, x: F.scaled_dot_product_attention(x, x, x, (x @ x.T).long()),
        lambda F, x: F.scaled_dot_product_attention(x, x, x, (x @ x.T).double()),
        lambda F, x: F.scaled_dot_product_attention(x, x, x, (x @ x.T).half()),
    ],
)
def test_refusals(bad):
    _, theirs = both(lambda lib: bad(lib.nn.functional, data(lib, 4, 3)))
    assert isinstance(theirs, Exception)


def heads(lib, length, seed):
    """(batch, heads, length, width), standing in memory as (batch, length, heads, width)."""
    return data(lib, 2, length, 3, 8, seed=seed).transpose(1, 2)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": True}], ids=str)
def test_lengths_beyond_a_tile(options):
    def program(lib):
        q, k, v = (heads(lib, n, seed).requires_grad_() for n, seed in ((130, 0), (300, 1), (300, 2)))
        named = dict(options)
        if "attn_mask" in named:
            named["attn_mask"] = data(lib, 2, 1, 130, 300, seed=3) > 0
        out = lib.nn.functional.scaled_dot_product_attention(q, k, v, **named)
        return [out, *lib.autograd.grad((out * heads(lib, 130, 4)).sum(), (q, k, v))]

    both(program)


def test_gradients_of_a_mask_and_of_gradients():
    def program(lib):
        tensors = [data(lib, *s, seed=i, dtype="float64", grad=True) for i, s in enumerate(SHAPES["plain"])]
        tensors.append(data(lib, 5, 6, seed=9, dtype="float64", grad=True))
        out = lib.nn.functional.scaled_dot_product_attention(*tensors)
        first = lib.autograd.grad(out.square().sum(), tensors, create_graph=True)
        return [*first, *lib.autograd.grad(sum(g.square().sum() for g in first), tensors)]

    both(program)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    def program(lib):
        q, k, v = (data(lib, *s, seed=i).to(getattr(lib, dtype)) for i, s in enumerate(SHAPES["heads"]))
        return lib.nn.functional.scaled_dot_product_attention(q, k, v).float().round(decimals=1)

    both(program)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite(bad):
    def program(lib):
        q, k, v = (data(lib, *s, seed=i) for i, s in enumerate(SHAPES["plain"]))
        q[1, 0] = bad
        return lib.nn.functional.scaled_dot_product_attention(q, k, v)

    both(program)


@pytest.mark.parametrize(
    "shapes",
    [((0, 4), (6, 4), (6, 3)), ((5, 4), (0, 4), (0, 3)), ((5, 4), (6, 4), (6, 0)), ((5, 0), (6, 0), (6, 3))],
)
def test_nothing(shapes):
    def program(lib):
        q, k, v = (data(lib, *s, seed=i, grad=True) for i, s in enumerate(shapes))
        out = lib.nn.functional.scaled_dot_product_attention(q, k, v)
        out.sum().backward()
        return [out, q.grad, k.grad, v.grad]

    both(program)


def test_memory_grows_with_the_length_alone():
    import wengert as wg

    q = wg.randn(1, 4096, 8, requires_grad=True)
    before = wg.debug.live()["value_bytes"]
    out = wg.nn.functional.scaled_dot_product_attention(q, q, q)
    # The result, and a number a query; a matrix of weights would be 64 MiB.
    assert wg.debug.live()["value_bytes"] - before < 8 * 4096 * (8 + 1)
    out.sum().backward()
    assert q.grad.isfinite().all()
