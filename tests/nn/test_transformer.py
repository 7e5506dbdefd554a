"""Stacks of transformer layers, their masks and their training: as torch's."""

import copy
import pickle
import warnings

import pytest
import wengert as wg
from nn_compare import both, data, torch

pytestmark = pytest.mark.devices(factories=True, sample=6)
own_numbers = pytest.mark.host("each device draws its own random numbers")

# Lengths of source and target, batch, width, heads.
S, L, N, E, H = 5, 4, 3, 8, 2


@pytest.fixture(autouse=True)
def quiet():
    """torch warns that layers do not suit its nested tensors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="enable_nested_tensor")
        yield


def layer(lib, kind="Encoder", **options):
    made = getattr(lib.nn, f"Transformer{kind}Layer")
    return made(E, H, 16, **{"dropout": 0.0, "dtype": lib.float64, **options})


def batch(lib, length, first, seed=0):
    shape = (N, length, E) if first else (length, N, E)
    return data(lib, *shape, seed=seed, dtype="float64", grad=True)


def mask_maker(lib):
    """The static method, which the stand-in for a device's wengert does not show."""
    return (torch if lib is torch else wg).nn.Transformer.generate_square_subsequent_mask


def causal(lib, size, dtype="float64"):
    return mask_maker(lib)(size, dtype=getattr(lib, dtype))


def padding(lib, length):
    return lib.arange(length) >= lib.tensor([[3], [length], [2]])


def graded(lib, module, tensors, options):
    y = module(*tensors, **options)
    (y * data(lib, *y.shape, seed=9, dtype="float64")).sum().backward()
    return [y, [x.grad for x in tensors], [p.grad for p in module.parameters()]]


