"""Attention that drops weights: torch's draws, kept as no more than where they begin."""

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

attention = wg.nn.functional.scaled_dot_product_attention
pytestmark = pytest.mark.devices(factories=True)
as_torch_draws = pytest.mark.host("each device draws its own random numbers")

SIZES = {
    "small": ((), 5, 6),
    "heads": ((2, 3), 5, 6),
    # More queries than a stream of draws is for, more keys than a tile has, and neither a multiple.
    "beyond a tile": ((2, 3), 130, 300),
    "one entry": ((1,), 257, 257),
}
OPTIONS = {
    "plain": {"dropout_p": 0.1},
    "much": {"dropout_p": 0.9},
    "causal": {"dropout_p": 0.3, "is_causal": True},
    "masked": {"dropout_p": 0.3, "attn_mask": True},
}


def operands(lib, size, dtype="float32", grad=True):
    batch, queries, keys = SIZES[size]
    shapes = [(*batch, queries, 4), (*batch, keys, 4), (*batch, keys, 3)]
    return [data(lib, *shape, seed=i, dtype=dtype, grad=grad) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@as_torch_draws
def test_values_and_gradients(size, options, dtype):
    def program(lib):
        q, k, v = operands(lib, size, dtype)
        named = dict(OPTIONS[options])
        if "attn_mask" in named:
            # A query that sees no key, and others some.
            seen = data(lib, q.shape[-2], k.shape[-2], seed=9) > -0.5
            seen[2] = False
            named["attn_mask"] = seen
        lib.manual_seed(3)
        lib.rand(1)
        out = lib.nn.functional.scaled_dot_product_attention(q, k, v, **named)
        after = lib.rand(3)
        (out * data(lib, *out.shape, seed=5, dtype=dtype)).sum().backward()
        return [out, after, q.grad, k.grad, v.grad]

    both(program, 2e-5 if dtype == "float32" else 1e-9)


@as_torch_draws
def test_shared_leading_dims_and_strides():
    def program(lib):
        q, k, v = data(lib, 2, 5, 1, 4), data(lib, 2, 6, 3, 4, seed=1), data(lib, 2, 6, 3, 4, seed=2)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        lib.manual_seed(3)
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.5)

    both(program)


@as_torch_draws
def test_gradients_of_a_mask_and_of_gradients():
    def program(lib):
        tensors = operands(lib, "heads", "float64")
        tensors.append(data(lib, 5, 6, seed=9, dtype="float64", grad=True))
        lib.manual_seed(3)
        out = lib.nn.functional.scaled_dot_product_attention(*tensors, dropout_p=0.4)
        first = lib.autograd.grad(out.square().sum(), tensors, create_graph=True)
        return [*first, *lib.autograd.grad(sum(g.square().sum() for g in first), tensors)]

    both(program, 1e-9)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@as_torch_draws
def test_half_precision(dtype):
    def program(lib):
        q, k, v = (x.to(getattr(lib, dtype)) for x in operands(lib, "heads", grad=False))
        lib.manual_seed(3)
        out = lib.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.5)
        assert out.dtype == q.dtype
        return out.float()

    both(program, 3e-3 if dtype == "float16" else 3e-2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@as_torch_draws
def test_what_is_not_finite(bad):
    def program(lib):
        q, k, v = operands(lib, "small", grad=False)
        q[1, 0] = bad
        lib.manual_seed(3)
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.5)

    both(program)


@pytest.mark.parametrize(
    "shapes", [((0, 4), (6, 4)), ((5, 4), (0, 4)), ((0, 5, 4), (0, 6, 4)), ((5, 0), (6, 0))]
)
def test_nothing(shapes):
    def program(lib):
        q, k = (data(lib, *s, seed=i, grad=True) for i, s in enumerate(shapes))
        out = lib.nn.functional.scaled_dot_product_attention(q, k, k, dropout_p=0.5)
        out.sum().backward()
        return [out, q.grad, k.grad]

    both(program)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=str)
