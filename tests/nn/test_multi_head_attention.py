"""Multi-head attention, module and function: values, gradients, masks, weights and refusals as torch's."""

import warnings

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=6)

L, S, N, E, H = 4, 5, 3, 8, 2

MASKS = {
    "none": lambda lib: {},
    "numbers": lambda lib: {"attn_mask": data(lib, L, S, seed=5)},
    "bools": lambda lib: {"attn_mask": data(lib, L, S, seed=5) > 1},
    "numbers of heads": lambda lib: {"attn_mask": data(lib, N * H, L, S, seed=5)},
    "padding": lambda lib: {"key_padding_mask": lib.arange(S) >= lib.tensor([[3], [5], [2]])},
    "padding in numbers": lambda lib: {"key_padding_mask": data(lib, N, S, seed=6)},
    "both": lambda lib: {
        "attn_mask": data(lib, L, S, seed=5) > 1,
        "key_padding_mask": lib.arange(S) >= lib.tensor([[3], [5], [2]]),
    },
    "both in numbers": lambda lib: {
        "attn_mask": data(lib, N * H, L, S, seed=5),
        "key_padding_mask": data(lib, N, S, seed=6),
    },
}
KINDS = {
    "plain": {},
    "batch_first": {"batch_first": True},
    "no bias": {"bias": False},
    "further keys": {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    "a learnt key": {"add_bias_kv": True},
    "zeros": {"add_zero_attn": True},
    "widths": {"kdim": 6, "vdim": 5},
}


def made(lib, **kind):
    lib.manual_seed(0)
    return lib.nn.MultiheadAttention(E, H, dtype=lib.float64, **kind)


def inputs(lib, kind, lengths=(L, S, S), batch=N):
    """Query, key and value for a module of that kind, float64."""
    widths = (E, kind.get("kdim", E), kind.get("vdim", E))
    shapes = [(n, batch, w) for n, w in zip(lengths, widths, strict=True)]
    if kind.get("batch_first"):
        shapes = [(b, n, w) for n, b, w in shapes]
    return [data(lib, *s, seed=i, dtype="float64", grad=True) for i, s in enumerate(shapes)]


def double(options):
    return {k: m.double() if m.is_floating_point() else m for k, m in options.items()}


@pytest.fixture(autouse=True)
def twice_differentiable():
    """torch's attention in one operation has no second derivative."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


def outcome(lib, module, tensors, options):
    y, weights = module(*tensors, **options)
    loss = (y * data(lib, *y.shape, seed=9, dtype="float64")).sum()
    if weights is not None:
        loss = loss + (weights * data(lib, *weights.shape, seed=8, dtype="float64")).sum()
    wanted = [*{id(t): t for t in tensors}.values(), *module.parameters()]
    first = lib.autograd.grad(loss, wanted, create_graph=True)
    second = lib.autograd.grad(sum((g * g).sum() for g in first), wanted, allow_unused=True)
    return [y, weights, list(first), [g is None or g for g in second]]


@pytest.mark.parametrize("weights", [None, "mean", "each"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients(kind, mask, weights):
    def program(lib):
        options = double(MASKS[mask](lib))
        options |= {"need_weights": weights is not None, "average_attn_weights": weights != "each"}
        return outcome(lib, made(lib, **KINDS[kind]), inputs(lib, KINDS[kind]), options)

    both(program, 1e-8)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("same", ["all", "key and value", "query and key"])
def test_one_tensor_for_several(same, weights, batch_first):
    def program(lib):
        kind = {"batch_first": batch_first}
        a, b, _ = inputs(lib, kind, (L, L, L))
        tensors = {"all": (a, a, a), "key and value": (a, b, b), "query and key": (a, a, b)}[same]
        return outcome(lib, made(lib, **kind), tensors, {"need_weights": weights})

    both(program, 1e-8)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("mask", [None, "bools", "numbers of heads", "padding"])
@pytest.mark.parametrize("weights", [False, True])
def test_without_a_batch(mask, weights, batch_first):
    def program(lib):
        tensors = [data(lib, n, E, seed=i, dtype="float64", grad=True) for i, n in enumerate((L, S, S))]
        options = {
            None: {},
            "bools": {"attn_mask": data(lib, L, S, seed=5) > 1},
            "numbers of heads": {"attn_mask": data(lib, H, L, S, seed=5, dtype="float64")},
            "padding": {"key_padding_mask": lib.arange(S) > 2},
        }[mask]
        named = {**options, "need_weights": weights, "average_attn_weights": False}
        kind = {"add_bias_kv": True, "add_zero_attn": True, "batch_first": batch_first}
        return outcome(lib, made(lib, **kind), tensors, named)

    both(program, 1e-8)


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_the_hint_that_a_mask_is_causal(weights, padding):
    """Where the hint counts the mask is not read: one that hides nothing tells."""

    def program(lib):
        x = inputs(lib, {}, (L, L, L))[0]
        options = {"attn_mask": lib.zeros(L, L, dtype=lib.float64), "is_causal": True}
        if padding:
            options["key_padding_mask"] = lib.zeros(N, L, dtype=lib.float64)
        y, shares = made(lib)(x, x, x, need_weights=weights, **options)
        without = made(lib)(x, x, x, need_weights=weights)[0]
        return [y, shares, lib.allclose(y, without)]

    ours, _ = both(program, 1e-8)
    assert ours[2] == (weights or padding)


@pytest.mark.parametrize("weights", [False, True])
def test_a_query_that_sees_no_key(weights):
    def program(lib):
        x = inputs(lib, {}, (L, L, L))[0]
        hidden = lib.arange(L).unsqueeze(1).expand(L, L) == 2
        return made(lib)(x, x, x, attn_mask=hidden, need_weights=weights)

    ours, _ = both(program, 1e-8)
    assert bool(ours[0][2].isnan().all()) == weights


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.host("each device draws its own random numbers")
def test_repr_and_initial_state(kind):
    def program(lib):
        lib.manual_seed(0)
        module = lib.nn.MultiheadAttention(E, H, **KINDS[kind])
        names = [n for n, _ in module.named_parameters()]
        return [repr(module), names, dict(module.state_dict()), module.head_dim, module.kdim, module.vdim]

    both(program, 1e-7)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.host("each device draws its own random numbers")
def test_dropout_draws_the_same(weights, batch_first):
    def program(lib):
        lib.manual_seed(0)
        module = lib.nn.MultiheadAttention(E, H, dropout=0.5, batch_first=batch_first)
        x = data(lib, N, L, E)
        y, shares = module(x, x, x, need_weights=weights)
        # The second dropout draws in the order of memory.
        return [y, shares, lib.nn.functional.dropout(y, 0.5), y.is_contiguous(), module.eval()(x, x, x)[0]]

    both(program, 1e-5)


def test_float32():
    def program(lib):
        module = made(lib).float()
        x = data(lib, L, N, E, grad=True)
        y, weights = module(x, x, x)
        (y.sum() + weights.square().sum()).backward()
        return [y, weights, x.grad, [p.grad for p in module.parameters()]]

    both(program, 2e-5)


def test_fixed_keys_and_values():
    def program(lib):
        x = data(lib, L, N, E)
        packed, out = data(lib, 3 * E, E, seed=1), data(lib, E, E, seed=2)
        keys, values = (data(lib, N * H, S, E // H, seed=i, grad=True) for i in (3, 4))
        y, weights = lib.nn.functional.multi_head_attention_forward(
            *(x, x, x, E, H, packed, None, None, None, True, 0.5, out, None, False),
            static_k=keys,
            static_v=values,
        )
        return [y, weights, *lib.autograd.grad(y.square().sum() + weights[..., 0].sum(), (keys, values))]

    both(program)


@pytest.mark.parametrize("lengths", [(0, 5, 5), (4, 0, 0)])
def test_nothing(lengths):
    def program(lib):
        tensors = inputs(lib, {}, lengths)
        y, weights = made(lib)(*tensors)
        y.sum().backward()
        return [y, weights, [t.grad for t in tensors]]

    both(program)


def test_merged_masks():
    def program(lib):
        module, x = made(lib), data(lib, N, L, E)
        one, all_heads, padding = data(lib, L, L), data(lib, N * H, L, L, seed=1), data(lib, N, L, seed=2)
        merge = module.merge_masks
        return [
            merge(*masks, x)
            for masks in ((None, None), (None, padding), (one, None), (one, padding), (all_heads, padding))
        ]

    both(program)


@pytest.mark.host("warnings")
def test_masks_of_two_kinds():
    x, module = wg.zeros(L, N, E), wg.nn.MultiheadAttention(E, H)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        module(x, x, x, key_padding_mask=wg.zeros(N, L, dtype=wg.bool), attn_mask=wg.zeros(L, L))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(x, x, x, key_padding_mask=wg.zeros(N, L), attn_mask=wg.zeros(L, L))


def test_where_torch_keeps_it():
    assert wg.nn.modules.activation.MultiheadAttention is wg.nn.MultiheadAttention


def ask(module, x, *rest, **options):
    return lambda lib: module(lib)(
        x(lib), *[r(lib) for r in rest or (x, x)], **{k: m(lib) for k, m in options.items()}
    )


def plain(lib):
    return lib.nn.MultiheadAttention(E, H)


def x(lib):
    return data(lib, L, N, E)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.nn.MultiheadAttention(0, 1),
        lambda lib: lib.nn.MultiheadAttention(8, 0),
        lambda lib: lib.nn.MultiheadAttention(8, 3),
        ask(plain, lambda lib: data(lib, E)),
        ask(plain, lambda lib: data(lib, 1, L, N, E)),
        ask(plain, lambda lib: data(lib, L, N, E + 1)),
        ask(plain, x, lambda lib: data(lib, L, E), x),
        ask(plain, x, x, lambda lib: data(lib, L, E)),
        ask(plain, x, x, lambda lib: data(lib, S, N, E)),
        ask(plain, x, x, lambda lib: data(lib, L, N, E, dtype="float64")),
        ask(plain, x, attn_mask=lambda lib: data(lib, L, S)),
        ask(plain, x, attn_mask=lambda lib: data(lib, L)),
        ask(plain, x, attn_mask=lambda lib: data(lib, N, L, L)),
        ask(plain, x, attn_mask=lambda lib: lib.zeros(L, L, dtype=lib.int64)),
        ask(plain, x, attn_mask=lambda lib: data(lib, L, L, dtype="float64")),
        ask(plain, x, attn_mask=lambda lib: data(lib, L, L, dtype="float64"), need_weights=lambda lib: False),
        ask(plain, x, key_padding_mask=lambda lib: data(lib, L, L)),
        ask(plain, x, key_padding_mask=lambda lib: data(lib, N, S)),
        ask(plain, x, key_padding_mask=lambda lib: data(lib, L)),
        ask(plain, x, key_padding_mask=lambda lib: lib.zeros(N, L, dtype=lib.int32)),
        ask(plain, x, is_causal=lambda lib: True),
        ask(plain, lambda lib: data(lib, L, E), attn_mask=lambda lib: data(lib, H + 1, L, L)),
        ask(plain, lambda lib: data(lib, L, E), key_padding_mask=lambda lib: data(lib, 1, L)),
        ask(lambda lib: lib.nn.MultiheadAttention(E, H, kdim=6), x),
        ask(lambda lib: lib.nn.MultiheadAttention(E, H, dropout=1.5), x),
    ],
)
def test_refusals(bad):
    ours, theirs = both(bad)
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


@pytest.mark.parametrize(
    "change",
    [
        {"in_proj_weight": None},
        {"use_separate_proj_weight": True},
        {"embed_dim_to_check": 4},
        {"num_heads": 3},
        {"bias_k": (1, 1, E)},
        {"bias_k": (1, 1, E), "bias_v": (1, 1, E), "static_k": (N * H, S, E // H)},
        {"static_k": (N, S, E // H), "static_v": (N * H, S, E // H)},
        {"static_k": (N * H, S, E), "static_v": (N * H, S, E // H)},
    ],
    ids=str,
)
def test_refusals_of_the_function(change):
    def program(lib):
        options = {k: data(lib, *v) if isinstance(v, tuple) else v for k, v in change.items()}
        named = {
            "query": x(lib),
            "key": x(lib),
            "value": x(lib),
            "embed_dim_to_check": E,
            "num_heads": H,
            "in_proj_weight": data(lib, 3 * E, E),
            "in_proj_bias": None,
            "bias_k": None,
            "bias_v": None,
            "add_zero_attn": False,
            "dropout_p": 0.0,
            "out_proj_weight": data(lib, E, E),
            "out_proj_bias": None,
        }
        return lib.nn.functional.multi_head_attention_forward(**{**named, **options})

    ours, theirs = both(program)
    assert isinstance(theirs, AssertionError), "torch accepts this"
    assert "multi_head_attention_forward" in str(ours)
