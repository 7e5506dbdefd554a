"""Parametrizations, weight and spectral normalisation: as torch's."""

import copy
import io
import pickle
import warnings

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=5)


def forms(lib):
    class Symmetric(lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, x):
            return x.triu()

    class Doubled(lib.nn.Module):
        def forward(self, x):
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    class Sum(lib.nn.Module):
        def forward(self, a, b):
            return a + b

        def right_inverse(self, x):
            return x * 0.25, x * 0.75

    class Shorter(lib.nn.Module):
        def forward(self, x):
            return x[:1]

    class Squared(lib.nn.Module):
        def forward(self, x):
            return x * x

    return {c.__name__: c for c in (Symmetric, Doubled, Sum, Shorter, Squared)}


@pytest.mark.parametrize(
    "chain", ["Symmetric", "Doubled", "Symmetric Doubled", "Doubled Symmetric", "Sum", "Squared"]
)
@pytest.mark.host("its modules stay where they are made")
def test_registering_assigning_and_removing(chain):
    def program(lib):
        parametrize, layer, x = lib.nn.utils.parametrize, lib.nn.Linear(3, 3), data(lib, 2, 3)
        for name in chain.split():
            result = parametrize.register_parametrization(layer, "weight", forms(lib)[name]())
        seen = [
            result is layer,
            parametrize.is_parametrized(layer),
            parametrize.is_parametrized(layer, "bias"),
        ]
        seen += [repr(layer), layer.weight, layer(x), dict(layer.state_dict())]
        layer(x).pow(2).sum().backward()
        seen += [p.grad for p in layer.parameters()]
        seen += [[n for n, _ in layer.named_parameters()], isinstance(layer, lib.nn.Linear)]
        seen += [parametrize.type_before_parametrizations(layer).__name__]
        with parametrize.cached():
            seen += [layer.weight is layer.weight, layer(x)]
        if chain != "Squared":
            layer.weight = lib.arange(9.0).reshape(3, 3)
            seen += [layer.weight, dict(layer.state_dict())]
        twin = copy.deepcopy(layer)
        seen += [twin(x), twin.weight is layer.weight]
        parametrize.remove_parametrizations(layer, "weight")
        seen += [repr(layer), dict(layer.state_dict()), type(layer) is lib.nn.Linear, layer(x)]
        return [*seen, [n for n, _ in layer.named_parameters()]]

    both(program)


def test_removal_without_the_computed_value_and_of_buffers():
    def program(lib):
        parametrize, layer = lib.nn.utils.parametrize, lib.nn.BatchNorm1d(3)
        doubled = forms(lib)["Squared"]
        for name in ("weight", "running_var"):
            parametrize.register_parametrization(layer, name, doubled())
        seen = [layer(data(lib, 4, 3)), dict(layer.state_dict())]
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        parametrize.remove_parametrizations(layer, "running_var", leave_parametrized=True)
        return [*seen, dict(layer.state_dict()), [n for n, _ in layer.named_buffers()]]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda p, layer, f: p.register_parametrization(layer, "weigth", f["Doubled"]()),
        lambda p, layer, f: p.register_parametrization(layer, "weight", f["Shorter"]()),
        lambda p, layer, f: p.remove_parametrizations(layer, "weight"),
        lambda p, layer, f: setattr(
            p.register_parametrization(layer, "weight", f["Squared"]()), "weight", layer.weight.detach()
        ),
        lambda p, layer, f: p.remove_parametrizations(
            p.register_parametrization(layer, "weight", f["Sum"]()), "weight", leave_parametrized=False
        ),
        lambda p, layer, f: pickle.dumps(p.register_parametrization(layer, "weight", f["Doubled"]())),
    ],
)
def test_refusals(bad):
    def program(lib):
        layer = lib.nn.Linear(3, 3)
        try:
            return bad(lib.nn.utils.parametrize, layer, forms(lib))
        except Exception:
            assert layer(lib.ones(3)).shape == (3,), "the layer still works"
            raise

    _, theirs = both(program)
    assert isinstance(theirs, Exception)


def trained(lib, layer, x):
    optimizer = lib.optim.SGD(layer.parameters(), lr=0.01)
    seen = []
    for _ in range(3):
        y = layer(x)
        optimizer.zero_grad()
        y.pow(2).sum().backward()
        optimizer.step()
        seen.append(y)
    layer.eval()
    return [*seen, layer(x), layer(x), dict(layer.state_dict()), repr(layer)]


LAYERS = {
    "Linear": (lambda nn: nn.Linear(4, 3), (2, 4)),
    "Conv2d": (lambda nn: nn.Conv2d(2, 3, 2), (1, 2, 4, 4)),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(2, 3, 2), (1, 2, 4, 4)),
}


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    "kind", ["weight_norm", "weight_norm of all", "weight_norm 1", "spectral_norm", "spectral_norm 3"]
)
@pytest.mark.host("each device draws its own random numbers")
def test_normalised_weights(kind, layer, new):
    def program(lib):
        utils = lib.nn.utils.parametrizations if new else lib.nn.utils
        make, shape = LAYERS[layer]
        options = {"weight_norm of all": {"dim": None}, "weight_norm 1": {"dim": 1}}
        options["spectral_norm 3"] = {"n_power_iterations": 3}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = getattr(utils, kind.split()[0])(make(lib.nn), **options.get(kind, {}))
        return trained(lib, made, data(lib, *shape))

    both(program)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.host("each device draws its own random numbers")
def test_removal_of_older_forms(kind):
    def program(lib):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = getattr(lib.nn.utils, kind)(lib.nn.Linear(4, 3))
        x = data(lib, 2, 4)
        layer.eval()
        before = layer(x)
        remove = getattr(lib.nn.utils, f"remove_{kind}")
        remove(layer)
        seen = [before, layer(x), dict(layer.state_dict()), [n for n, _ in layer.named_parameters()]]
        try:
            remove(layer)
        except ValueError as error:
            seen.append(type(error).__name__)
        return seen

    both(program)


def test_a_state_dict_goes_round():
    make = wg.nn.utils.parametrizations.weight_norm
    layer, other, file = make(wg.nn.Linear(3, 2)), make(wg.nn.Linear(3, 2)), io.BytesIO()
    wg.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(wg.load(file))
    assert other.weight.equal(layer.weight)


def test_a_copy_outlives_the_removal():
    parametrize = wg.nn.utils.parametrize
    layer = parametrize.register_parametrization(wg.nn.Linear(3, 3), "weight", forms(wg)["Doubled"]())
    twin = copy.deepcopy(layer)
    weight = twin.weight
    parametrize.remove_parametrizations(layer, "weight")
    assert twin.weight.equal(weight) and parametrize.is_parametrized(twin)