def test_what_is_dropped_is_a_share_of_the_weights(options):
    keep = 0.75
    q, k, v = (wg.randn(2, 40, 8, requires_grad=True) for _ in range(3))
    weights = attention(q, k, wg.eye(40).expand(2, 40, 40), **options)
    wg.manual_seed(3)
    kept = attention(q, k, wg.eye(40).expand(2, 40, 40), dropout_p=1 - keep, **options).detach()
    factors = wg.where(weights == 0, 0.0, kept / weights).detach()
    assert wg.allclose(factors, wg.where(kept == 0, 0.0, 1 / keep), atol=1e-5)
    assert abs((kept != 0).float().mean() / (weights != 0).float().mean() - keep) < 0.05

    # The same seed drops the same weights, and gradients are those of the definition.
    wg.manual_seed(3)
    out = attention(q, k, v, dropout_p=1 - keep, **options)
    wanted = (weights * factors) @ v
    assert wg.allclose(out, wanted, atol=1e-5)
    slopes = wg.randn(2, 40, 8)
    ours = wg.autograd.grad((out * slopes).sum(), (q, k, v))
    theirs = wg.autograd.grad((wanted * slopes).sum(), (q, k, v))
    assert all(wg.allclose(a, b, atol=1e-4) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("size", ["heads", "beyond a tile"])
@pytest.mark.parametrize("options", OPTIONS)
def test_the_definition_drops_what_the_kernels_drop(size, options):
    tensors = operands(wg, size)
    named = dict(OPTIONS[options])
    if "attn_mask" in named:
        named["attn_mask"] = data(wg, *(x.shape[-2] for x in tensors[:2]), seed=9) > -0.5
    wg.manual_seed(3)
    out = attention(*tensors, **named)
    slopes = data(wg, *out.shape, seed=5)
    first = wg.autograd.grad(out, tensors, slopes, retain_graph=True)
    # Gradients that will have gradients are computed by all weights at once.
    second = wg.autograd.grad(out, tensors, slopes, create_graph=True)
    assert all(wg.allclose(a, b, atol=1e-5) for a, b in zip(first, second, strict=True))


@as_torch_draws
def test_threads_draw_what_one_draws():
    q, k, v = operands(wg, "beyond a tile")
    found, threads = [], wg.get_num_threads()
    try:
        for count in (1, 2):
            wg.set_num_threads(count)
            wg.manual_seed(3)
            out = attention(q, k, v, dropout_p=0.5)
            found.append([out, *wg.autograd.grad(out.sum(), (q, k, v))])
    finally:
        wg.set_num_threads(threads)
    assert all(wg.equal(a, b) for a, b in zip(*found, strict=True))


def test_memory_grows_with_the_length_alone():
    q = wg.randn(1, 2560, 8, requires_grad=True)
    before = wg.debug.live()["value_bytes"]
    out = attention(q, q, q, dropout_p=0.1)
    # The result, a number a query, and a state of the generator for each 128; one bit a weight would be 0.8 MiB.
    assert wg.debug.live()["value_bytes"] - before < 8 * 2560 * (8 + 1) + 20 * 2500 + 1000
    out.sum().backward()
    assert q.grad.isfinite().all()


@pytest.mark.parametrize("p", [1.5, -0.1, float("nan")])
def test_refusals(p):
    x = wg.ones(3, 4)
    state = wg.get_rng_state()
    with pytest.raises(RuntimeError, match="dropout probability has to be between 0 and 1"):
        attention(x, x, x, dropout_p=p)
    with pytest.raises(RuntimeError, match="do not fit one another|size of tensor|broadcast"):
        attention(x, wg.ones(3, 5), x, dropout_p=0.5)
    with pytest.raises(RuntimeError):
        attention(x, x, x, wg.zeros(7, 7), dropout_p=0.5)
    assert wg.equal(wg.get_rng_state(), state)
