"""Functional forms added for ordinary programs: resizing, bags, transposed convolutions, samples; as torch's."""

import pytest
import wengert as wg
from nn_compare import both, data, labels

pytestmark = pytest.mark.devices(factories=True, sample=5)


def value_and_gradient(function, *shapes, tol=1e-5):
    """The function's value and the gradient of its weighted sum, in both libraries."""

    def program(lib):
        inputs = [data(lib, *shape, seed=i, grad=True) for i, shape in enumerate(shapes)]
        output = function(lib, *inputs)
        (output * data(lib, *output.shape, seed=9)).sum().backward()
        return [output, [x.grad for x in inputs]]

    both(program, tol)


@pytest.mark.parametrize("align", [None, False, True])
@pytest.mark.parametrize(
    "mode", ["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"]
)
def test_interpolate(mode, align):
    shape = {"linear": (2, 3, 7), "trilinear": (1, 2, 3, 4, 5)}.get(mode, (2, 2, 5, 7))
    n = len(shape) - 2

    def way(**sizes):
        return lambda lib, x: lib.nn.functional.interpolate(x, mode=mode, align_corners=align, **sizes)

    if align is not None and (mode.startswith("nearest") or mode == "area"):
        _, theirs = both(lambda lib: way(size=3)(lib, data(lib, *shape)))
        assert isinstance(theirs, ValueError)
        return
    for sizes in (
        {"size": 3},
        {"size": (4, 9, 6)[:n]},
        {"scale_factor": 2},
        {"scale_factor": (0.6, 1.7, 2.5)[:n]},
    ):
        value_and_gradient(way(**sizes), shape)
    value_and_gradient(way(scale_factor=1.3, recompute_scale_factor=True), shape)


@pytest.mark.parametrize(
    "bad",
    [
        lambda F, x: F.interpolate(x),
        lambda F, x: F.interpolate(x, size=2, scale_factor=2),
        lambda F, x: F.interpolate(x, size=(2, 2, 2)),
        lambda F, x: F.interpolate(x, size=2, mode="linear"),
        lambda F, x: F.interpolate(x, size=2, mode="wavelet"),
        lambda F, x: F.interpolate(x, size=0),
        lambda F, x: F.interpolate(x, size=2, recompute_scale_factor=True),
        lambda F, x: F.pixel_shuffle(x, 2),
        lambda F, x: F.pixel_unshuffle(x, 3),
        lambda F, x: F.channel_shuffle(x, 2),
        lambda F, x: F.unfold(x, 7),
        lambda F, x: F.unfold(x, (2, 2, 2)),
        lambda F, x: F.fold(x[0], (4, 4), 2),
        lambda F, x: F.fold(x, (4, 4), 2),
        lambda F, x: F.conv_transpose2d(x, x[:2]),
        lambda F, x: F.conv_transpose2d(x, x[0]),
        lambda F, x: F.conv_transpose2d(x, x.transpose(0, 1)[:, :1], output_padding=1),
        lambda F, x: F.conv_transpose2d(x, x.transpose(0, 1)[:, :1], padding=9),
        lambda F, x: F.avg_pool3d(x[0, 0], 2),
        lambda F, x: F.adaptive_max_pool2d(x, (-1, 2)),
        lambda F, x: F.local_response_norm(x[0, 0], 2),
        lambda F, x: F.instance_norm(x[:, :, :1, :1]),
        lambda F, x: F.rrelu(x, 0.5, 0.1),
        lambda F, x: F.pdist(x),
        lambda F, x: F.gumbel_softmax(x, dim=7),
        lambda F, x: F.dropout3d(x, 1.5),
    ],
)
def test_refusals(bad):
    _, theirs = both(lambda lib: bad(lib.nn.functional, data(lib, 2, 3, 4, 4)))
    assert isinstance(theirs, Exception), "torch accepts this"


@pytest.mark.parametrize("sizes", [(7, 6), (2, 3, 7, 6), (8, 7), (6, 6)])
def test_transposed_convolutions_of_a_given_size(sizes):
    def program(lib):
        up = lib.nn.ConvTranspose2d(3, 3, 2, stride=2)
        return up(data(lib, 2, 3, 3, 3), output_size=sizes)

    _, theirs = both(program)
    assert isinstance(theirs, ValueError) == (sizes == (8, 7))


