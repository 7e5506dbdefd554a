"""AdaptiveLogSoftmaxWithLoss and CrossMapLRN2d against torch's."""

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = [
    pytest.mark.devices(factories=True, sample=5),
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors"),
]

MADE = {
    "two clusters": ((16, 10, [3, 6]), {}),
    "a cluster without features": ((8, 10, [3, 6]), {}),
    "bias": ((8, 10, (3, 6)), {"head_bias": True, "div_value": 2.0}),
    "one": ((8, 5, [4]), {}),
    "many": ((16, 9, [1, 2, 4, 6, 8]), {"div_value": 1.5}),
}
TARGETS = [[0, 2, 5, 9, 3, 6], [0, 1, 2, 2, 1, 0], [9, 9, 9, 9, 9, 9]]


def made(lib, kind):
    arguments, options = MADE[kind]
    return lib.nn.AdaptiveLogSoftmaxWithLoss(*arguments, **options, dtype=lib.float64)


@pytest.mark.parametrize("targets", TARGETS, ids=str)
@pytest.mark.parametrize("kind", MADE)
def test_values_and_gradients(kind, targets):
    def program(lib):
        module = made(lib, kind)
        x = data(lib, 6, module.in_features, dtype="float64", grad=True)
        target = lib.tensor(targets) % module.n_classes
        output, loss = module(x, target)
        wanted = [x, *module.parameters()]
        first = lib.autograd.grad(
            loss + output.square().sum(), wanted, create_graph=True, allow_unused=True, materialize_grads=True
        )
        second = lib.autograd.grad(
            sum(g.square().sum() for g in first), wanted, allow_unused=True, materialize_grads=True
        )
        return [output, loss, list(first), list(second), module.log_prob(x), module.predict(x)]

    both(program, 1e-9)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.host("each device draws its own random numbers")
def test_repr_and_initial_state(kind):
    def program(lib):
        lib.manual_seed(1)
        module = made(lib, kind)
        first = dict(module.state_dict())
        seen = [repr(module), {k: v.clone() for k, v in first.items()}]
        module.reset_parameters()
        names = (
            "cutoffs",
            "shortlist_size",
            "n_clusters",
            "head_size",
            "n_classes",
            "div_value",
            "head_bias",
        )
        return [*seen, dict(module.state_dict()), [getattr(module, name) for name in names]]

    both(program, 1e-9)


def test_one_example():
    def program(lib):
        module = made(lib, "two clusters")
        found = module(data(lib, 16, dtype="float64"), lib.tensor(7))
        batch = module(data(lib, 1, 16, dtype="float64"), lib.tensor([1]))
        return [found.output, found.loss, batch.output, batch.loss, type(found).__name__]

    both(program, 1e-9)


@pytest.mark.parametrize("rows", [[0], [1, 2], [0, 1, 2, 3]])
def test_predict_goes_where_the_head_points(rows):
    """Inputs along a row of the head's weight make it prefer that entry."""

    def program(lib):
        module = made(lib, "two clusters")
        with lib.no_grad():
            module.head.weight.zero_()
            module.head.weight[:4, :4] = lib.eye(4, dtype=lib.float64) * 9
        x = lib.eye(16, dtype=lib.float64)[rows]
        return [module.predict(x), module.log_prob(x).exp().sum(1)]

    both(program, 1e-9)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 10, []),
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [0, 3]),
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 3]),
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [6, 3]),
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 10]),
        lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [2.5]),
        lambda lib: made(lib, "one")(data(lib, 6, 8, dtype="float64"), lib.tensor([1, 2])),
        lambda lib: made(lib, "one")(data(lib, 8, dtype="float64"), lib.tensor([1])),
        lambda lib: made(lib, "one")(data(lib, 1, 8, dtype="float64"), lib.tensor(1)),
        lambda lib: made(lib, "one")(data(lib, 1, 8, dtype="float64"), lib.tensor([[1]])),
        lambda lib: made(lib, "one")(data(lib, 1, 8, dtype="float64"), lib.tensor([5])),
        lambda lib: made(lib, "one")(data(lib, 1, 8, dtype="float64"), lib.tensor([-1])),
        lambda lib: lib.nn.CrossMapLRN2d(3)(data(lib, 2, 3, 4)),
    ],
)
def test_refusals(bad):
    ours, theirs = both(bad)
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_cross_map_norm(channels, size):
    def program(lib):
        module = lib.nn.CrossMapLRN2d(size, alpha=0.5, beta=0.6, k=2)
        return [module(data(lib, 2, channels, 3, 2)), repr(module), repr(lib.nn.CrossMapLRN2d(size))]

    both(program)


def test_cross_map_norm_has_the_gradient_of_its_value():
    module, x = wg.nn.CrossMapLRN2d(3, alpha=0.5), data(wg, 1, 5, 2, 2, dtype="float64", grad=True)
    assert wg.autograd.gradcheck(module, (x,))
