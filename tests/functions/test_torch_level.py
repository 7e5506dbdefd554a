"""Names directly under torch that stand elsewhere with us: layers with torch's arguments, in-place functions."""

import re

import pytest
import torch
import wengert as wg
from torch_parity import check_same, leaves, to_wengert

KIND = torch.tensor([1.0, -1.0, -1.0])


def f(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * 4 - 2
    return x.requires_grad_()


# name → arguments, keyword arguments
CALLS = {
    "dropout": [
        ((f(4, 5), 0.3, True), {}),
        ((f(4, 5), 0.3, False), {}),
        ((), {"input": f(3), "p": 0.5, "train": True}),
    ],
    "alpha_dropout": [((f(4, 5), 0.3, True), {})],
    "feature_dropout": [((f(4, 5, 2), 0.3, True), {}), ((f(4, 5), 0.5, True), {})],
    "feature_alpha_dropout": [((f(4, 5, 2), 0.3, True), {})],
    "batch_norm": [
        ((f(4, 3), f(3), f(3, seed=1), f(3).detach(), f(3).detach() ** 2, True, 0.1, 1e-5, False), {}),
        ((f(4, 3), None, None, f(3).detach(), f(3).detach() ** 2, False, 0.1, 1e-5, True), {}),
    ],
    "instance_norm": [((f(4, 3, 5), f(3), f(3, seed=1), None, None, True, 0.1, 1e-5, False), {})],
    "layer_norm": [((f(4, 3), (3,)), {}), ((f(4, 3), [4, 3], f(4, 3, seed=2), f(4, 3)), {"eps": 1e-3})],
    "group_norm": [((f(4, 6), 2), {}), ((f(4, 6, 2), 3, f(6, seed=2), f(6), 1e-3), {})],
    "rms_norm": [((f(4, 3), (3,)), {})],
    "embedding": [
        ((f(5, 3), torch.tensor([[0, 4], [2, 2]])), {}),
        ((f(5, 3), torch.tensor([0, 2, 2]), 2), {}),
    ],
    "kl_div": [
        ((f(3, 4), f(3, 4, seed=1).abs(), 1), {}),
        ((f(3, 4), f(3, 4, seed=1).abs()), {}),
        ((f(3), f(3, seed=1)), {"reduction": 2, "log_target": True}),
    ],
    "binary_cross_entropy_with_logits": [
        ((f(3, 4), torch.ones(3, 4, dtype=torch.float64)), {"reduction": 0}),
        ((f(3, 4), torch.zeros(3, 4, dtype=torch.float64), f(4).detach(), f(4).detach().abs()), {}),
    ],
    "poisson_nll_loss": [
        ((f(5), f(5).detach().abs(), True, True, 1e-8, 1), {}),
        ((f(5).abs(), f(5).detach(), False, False, 1e-8, 0), {}),
    ],
    "cosine_embedding_loss": [
        ((f(3, 4), f(3, 4, seed=1), KIND), {}),
        ((f(3, 4), f(3, 4, seed=1), KIND, 0.2, 2), {}),
    ],
    "hinge_embedding_loss": [((f(3), KIND), {}), ((f(3), KIND, 0.5, 0), {})],
    "margin_ranking_loss": [((f(3), f(3, seed=1), KIND), {"margin": 0.3, "reduction": 2})],
    "triplet_margin_loss": [((f(3, 4), f(3, 4, seed=1), f(3, 4, seed=2)), {"swap": True, "reduction": 0})],
    "prelu": [((f(3, 4), f(4, seed=1)), {})],
    "rrelu": [((f(3, 4),), {}), ((f(3, 4), 0.1, 0.4, True), {})],
    "bilinear": [((f(3, 4), f(3, 2), f(5, 4, 2), f(5)), {})],
    "cosine_similarity": [((f(3, 4), f(3, 4, seed=1)), {"dim": 0})],
    "pairwise_distance": [((f(3, 4), f(3, 4, seed=1), 1.0), {})],
    "pdist": [((f(4, 3),), {})],
    "avg_pool1d": [((f(2, 3, 7), 2), {})],
    "adaptive_avg_pool1d": [((f(2, 3, 7), 3), {})],
    "adaptive_max_pool1d": [((f(2, 3, 7), 3), {})],
    "conv_transpose1d": [((f(2, 3, 5), f(3, 2, 2, seed=1)), {"stride": 2})],
    "conv_transpose2d": [((f(2, 3, 5, 4), f(3, 2, 2, 2, seed=1), f(2)), {})],
    "conv_transpose3d": [((f(1, 2, 3, 2, 2), f(2, 1, 2, 2, 2, seed=1)), {})],
    "pixel_shuffle": [((f(1, 4, 2, 2), 2), {})],
    "pixel_unshuffle": [((f(1, 1, 4, 4), 2), {})],
    "channel_shuffle": [((f(1, 4, 2, 2), 2), {})],
    **{
        f"rnn_{kind}_cell": [
            ((f(3, 4), f(3, 2), f(2, 4, seed=1), f(2, 2, seed=2), f(2, seed=3), f(2, seed=4)), {}),
            ((f(3, 4), f(3, 2), f(2, 4, seed=1), f(2, 2, seed=2)), {}),
        ]
        for kind in ("tanh", "relu")
    },
    "gru_cell": [((f(3, 4), f(3, 2), f(6, 4, seed=1), f(6, 2, seed=2), f(6, seed=3), f(6, seed=4)), {})],
    "lstm_cell": [
        ((f(3, 4), (f(3, 2), f(3, 2, seed=5)), f(8, 4, seed=1), f(8, 2, seed=2), f(8), f(8, seed=4)), {})
    ],
    "constant_pad_nd": [((f(2, 3), (1, -1, 0, 2)), {"value": 3.0})],
}
SETTINGS = {
    "are_deterministic_algorithms_enabled",
    "get_float32_matmul_precision",
    "is_deterministic_algorithms_warn_only_enabled",
    "set_float32_matmul_precision",
    "use_deterministic_algorithms",
    # Tried in tests/environment.
    "channels_last",
    "channels_last_3d",
    "compile",
    "get_default_device",
    "is_autocast_enabled",
    "set_default_device",
    # Tried in test_settings.py.
    "get_deterministic_debug_mode",
    "get_num_interop_threads",
    "is_warn_always_enabled",
    "set_deterministic_debug_mode",
    "set_flush_denormal",
    "set_num_interop_threads",
    "set_warn_always",
}


# Each device draws its own random numbers.
DRAWS = re.compile("dropout|rrelu")
LAYERS = [
    pytest.param(n, i, id=f"{n}-{i}", marks=pytest.mark.host("it draws") if DRAWS.search(n) else ())
    for n, calls in CALLS.items()
    for i in range(len(calls))
]


@pytest.mark.devices(sample=25)
@pytest.mark.parametrize(("name", "index"), LAYERS)
def test_layers_take_torchs_own_arguments(name, index):
    args, kwargs = CALLS[name][index]
    mine, named = to_wengert(list(args)), {k: to_wengert(v) for k, v in kwargs.items()}
    for lib in (torch, wg):
        lib.manual_seed(3)
    theirs, ours = getattr(torch, name)(*args, **kwargs), getattr(wg, name)(*mine, **named)
    check_same(ours, theirs)
    roots = [(a, b) for a, b in zip(leaves(ours), leaves(theirs), strict=True) if b.requires_grad]
    inputs = [
        (a, b)
        for a, b in zip(leaves([mine, named]), leaves([list(args), kwargs]), strict=True)
        if b.requires_grad
    ]
    expected = torch.autograd.grad([b.sum() for _, b in roots], [b for _, b in inputs])
    check_same(wg.autograd.grad([a.sum() for a, _ in roots], [a for a, _ in inputs]), expected, 1e-7, 1e-7)


def test_every_name_loaded_later_is_tried():
    lazily = {name for name, (module, _) in wg._LATER.items() if module.startswith("nn.")}
    assert lazily - set(CALLS) == {"dropout_", "alpha_dropout_"}
    assert {name for name, (module, _) in wg._LATER.items() if module == "_settings"} == SETTINGS
    assert all(getattr(wg, name) is not None and name in dir(wg) for name in wg._LATER)


@pytest.mark.parametrize("name", ["dropout_", "alpha_dropout_"])
def test_dropout_in_place(name):
    found = []
    for lib in (torch, wg):
        lib.manual_seed(1)
        x = lib.ones(20, dtype=lib.float64)
        assert getattr(lib, name)(x, 0.4, True) is x
        found.append(x.tolist())
    assert found[0] == pytest.approx(found[1]) and found[0] != [1.0] * 20


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.dropout(lib.ones(2), 0.5),
        lambda lib: lib.dropout(lib.ones(2), 1.5, True),
        lambda lib: lib.feature_dropout(lib.ones(2), 0.5, True),
        lambda lib: lib.kl_div(lib.ones(2), lib.ones(2), reduction="mean"),
        lambda lib: lib.layer_norm(lib.ones(2, 3), (2,)),
        lambda lib: lib.imag(lib.ones(2)),
        lambda lib: lib.range(1, 4, 0),
        lambda lib: lib.range(4, 1),
        lambda lib: lib.range(4),
        lambda lib: lib.unravel_index(lib.ones(2), (2, 3)),
        lambda lib: lib.fill(lib.ones(2), lib.ones(2)),
    ],
)
def test_refusals(bad):
    with pytest.raises(Exception) as theirs:
        bad(torch)
    with pytest.raises(Exception) as ours:
        bad(wg)
    assert isinstance(ours.value, type(theirs.value)) and str(ours.value)


