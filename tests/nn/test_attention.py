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
    ],
)
def test_refusals(bad):
    _, theirs = both(lambda lib: bad(lib.nn.functional, data(lib, 4, 3)))
    assert isinstance(theirs, Exception)
