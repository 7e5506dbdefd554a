"""Every module: same-seed weights, repr, state dict, forward, backward and second derivative as torch's."""

import copy
import pickle

import pytest
import wengert as wg
from nn_compare import both, data, labels, same, torch
from support import is_put, put

# name, constructor arguments, keyword arguments, input shapes
CASES = [
    ("Identity", (), {}, [(3, 4)]),
    ("Linear", (4, 3), {}, [(5, 4)]),
    ("Linear", (4, 3), {"bias": False}, [(2, 5, 4)]),
    ("Linear", (4, 3), {}, [(4,)]),
    ("Bilinear", (4, 3, 2), {}, [(5, 4), (5, 3)]),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1}, [(2, 4, 9)]),
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2}, [(2, 4, 9)]),
    ("Conv2d", (3, 4, 3), {}, [(2, 3, 6, 5)]),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "groups": 2}, [(2, 4, 7, 6)]),
    ("Conv2d", (3, 2, 3), {"padding": 1, "padding_mode": "reflect", "bias": False}, [(1, 3, 5, 5)]),
    ("Conv2d", (3, 2, 3), {"padding": 1, "padding_mode": "circular", "dilation": 2}, [(3, 6, 6)]),
    ("Conv2d", (1, 2, 4), {"padding": "same"}, [(1, 1, 6, 6)]),
    ("Conv3d", (2, 4, (2, 3, 2)), {"stride": (1, 2, 1), "padding": 1, "groups": 2}, [(2, 2, 3, 4, 3)]),
    ("Conv3d", (1, 2, 2), {"padding": "same", "padding_mode": "replicate"}, [(1, 3, 4, 3)]),
    ("MaxPool1d", (2,), {}, [(2, 3, 8)]),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "dilation": 2}, [(3, 9)]),
    ("MaxPool3d", (2,), {}, [(2, 3, 4, 5, 4)]),
    ("MaxPool2d", (2,), {}, [(2, 3, 6, 6)]),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, [(2, 3, 6, 7)]),
    ("AvgPool1d", (3,), {"stride": 2}, [(2, 3, 8)]),
    ("AvgPool2d", (2,), {}, [(2, 3, 6, 6)]),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, [(2, 3, 6, 7)]),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, [(2, 3, 6, 7)]),
    ("AvgPool2d", (2,), {"divisor_override": 3}, [(2, 3, 4, 4)]),
    ("AdaptiveAvgPool1d", (3,), {}, [(2, 3, 8)]),
    ("AdaptiveAvgPool2d", ((2, 3),), {}, [(2, 3, 5, 7)]),
    ("AdaptiveAvgPool2d", (1,), {}, [(2, 3, 5, 7)]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}, [(2, 4, 5)]),
    ("ConvTranspose1d", (2, 3, 2), {"padding": 2, "bias": False}, [(2, 7)]),
    ("ConvTranspose2d", (4, 6, 3), {}, [(2, 4, 4, 3)]),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"stride": (2, 3), "groups": 2, "dilation": (1, 2)}, [(2, 4, 3, 4)]),
    ("ConvTranspose2d", (2, 1, 4), {"stride": 2, "padding": 1}, [(2, 3, 3)]),
    ("ConvTranspose3d", (2, 3, 2), {"stride": (1, 2, 1)}, [(1, 2, 2, 3, 2)]),
    ("AvgPool3d", (2,), {"padding": 1, "count_include_pad": False}, [(2, 3, 4, 3, 5)]),
    ("LPPool1d", (2, 3), {"stride": 2}, [(2, 3, 8)]),
    ("LPPool2d", (4, (2, 3)), {"ceil_mode": True}, [(2, 3, 5, 7)]),
    ("LPPool3d", (3, 2), {"stride": (1, 2, 2)}, [(2, 2, 3, 4, 5)]),
    ("LPPool2d", (float("inf"), 2), {}, [(2, 3, 5, 7)]),
    ("LPPool1d", (float("-inf"), 3), {"stride": 2}, [(2, 3, 8)]),
    ("AdaptiveAvgPool3d", ((2, None, 3),), {}, [(2, 3, 5, 2, 7)]),
    ("AdaptiveMaxPool1d", (3,), {}, [(2, 3, 8)]),
    ("AdaptiveMaxPool2d", ((2, None),), {}, [(2, 3, 5, 7)]),
    ("AdaptiveMaxPool2d", (4,), {}, [(3, 3, 5)]),
    ("AdaptiveMaxPool3d", ((2, 1, 2),), {}, [(1, 2, 3, 4, 5)]),
    ("Unfold", ((2, 3),), {"padding": 1, "stride": (2, 1), "dilation": (1, 2)}, [(2, 3, 5, 6)]),
    ("Unfold", (2,), {}, [(3, 5, 6)]),
    ("Fold", ((5, 6), (2, 3)), {"padding": 1, "stride": (2, 1), "dilation": (1, 2)}, [(2, 12, 12)]),
    ("Fold", ((4, 5), 2), {"stride": 2}, [(4, 4)]),
    ("PixelShuffle", (2,), {}, [(2, 8, 3, 2)]),
    ("PixelUnshuffle", (2,), {}, [(2, 2, 4, 6)]),
    ("ChannelShuffle", (2,), {}, [(2, 6, 2, 2)]),
    ("ConstantPad1d", (2, 1.5), {}, [(2, 3, 4)]),
    ("ConstantPad2d", ((1, 0, 2, -1), 3), {}, [(2, 3, 4, 4)]),
    ("ConstantPad3d", (1, 0.5), {}, [(1, 2, 2, 2, 2)]),
    ("ZeroPad1d", ((1, 2),), {}, [(2, 3, 4)]),
    ("ZeroPad2d", (1,), {}, [(2, 3, 4, 4)]),
    ("ZeroPad3d", ((1, 0, 0, 1, 2, 0),), {}, [(1, 2, 2, 2, 2)]),
    ("ReflectionPad1d", (2,), {}, [(2, 3, 4)]),
    ("ReflectionPad2d", ((1, 2, 0, 1),), {}, [(2, 3, 4, 4)]),
    ("ReflectionPad3d", (1,), {}, [(1, 2, 2, 3, 2)]),
    ("ReplicationPad1d", ((0, 3),), {}, [(2, 3, 4)]),
    ("ReplicationPad2d", (2,), {}, [(2, 3, 4)]),
    ("ReplicationPad3d", (1,), {}, [(1, 2, 2, 2, 2)]),
    ("CircularPad1d", (2,), {}, [(2, 3, 4)]),
    ("CircularPad2d", ((1, 2, 0, 1),), {}, [(2, 3, 4, 4)]),
    ("CircularPad3d", (1,), {}, [(1, 2, 2, 2, 2)]),
    ("Upsample", (), {"scale_factor": 2}, [(2, 3, 4)]),
    ("Upsample", ((5, 7),), {}, [(2, 3, 3, 4)]),
    ("Upsample", (), {"scale_factor": (1.5, 2.0), "mode": "bilinear"}, [(2, 3, 3, 4)]),
    ("Upsample", (3,), {"mode": "linear", "align_corners": True}, [(2, 3, 7)]),
    ("Upsample", (), {"scale_factor": 1.7, "mode": "bicubic"}, [(2, 1, 4, 5)]),
    ("Upsample", ((3, 2, 5),), {"mode": "trilinear"}, [(1, 2, 2, 3, 4)]),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, [(1, 2, 3, 3)]),
    ("UpsamplingBilinear2d", ((5, 6),), {}, [(1, 2, 3, 3)]),
    ("Flatten", (), {}, [(2, 3, 4)]),
    ("Unflatten", (1, (2, 3)), {}, [(2, 6)]),
    ("Dropout", (0.3,), {}, [(20, 7)]),
    ("Dropout1d", (0.5,), {}, [(4, 6, 3)]),
    ("Dropout2d", (0.5,), {}, [(4, 6, 3, 3)]),
    ("Dropout3d", (0.5,), {}, [(4, 6, 2, 2, 2)]),
    ("Dropout3d", (0.5,), {}, [(6, 2, 2, 2)]),
    ("AlphaDropout", (0.4,), {}, [(20, 7)]),
    ("FeatureAlphaDropout", (0.4,), {}, [(5, 7, 3)]),
    ("RReLU", (), {}, [(5, 7)]),
    ("BatchNorm1d", (4,), {}, [(6, 4)]),
    ("BatchNorm1d", (4,), {"affine": False, "momentum": None}, [(6, 4, 3)]),
    ("BatchNorm2d", (3,), {"eps": 1e-3}, [(2, 3, 4, 4)]),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, [(2, 3, 4, 4)]),
    ("BatchNorm3d", (3,), {}, [(2, 3, 2, 3, 2)]),
    ("LayerNorm", (4,), {}, [(3, 4)]),
    ("LayerNorm", ((3, 4),), {"bias": False}, [(2, 3, 4)]),
    ("LayerNorm", (4,), {"elementwise_affine": False}, [(3, 4)]),
    ("RMSNorm", (4,), {}, [(3, 4)]),
    ("GroupNorm", (2, 4), {}, [(3, 4, 5)]),
    ("InstanceNorm1d", (3,), {}, [(2, 3, 5)]),
    ("InstanceNorm1d", (3,), {"affine": True}, [(3, 5)]),
    ("InstanceNorm2d", (3,), {"track_running_stats": True, "momentum": 0.3}, [(2, 3, 4, 4)]),
    ("InstanceNorm2d", (3,), {"affine": True, "bias": False}, [(3, 4, 4)]),
    ("InstanceNorm3d", (2,), {"affine": True, "track_running_stats": True}, [(2, 2, 2, 3, 2)]),
    ("LocalResponseNorm", (3,), {"alpha": 0.1}, [(2, 5, 4)]),
    ("LocalResponseNorm", (2,), {"k": 2.0, "beta": 0.5}, [(2, 5, 4, 3)]),
    ("ReLU", (), {}, [(3, 4)]),
    ("ReLU6", (), {}, [(3, 4)]),
    ("Hardtanh", (), {}, [(3, 4)]),
    ("LeakyReLU", (), {}, [(3, 4)]),
    ("LeakyReLU", (0.2,), {}, [(3, 4)]),
    ("PReLU", (), {}, [(3, 4)]),
    ("PReLU", (4,), {}, [(3, 4, 2)]),
    ("ELU", (), {}, [(3, 4)]),
    ("CELU", (1.5,), {}, [(3, 4)]),
    ("SELU", (), {}, [(3, 4)]),
    ("SiLU", (), {}, [(3, 4)]),
    ("Mish", (), {}, [(3, 4)]),
    ("GELU", (), {}, [(3, 4)]),
    ("GELU", ("tanh",), {}, [(3, 4)]),
    ("GLU", (), {}, [(3, 4)]),
    ("Sigmoid", (), {}, [(3, 4)]),
    ("Tanh", (), {}, [(3, 4)]),
    ("Softplus", (), {}, [(3, 4)]),
    ("Softplus", (2.0, 1.0), {}, [(3, 4)]),
    ("LogSigmoid", (), {}, [(3, 4)]),
    ("Softsign", (), {}, [(3, 4)]),
    ("Tanhshrink", (), {}, [(3, 4)]),
    ("Softshrink", (), {}, [(3, 4)]),
    ("Hardshrink", (), {}, [(3, 4)]),
    ("Hardswish", (), {}, [(3, 4)]),
    ("Hardsigmoid", (), {}, [(3, 4)]),
    ("Threshold", (0.1, 5.0), {}, [(3, 4)]),
    ("Softmax", (-1,), {}, [(3, 4)]),
    ("Softmin", (-1,), {}, [(3, 4)]),
    ("LogSoftmax", (0,), {}, [(3, 4)]),
    ("Softmax2d", (), {}, [(2, 3, 4, 4)]),
    ("TransformerEncoderLayer", (8, 2, 16, 0.0), {}, [(5, 3, 8)]),
    ("TransformerEncoderLayer", (6, 3, 4), {"dropout": 0.0, "activation": "gelu", "bias": False}, [(5, 6)]),
    ("TransformerEncoderLayer", (8, 2, 4, 0.0), {"batch_first": True, "norm_first": True}, [(2, 4, 8)]),
    ("TransformerDecoderLayer", (8, 2, 16, 0.0), {}, [(4, 3, 8), (5, 3, 8)]),
    ("TransformerDecoderLayer", (8, 4, 4, 0.0), {"batch_first": True, "norm_first": True}, [(2, 3, 8)] * 2),
    ("Transformer", (8, 2, 1, 2, 16, 0.0), {}, [(5, 3, 8), (4, 3, 8)]),
    ("CosineSimilarity", (), {}, [(3, 4), (3, 4)]),
    ("PairwiseDistance", (), {}, [(3, 4), (3, 4)]),
    ("RNNCell", (4, 3), {}, [(5, 4), (5, 3)]),
    ("RNNCell", (4, 3), {"bias": False, "nonlinearity": "relu"}, [(4,)]),
    ("GRUCell", (4, 3), {}, [(5, 4), (5, 3)]),
    ("GRUCell", (4, 3), {"bias": False}, [(4,), (3,)]),
]
IDS = [f"{i}-{case[0]}" for i, case in enumerate(CASES)]
RANDOM = ("Dropout", "RReLU", "Alpha", "FeatureAlpha")
OWN_NUMBERS = pytest.mark.host("each device draws its own random numbers")
FORWARD = [pytest.param(c, marks=OWN_NUMBERS if c[0].startswith(RANDOM) else ()) for c in CASES]