def test_in_place_functions():
    """All of torch's own names `x_` that Tensor has as a method."""
    named = {n for n in dir(torch) if n.endswith("_") and n[0] != "_" and hasattr(wg.Tensor, n)}
    extra = {"resize_as_", "resize_as_sparse_"}
    assert {n for n in named - extra if not hasattr(wg, n)} == set()
    arguments = {
        "addmv_": (torch.ones(3, 2), torch.ones(2)),
        "clamp_": (0.2, 0.7),
        "clip_": (0.2, 0.7),
        "clamp_max_": (0.5,),
        "clamp_min_": (0.5,),
        "fill_": (2.0,),
        "index_put_": ((torch.tensor([1]),), torch.tensor(5.0)),
        "ldexp_": (torch.tensor(2),),
        "threshold_": (0.5, 3.0),
        "xlogy_": (torch.tensor(2.0),),
    }
    for name in sorted(named - extra):
        start = torch.tensor([2, 4, 6]) if name in ("gcd_", "lcm_") else torch.tensor([0.3, 0.6, 0.9])
        rest = (torch.tensor([4, 6, 9]),) if name in ("gcd_", "lcm_") else arguments.get(name, ())
        if name.endswith("acosh_") or name == "arccosh_":
            start = start + 1
        if name in ("alpha_dropout_", "dropout_"):
            continue
        x = to_wengert(start).clone()
        assert getattr(wg, name)(x, *[to_wengert(r) for r in rest]) is x, name
        check_same(x, getattr(torch, name)(start.clone(), *rest))


