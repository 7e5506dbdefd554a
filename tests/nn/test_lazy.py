"""Layers that learn their sizes from the first input: as torch's."""

import copy
import warnings

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=5)

LAYERS = {
    "LazyLinear": (lambda nn: nn.LazyLinear(3), (4, 5)),
    "LazyLinear without bias": (lambda nn: nn.LazyLinear(3, bias=False), (4, 5)),
    "LazyConv1d": (lambda nn: nn.LazyConv1d(4, 2), (2, 3, 6)),
    "LazyConv2d": (lambda nn: nn.LazyConv2d(4, 2, stride=2, padding=1, groups=2), (2, 4, 6, 5)),
    "LazyConv3d": (lambda nn: nn.LazyConv3d(2, 2, bias=False), (2, 3, 3, 4, 3)),
    "LazyConvTranspose1d": (lambda nn: nn.LazyConvTranspose1d(4, 2), (2, 3, 6)),
    "LazyConvTranspose2d": (lambda nn: nn.LazyConvTranspose2d(4, 2, stride=2, groups=2), (2, 4, 3, 5)),
    "LazyConvTranspose3d": (lambda nn: nn.LazyConvTranspose3d(2, 2), (1, 3, 2, 2, 3)),
    "LazyBatchNorm1d": (lambda nn: nn.LazyBatchNorm1d(), (4, 5)),
    "LazyBatchNorm2d": (lambda nn: nn.LazyBatchNorm2d(momentum=0.3), (4, 5, 2, 2)),
    "LazyInstanceNorm1d": (lambda nn: nn.LazyInstanceNorm1d(), (4, 3, 5)),
    "LazyInstanceNorm2d": (lambda nn: nn.LazyInstanceNorm2d(bias=False), (4, 5, 2, 2)),
    "LazyInstanceNorm3d": (lambda nn: nn.LazyInstanceNorm3d(track_running_stats=False), (4, 5, 2, 1, 2)),
    "LazyBatchNorm3d": (lambda nn: nn.LazyBatchNorm3d(affine=False), (4, 5, 2, 1, 2)),
}


def made(lib, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LAYERS[name][0](lib.nn), data(lib, *LAYERS[name][1])


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.host("each device draws its own random numbers")
def test_first_input_gives_the_sizes(name):
    def program(lib):
        layer, x = made(lib, name)
        before = [type(layer).__name__, layer.has_uninitialized_params(), list(layer.state_dict())]
        params = list(layer.parameters())
        # PyTorch cannot copy buffers without a shape.
        twin = made(lib, name)[0] if "Norm" in name else copy.deepcopy(layer)
        y = layer(x)
        assert all(a is b for a, b in zip(params, layer.parameters(), strict=True)), "optimizers hold them"
        y.pow(2).sum().backward() if params else None
        twin(x)
        state = dict(layer.state_dict())
        return [*before, y, type(layer).__name__, repr(layer), state, repr(twin), [p.grad for p in params]]

    both(program, 1e-4)


@pytest.mark.parametrize("name", [name for name in LAYERS if "Instance" not in name])
@pytest.mark.host("each device draws its own random numbers")
def test_loading_gives_the_sizes(name):
    def program(lib):
        layer, x = made(lib, name)
        other, _ = made(lib, name)
        y = layer(x)
        other.load_state_dict(layer.state_dict())
        return [y, other(x), type(other).__name__, dict(other.state_dict())]

    both(program, 1e-4)


def test_loading_gives_the_sizes_of_instance_norms():
    """PyTorch's do not learn the number of features from what is loaded, and refuse the first input."""
    layer, x = made(wg, "LazyInstanceNorm2d")
    other, _ = made(wg, "LazyInstanceNorm2d")
    y = layer(x)
    other.load_state_dict(layer.state_dict())
    assert other(x).equal(y) and type(other) is wg.nn.InstanceNorm2d and other.num_features == 5


def test_shapes_are_asked_for_too_early():
    def program(lib):
        return lib.nn.LazyLinear(3).weight.shape

    assert isinstance(both(program)[1], RuntimeError)
    assert isinstance(both(lambda lib: lib.nn.LazyConv2d(4, 2)(lib.ones(3, 3)))[1], RuntimeError)
    assert repr(wg.nn.LazyLinear(3).weight) == "<UninitializedParameter>"