def make(lib, case):
    name, args, kwargs, _ = case
    return getattr(lib.nn, name)(*args, **kwargs)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_repr_and_initial_state(case):
    both(lambda lib: repr(make(lib, case)))
    both(lambda lib: dict(make(lib, case).state_dict()), tol=1e-7)


@pytest.mark.devices(sample=60)
@pytest.mark.parametrize("case", FORWARD, ids=IDS)
def test_forward_backward(case):
    def program(lib):
        module = make(lib, case)
        inputs = [data(lib, *shape, seed=i, grad=True) for i, shape in enumerate(case[3])]
        output = module(*inputs)
        assert lib is torch or is_put(output)
        (output * data(lib, *output.shape, seed=9)).sum().backward()
        grads = [x.grad for x in inputs] + [p.grad for p in module.parameters()]
        return [output, grads, dict(module.state_dict())]

    both(program, tol=2e-5)


@pytest.mark.devices(sample=20)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_eval_in_float64(case):
    def program(lib):
        module = make(lib, case).double().eval()
        inputs = [data(lib, *shape, seed=i, dtype="float64") for i, shape in enumerate(case[3])]
        return module(*inputs)

    both(program, tol=1e-10)


@pytest.mark.devices(sample=40)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_second_derivative(case):
    if "Dropout" in case[0] or case[0] in ("RReLU", "Hardsigmoid"):
        pytest.skip("drawn anew, or a second derivative that torch lacks")

    def program(lib):
        module = make(lib, case).double()
        inputs = [data(lib, *shape, seed=i, dtype="float64", grad=True) for i, shape in enumerate(case[3])]
        output = module(*inputs)
        loss = (output * output * data(lib, *output.shape, seed=9, dtype="float64")).sum()
        wanted = [*inputs, *module.parameters()]
        first = lib.autograd.grad(loss, wanted, create_graph=True)
        total = sum((g * g).sum() for g in first)
        return list(lib.autograd.grad(total, wanted, allow_unused=True))

    # torch's attention in one operation has no second derivative.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        both(program, tol=1e-8)


