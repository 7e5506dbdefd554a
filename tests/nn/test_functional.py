"""Functional forms that no module covers, and their options."""

import pytest
from nn_compare import both, data, labels

pytestmark = pytest.mark.devices(factories=True, sample=5)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("amounts", [(1, 2), (2, 0, 1, 1)])
def test_pad(mode, amounts):
    def program(lib):
        x = data(lib, 2, 3, 4, 5, grad=True) if len(amounts) == 4 else data(lib, 2, 3, 4, grad=True)
        y = lib.nn.functional.pad(x, amounts, mode=mode)
        (y * y).sum().backward()
        return [y, x.grad]

    both(program)


def test_pad_values_and_cuts():
    both(lambda lib: lib.nn.functional.pad(data(lib, 3, 4), (1, 1), value=2.5))
    both(lambda lib: lib.nn.functional.pad(data(lib, 3, 4), (-1, 2, 0, -1)))
    both(lambda lib: lib.nn.functional.pad(labels(lib, 3, 4), (0, 2), value=7))
    ours, theirs = both(lambda lib: lib.nn.functional.pad(data(lib, 3), (1, 1, 1, 1)))
    assert isinstance(theirs, RuntimeError)
    ours, theirs = both(lambda lib: lib.nn.functional.pad(data(lib, 2, 3), (4, 0), mode="reflect"))
    assert isinstance(theirs, RuntimeError)


def test_one_hot():
    both(lambda lib: lib.nn.functional.one_hot(labels(lib, 2, 3, classes=4)))
    both(lambda lib: lib.nn.functional.one_hot(labels(lib, 5, classes=4), num_classes=6))
    for bad in (
        lambda lib: lib.tensor([-1]),
        lambda lib: lib.tensor([1.0]),
        lambda lib: lib.zeros(0, dtype=lib.int64),
    ):
        _, theirs = both(lambda lib, bad=bad: lib.nn.functional.one_hot(bad(lib)))
        assert isinstance(theirs, RuntimeError)
    _, theirs = both(lambda lib: lib.nn.functional.one_hot(lib.tensor([3]), 2))
    assert isinstance(theirs, RuntimeError)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
def test_normalize_and_distance(p):
    def program(lib):
        x = data(lib, 3, 4, grad=True)
        y = lib.nn.functional.normalize(x, p=p, dim=1)
        d = lib.nn.functional.pairwise_distance(x, data(lib, 3, 4, seed=1), p=p, keepdim=True)
        (y.sum() + (d * d).sum()).backward()
        return [y, d, x.grad]

    both(program)


def test_cosine_similarity_broadcasts():
    both(lambda lib: lib.nn.functional.cosine_similarity(data(lib, 3, 1, 4), data(lib, 5, 4, seed=1), dim=-1))


def test_max_pool_indices():
    def program(lib):
        x = data(lib, 1, 2, 4, 4)
        return list(lib.nn.functional.max_pool2d(x, 2, return_indices=True))

    both(program)


@pytest.mark.filterwarnings("ignore:Implicit dimension")
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_softmax_without_dim(shape):
    both(lambda lib: lib.nn.functional.softmax(data(lib, *shape)))
    both(lambda lib: lib.nn.functional.log_softmax(data(lib, *shape), dim=0, dtype=lib.float64))


@pytest.mark.host("each device draws its own random numbers")
def test_dropout_draws_and_scales_as_torch():
    both(lambda lib: lib.nn.functional.dropout(data(lib, 50), 0.25))
    both(lambda lib: lib.nn.functional.dropout(data(lib, 50), 1.0))
    both(lambda lib: lib.nn.functional.dropout(lib.arange(3), 1.0))
    both(lambda lib: lib.nn.functional.dropout(lib.ones(3) > 0, 1.0))
    both(lambda lib: lib.nn.functional.dropout(data(lib, 7, 3).t(), 0.5))
    for dtype in ("float16", "bfloat16", "float64"):
        both(
            lambda lib, to=dtype: lib.nn.functional.dropout(data(lib, 50).to(getattr(lib, to)), 0.3).double(),
            0,
        )
    both(lambda lib: lib.nn.functional.dropout(lib.tensor([float("nan"), float("inf")] * 8), 0.5))

    def slopes(lib):
        x = data(lib, 50, grad=True)
        y = lib.nn.functional.dropout(x.exp(), 0.25)
        (first,) = lib.autograd.grad(y.square().sum(), x, create_graph=True)
        return [first, *lib.autograd.grad(first.sum(), x)]

    both(slopes)

    def in_place(lib):
        x = data(lib, 50)
        assert lib.nn.functional.dropout(x, 0.5, inplace=True) is x
        return x

    both(in_place)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.nn.functional.dropout(lib.arange(3), 0.5),
        lambda lib: lib.nn.functional.dropout(lib.ones(3) > 0, 0.5),
        lambda lib: lib.nn.functional.dropout([1.0], 0.5),
        lambda lib: lib.nn.functional.dropout(lib.ones(3), 1.5),
        lambda lib: lib.nn.functional.dropout(lib.ones(3), -0.1),
    ],
)
def test_dropout_refuses(bad):
    _, theirs = both(bad)
    assert isinstance(theirs, Exception)


def test_dropout_keeps_a_byte_an_element():
    import wengert as wg

    x = wg.ones(10_000, requires_grad=True)
    before = wg.debug.live()["value_bytes"]
    y = wg.nn.functional.dropout(x, 0.5)
    assert wg.debug.live()["value_bytes"] - before <= 5 * 10_000 + 100
    y.sum().backward()
    assert wg.equal(x.grad, y)


@pytest.mark.parametrize("name", ["softplus", "logsigmoid", "elu", "selu", "mish", "silu", "gelu", "celu"])
def test_extreme_values_keep_finite_gradients(name):
    def program(lib):
        x = lib.tensor([-200.0, -30.0, -1e-3, 0.0, 1e-3, 30.0, 200.0], requires_grad=True)
        y = getattr(lib.nn.functional, name)(x)
        y.sum().backward()
        return [y, x.grad]

    both(program)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_refuses_what_does_not_fit(training):
    three, four = (lambda lib: data(lib, 3)), (lambda lib: data(lib, 4))
    none = lambda lib: None  # noqa: E731
    for mean, var, weight in [
        (four, four, none),
        (three, four, none),
        (three, three, four),
        (none, three, none),
        (three, none, none),
        (none, none, four),
    ]:

        def program(lib, mean=mean, var=var, weight=weight):
            x = data(lib, 2, 3, 5)
            return lib.nn.functional.batch_norm(x, mean(lib), var(lib), weight(lib), training=training)

        ours, theirs = both(program)
        assert isinstance(ours, (RuntimeError, ValueError)) and isinstance(theirs, type(ours))