def test_settings_are_kept():
    for lib in (torch, wg):
        assert not lib.are_deterministic_algorithms_enabled()
        lib.use_deterministic_algorithms(True, warn_only=True)
        assert (
            lib.are_deterministic_algorithms_enabled() and lib.is_deterministic_algorithms_warn_only_enabled()
        )
        lib.use_deterministic_algorithms(False)
        assert not lib.is_deterministic_algorithms_warn_only_enabled()
        assert lib.get_float32_matmul_precision() == "highest"
        lib.set_float32_matmul_precision("high")
        assert lib.get_float32_matmul_precision() == "high"
        lib.set_float32_matmul_precision("highest")
        with pytest.warns(UserWarning, match="best is not one of"):
            lib.set_float32_matmul_precision("best")
        assert lib.get_float32_matmul_precision() == "highest"
    with pytest.raises(TypeError):
        wg.use_deterministic_algorithms("yes")


def test_small_additions_to_tensor():
    x = wg.tensor([-1.0, 2.0], requires_grad=True)
    assert x.real is x and x.conj() is x and wg.real(x) is x
    assert x.prelu(wg.tensor(0.5)).tolist() == [-0.5, 2.0]
    assert wg.zeros(2, 3).resize_as_(wg.ones(3, 2)).shape == (3, 2)
    assert wg.from_dlpack(wg.to_dlpack(wg.tensor([1.0, 2.0]))).tolist() == [1.0, 2.0]
    assert wg.range(4, 1, -1, dtype=wg.int64).tolist() == [4, 3, 2, 1]
    assert wg.range(1, 2, requires_grad=True).requires_grad