@pytest.mark.devices(sample=12)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_deepcopy_and_pickle(case):
    module = put(make(wg, case)).eval()
    inputs = [data(wg, *shape, seed=i) for i, shape in enumerate(case[3])]
    expected = module(*inputs)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert repr(twin) == repr(module)
        same(twin(*inputs), torch.tensor(expected.tolist()), tol=1e-6)
        for ours, other in zip(module.parameters(), twin.parameters(), strict=True):
            assert ours is not other and isinstance(other, wg.nn.Parameter) and other.requires_grad


def test_in_place_activations():
    names = [
        "ReLU",
        "ReLU6",
        "Hardtanh",
        "LeakyReLU",
        "ELU",
        "CELU",
        "SELU",
        "SiLU",
        "Mish",
        "Hardswish",
        "Hardsigmoid",
    ]
    for name in names:

        def program(lib, name=name):
            x = data(lib, 3, 4, grad=True)
            y = x * 1.5
            z = getattr(lib.nn, name)(inplace=True)(y)
            assert z is y
            z.sum().backward()
            return [y, x.grad]

        both(program)
        both(lambda lib, name=name: repr(getattr(lib.nn, name)(inplace=True)))


def test_embedding():
    def program(lib):
        table = lib.nn.Embedding(6, 3, padding_idx=1)
        out = table(lib.tensor([[0, 1, 2], [1, 5, 5]]))
        (out * data(lib, 2, 3, 3)).sum().backward()
        return [repr(table), out, table.weight.grad, table.weight]

    both(program)