def test_transposed_convolution_is_the_transpose():
    x, w = data(wg, 2, 3, 7, 6, dtype="float64"), data(wg, 4, 3, 3, 2, seed=1, dtype="float64")
    y = wg.nn.functional.conv2d(x, w, stride=(2, 1), padding=(1, 0))
    g = data(wg, *y.shape, seed=2, dtype="float64")
    back = wg.nn.functional.conv_transpose2d(g, w, stride=(2, 1), padding=(1, 0))
    assert back.shape == x.shape and float((y * g).sum()) == pytest.approx(float((x * back).sum()))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_adaptive_maxima_and_their_places(n):
    def program(lib):
        x = (data(lib, 2, 3, *(4, 5, 3)[:n]) * 1.5).round()  # with ties
        x.requires_grad_(True)
        function = getattr(lib.nn.functional, f"adaptive_max_pool{n}d")
        values, places = function(x, (3, 2, 2)[:n], return_indices=True)
        (values * data(lib, *values.shape, seed=3)).sum().backward()
        return [values, places, x.grad]

    both(program)


BAGS = {
    "offsets": lambda lib: ([lib.tensor([1, 4, 2, 4, 0, 3])], {"offsets": lib.tensor([0, 2, 2, 5])}),
    "rows": lambda lib: ([labels(lib, 3, 4, classes=5)], {}),
    "last": lambda lib: (
        [lib.tensor([1, 4, 2, 4])],
        {"offsets": lib.tensor([0, 1, 4]), "include_last_offset": True},
    ),
    "padding": lambda lib: ([lib.tensor([[1, 4], [2, 2], [0, 2]])], {"padding_idx": 2}),
}


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("kind", BAGS)
def test_embedding_bag(kind, mode):
    def program(lib):
        weight = data(lib, 5, 3, grad=True)
        args, options = BAGS[kind](lib)
        output = lib.nn.functional.embedding_bag(*args, weight, mode=mode, **options)
        (output * data(lib, *output.shape, seed=3)).sum().backward()
        return [output, weight.grad]

    both(program)


@pytest.mark.host("its modules stay where they are made")
def test_embedding_bag_module():
    def program(lib):
        bag = lib.nn.EmbeddingBag(6, 3, mode="sum", padding_idx=1, max_norm=1.0)
        weights = data(lib, 2, 3, seed=4, grad=True)
        output = bag(lib.tensor([[0, 1, 2], [3, 3, 5]]), per_sample_weights=weights)
        output.sum().backward()
        fixed = lib.nn.EmbeddingBag.from_pretrained(data(lib, 4, 2))
        rest = [fixed(lib.tensor([[0, 3]])), fixed.weight.requires_grad]
        return [repr(bag), output, weights.grad, bag.weight, bag.weight.grad, rest]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib, bag: bag(lib.tensor([0, 1])),
        lambda lib, bag: bag(lib.tensor([[0, 1]]), lib.tensor([0])),
        lambda lib, bag: bag(lib.tensor([0, 1]), lib.tensor([[0]])),
        lambda lib, bag: bag(lib.tensor([[0, 1]]), per_sample_weights=lib.ones(1, 2)),
        lambda lib, bag: bag(lib.zeros(1, 1, 1, dtype=lib.int64)),
        lambda lib, bag: bag(lib.tensor([0, 1]), lib.tensor([1])),
        lambda lib, bag: lib.nn.EmbeddingBag(3, 2, padding_idx=3),
        lambda lib, bag: lib.nn.EmbeddingBag(3, 2, mode="min")(lib.tensor([[0]])),
    ],
)
def test_embedding_bag_refusals(bad):
    _, theirs = both(lambda lib: bad(lib, lib.nn.EmbeddingBag(3, 2)))
    assert isinstance(theirs, Exception)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.host("each device draws its own random numbers")
def test_gumbel_softmax_draws_as_torch(hard):
    value_and_gradient(lambda lib, x: lib.nn.functional.gumbel_softmax(x, tau=0.7, hard=hard, dim=0), (4, 5))


@pytest.mark.parametrize("name", ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "selu_"])
def test_in_place_functions(name):
    def program(lib):
        x = data(lib, 3, 4)
        assert getattr(lib.nn.functional, name)(x) is x
        return x

    both(program)


def test_pairs_and_running_statistics():
    for p in (0.5, 1.0, 2.0, float("inf")):
        value_and_gradient(lambda lib, x, p=p: lib.nn.functional.pdist(x, p), (5, 3))
    both(lambda lib: lib.nn.functional.pdist(lib.zeros(1, 3)))

    def program(lib):
        mean, var = lib.zeros(3), lib.ones(3)
        out = lib.nn.functional.instance_norm(data(lib, 2, 3, 5), mean, var, momentum=0.2)
        fixed = lib.nn.functional.instance_norm(data(lib, 2, 3, 5), mean, var, use_input_stats=False)
        return [out, mean, var, fixed]

    both(program)