ENCODER_MASKS = {
    "none": lambda lib: {},
    "causal, found": lambda lib: {"mask": causal(lib, S)},
    "causal, told": lambda lib: {"mask": causal(lib, S), "is_causal": True},
    "causal, denied": lambda lib: {"mask": causal(lib, S), "is_causal": False},
    "bools": lambda lib: {"mask": causal(lib, S, "bool")},
    "of heads": lambda lib: {"mask": data(lib, N * H, S, S, dtype="float64")},
    "padding": lambda lib: {"src_key_padding_mask": padding(lib, S)},
    "both": lambda lib: {"mask": causal(lib, S, "bool"), "src_key_padding_mask": padding(lib, S)},
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mask", ENCODER_MASKS)
def test_encoder(mask, first):
    def program(lib):
        norm = lib.nn.LayerNorm(E, dtype=lib.float64)
        module = lib.nn.TransformerEncoder(layer(lib, batch_first=first, activation="gelu"), 2, norm)
        return graded(lib, module, [batch(lib, S, first)], ENCODER_MASKS[mask](lib))

    both(program, 1e-9)


DECODER_MASKS = {
    "none": lambda lib: {},
    "causal, found": lambda lib: {"tgt_mask": causal(lib, L)},
    "bools, found": lambda lib: {"tgt_mask": causal(lib, L, "bool")},
    "causal, told": lambda lib: {"tgt_mask": causal(lib, L), "tgt_is_causal": True},
    "of memory": lambda lib: {"memory_mask": data(lib, L, S, dtype="float64")},
    "of memory, causal": lambda lib: {
        "memory_mask": data(lib, L, S, dtype="float64"),
        "memory_is_causal": True,
    },
    "padding": lambda lib: {
        "tgt_key_padding_mask": padding(lib, L),
        "memory_key_padding_mask": padding(lib, S),
    },
    "all": lambda lib: {
        "tgt_mask": causal(lib, L, "bool"),
        "memory_mask": data(lib, N * H, L, S) > 1,
        "tgt_key_padding_mask": padding(lib, L),
        "memory_key_padding_mask": padding(lib, S),
    },
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mask", DECODER_MASKS)
def test_decoder(mask, first):
    def program(lib):
        module = lib.nn.TransformerDecoder(layer(lib, "Decoder", batch_first=first, norm_first=True), 2)
        tensors = [batch(lib, L, first), batch(lib, S, first, seed=1)]
        return graded(lib, module, tensors, DECODER_MASKS[mask](lib))

    both(program, 1e-9)


MODEL_MASKS = {
    "none": lambda lib: {},
    "causal": lambda lib: {"src_mask": causal(lib, S), "tgt_mask": causal(lib, L)},
    "told": lambda lib: {
        "src_mask": causal(lib, S),
        "tgt_mask": causal(lib, L),
        "memory_mask": data(lib, L, S, dtype="float64"),
        "src_is_causal": False,
        "tgt_is_causal": True,
        "memory_is_causal": True,
    },
    "padding": lambda lib: {
        "src_key_padding_mask": padding(lib, S),
        "tgt_key_padding_mask": padding(lib, L),
        "memory_key_padding_mask": padding(lib, S),
    },
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("mask", MODEL_MASKS)
def test_model(mask, first):
    def program(lib):
        options = {"batch_first": first, "norm_first": first, "dtype": lib.float64}
        model = lib.nn.Transformer(E, H, 2, 1, 16, 0.0, lib.nn.functional.gelu, **options)
        tensors = [batch(lib, S, first), batch(lib, L, first, seed=1)]
        return graded(lib, model, tensors, MODEL_MASKS[mask](lib))

    both(program, 1e-9)


def test_model_without_a_batch():
    def program(lib):
        model = lib.nn.Transformer(E, H, 1, 1, 16, 0.0, bias=False, dtype=lib.float64)
        tensors = [data(lib, n, E, seed=n, dtype="float64", grad=True) for n in (S, L)]
        return graded(lib, model, tensors, {"src_mask": causal(lib, S), "tgt_mask": causal(lib, L)})

    both(program, 1e-9)


def test_a_found_causal_mask_is_not_read():
    """That of zeros, told to be causal, is not read; the decoder's and encoder's hint reach the attention."""

    def program(lib):
        x, zeros = batch(lib, S, True), lib.zeros(S, S, dtype=lib.float64)
        seen = []
        for kind, hint in (("Encoder", "is_causal"), ("Decoder", "tgt_is_causal")):
            stack = getattr(lib.nn, f"Transformer{kind}")(layer(lib, kind, batch_first=True), 1)
            name = {"Encoder": "mask", "Decoder": "tgt_mask"}[kind]
            given = [x] if kind == "Encoder" else [x, x]
            told, found = (
                stack(*given, **{name: mask, hint: told})
                for mask, told in ((zeros, True), (causal(lib, S), None))
            )
            seen += [told, lib.allclose(told, found)]
        return seen

    ours, _ = both(program, 1e-9)
    assert ours[1] and ours[3]


@own_numbers
def test_whole_model_at_first():
    def program(lib):
        lib.manual_seed(3)
        model = lib.nn.Transformer(E, H, 2, 2, 16)
        return [repr(model), dict(model.state_dict()), [n for n, _ in model.named_parameters()], model.nhead]

    both(program, 1e-7)


@own_numbers
@pytest.mark.parametrize("activation", ["relu", "gelu", "module"])
def test_stacks_at_first(activation):
    def program(lib):
        lib.manual_seed(3)
        given = lib.nn.SiLU() if activation == "module" else activation
        encoder = lib.nn.TransformerEncoder(
            lib.nn.TransformerEncoderLayer(E, H, activation=given), 2, lib.nn.LayerNorm(E)
        )
        decoder = lib.nn.TransformerDecoder(
            lib.nn.TransformerDecoderLayer(E, H, activation=given, bias=False), 2
        )
        seen = [repr(encoder), dict(encoder.state_dict()), repr(decoder), dict(decoder.state_dict())]
        kept = ("num_layers", "norm", "enable_nested_tensor", "mask_check")
        return [*seen, [repr(getattr(encoder, name)) for name in kept]]

    both(program, 1e-7)


@own_numbers
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_training_with_dropout(first, norm_first):
    """The same numbers are dropped at the same places: losses and weights stay together."""

    def program(lib):
        lib.manual_seed(1)
        model = lib.nn.Transformer(
            E, H, 2, 2, 16, dropout=0.3, batch_first=first, norm_first=norm_first, dtype=lib.float64
        )
        optimizer = lib.optim.SGD(model.parameters(), lr=0.05)
        losses = []
        for step in range(3):
            tensors = batch(lib, S, first, step), batch(lib, L, first, step + 9)
            loss = model(*tensors, tgt_mask=causal(lib, L)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return [losses, dict(model.state_dict())]

    both(program, 1e-9)


def test_eval_without_gradients():
    """PyTorch then computes layers in one operation; padded places apart the numbers are the same."""

    def program(lib):
        encoder = lib.nn.TransformerEncoder(layer(lib, batch_first=True, dropout=0.5), 2).eval()
        hidden = padding(lib, S)
        with lib.no_grad():
            plain = encoder(batch(lib, S, True))
            padded = encoder(batch(lib, S, True), src_key_padding_mask=hidden)
        return [plain, padded.masked_fill(hidden.unsqueeze(-1), 0.0)]

    both(program, 1e-9)


def test_the_switch_of_the_one_operation():
    def program(lib):
        mha = lib.backends.mha
        before = mha.get_fastpath_enabled()
        mha.set_fastpath_enabled(False)
        seen = [before, mha.get_fastpath_enabled()]
        mha.set_fastpath_enabled(before)
        return [*seen, mha.get_fastpath_enabled()]

    both(program)


def test_copies_are_apart():
    first = layer(wg)
    encoder = wg.nn.TransformerEncoder(first, 2)
    one, two = (m.linear1.weight for m in encoder.layers)
    assert one.equal(two) and one is not two and one is not first.linear1.weight
    for twin in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert repr(twin) == repr(encoder)
        x = batch(wg, S, False)
        assert twin(x).equal(encoder(x))


@own_numbers
def test_own_encoder_and_decoder():
    def program(lib):
        class Same(lib.nn.Module):
            def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
                return src

        decoder = lib.nn.TransformerDecoder(layer(lib, "Decoder"), 1)
        model = lib.nn.Transformer(E, H, custom_encoder=Same(), custom_decoder=decoder, dtype=lib.float64)
        return [repr(model), model(batch(lib, S, False), batch(lib, L, False, seed=1))]

    both(program, 1e-9)


@own_numbers
def test_blocks_may_be_overridden():
    def program(lib):
        class Plain(lib.nn.TransformerEncoderLayer):
            def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
                return x * 2

        return Plain(E, H, 16, 0.0, dtype=lib.float64)(batch(lib, S, False))

    both(program, 1e-9)


@pytest.mark.parametrize("dtype", [None, "float64", "bool"])
def test_square_subsequent_mask(dtype):
    def program(lib):
        options = {} if dtype is None else {"dtype": getattr(lib, dtype)}
        make = mask_maker(lib)
        return [
            make(3, **options),
            make(0, **options),
            lib.nn.Transformer(E, H, 1, 1, 4).generate_square_subsequent_mask(2),
        ]

    both(program)


@own_numbers
def test_gpt_of_encoder_layers_learns():
    """A program as people write it: tokens, positions, a causal stack."""

    def program(lib):
        lib.manual_seed(0)
        nn = lib.nn
        tokens, places, head = nn.Embedding(7, E), nn.Embedding(S, E), nn.Linear(E, 7)
        stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, H, 16, 0.0, batch_first=True), 2)
        parts = nn.ModuleList([tokens, places, stack, head])
        optimizer = lib.optim.AdamW(parts.parameters(), lr=1e-2)
        text = lib.tensor([[(i * k) % 7 for i in range(S + 1)] for k in range(1, 5)])
        losses = []
        for _ in range(5):
            x = tokens(text[:, :-1]) + places(lib.arange(S))
            y = head(stack(x, mask=mask_maker(lib)(S), is_causal=True))
            loss = nn.functional.cross_entropy(y.flatten(0, 1), text[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    ours, _ = both(program, 1e-4)
    assert ours[-1] < ours[0]


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.nn.TransformerEncoderLayer(E, H, activation="swirl"),
        lambda lib: lib.nn.TransformerDecoderLayer(E, 3),
        lambda lib: lib.nn.TransformerEncoderLayer(E, H, dropout=1.5),
        lambda lib: lib.nn.Transformer(E, H, 1, 1)(data(lib, S, N, E), data(lib, L, N + 1, E)),
        lambda lib: lib.nn.Transformer(E, H, 1, 1, batch_first=True)(data(lib, N, S, E), data(lib, 1, L, E)),
        lambda lib: lib.nn.Transformer(E, H, 1, 1)(data(lib, S, N, E), data(lib, L, N, E + 1)),
        lambda lib: lib.nn.TransformerEncoderLayer(E, H)(
            data(lib, S, N, E), lib.zeros(S, S, dtype=lib.int64)
        ),
        lambda lib: lib.nn.TransformerEncoderLayer(E, H)(data(lib, S, N, E), is_causal=True),
        lambda lib: lib.nn.TransformerEncoderLayer(E, H)(data(lib, S, N, E), data(lib, L, L)),
        lambda lib: lib.nn.TransformerDecoderLayer(E, H)(data(lib, L, N, E), data(lib, S, N + 1, E)),
        lambda lib: lib.nn.TransformerEncoderLayer(E, H, dtype=lib.float64)(data(lib, S, N, E)),
    ],
)
def test_refusals(bad):
    ours, theirs = both(bad)
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)