def test_embedding_max_norm_and_pretrained():
    def program(lib):
        table = lib.nn.Embedding(6, 3, max_norm=0.5)
        out = table(lib.tensor([0, 2, 2]))
        fixed = lib.nn.Embedding.from_pretrained(data(lib, 4, 2))
        return [out, table.weight, fixed(lib.tensor([3, 0])), fixed.weight.requires_grad]

    both(program, tol=1e-5)


def test_batch_norm_trajectory():
    def program(lib):
        norm = lib.nn.BatchNorm1d(3)
        for step in range(4):
            norm(data(lib, 5, 3, seed=step))
        return [dict(norm.state_dict()), norm.eval()(data(lib, 2, 3, seed=7))]

    both(program)


def test_wrong_inputs_raise_as_torch_does():
    def check(program):
        ours, theirs = both(program)
        assert isinstance(theirs, Exception), "torch accepts this"
        assert str(ours)

    check(lambda lib: lib.nn.BatchNorm1d(3)(data(lib, 1, 3)))
    check(lambda lib: lib.nn.BatchNorm2d(3)(data(lib, 2, 3)))
    check(lambda lib: lib.nn.LayerNorm(3)(data(lib, 2, 4)))
    check(lambda lib: lib.nn.Dropout(1.5))
    check(lambda lib: lib.nn.Conv2d(3, 4, 3, groups=2))
    check(lambda lib: lib.nn.Conv2d(3, 4, 3, padding="same", stride=2))
    check(lambda lib: lib.nn.Conv2d(3, 4, 3, padding_mode="mirror"))
    check(lambda lib: lib.nn.GroupNorm(2, 3))
    check(lambda lib: lib.nn.Embedding(4, 2, padding_idx=7))
    check(lambda lib: lib.nn.Linear(3, 2)(data(lib, 2, 4)))
    check(lambda lib: lib.nn.GLU()(data(lib, 2, 3)))
    check(lambda lib: lib.nn.CrossEntropyLoss()(data(lib, 2, 3), labels(lib, 5)))
    check(lambda lib: lib.nn.Module()(data(lib, 2)))
