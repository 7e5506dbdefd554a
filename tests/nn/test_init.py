"""Initialisation draws torch's numbers."""

import pytest
from nn_compare import both


def fill(lib, name, shape, *args, **kwargs):
    tensor = lib.empty(*shape)
    result = getattr(lib.nn.init, name)(tensor, *args, **kwargs)
    assert result is tensor
    return tensor


@pytest.mark.parametrize(
    "name, shape, args",
    [
        ("uniform_", (3, 5), (-1.0, 2.0)),
        ("normal_", (3, 5), (1.0, 0.5)),
        ("normal_", (10, 5), ()),
        ("constant_", (3,), (2.5,)),
        ("ones_", (3,), ()),
        ("zeros_", (3,), ()),
        ("eye_", (3, 4), ()),
        ("dirac_", (4, 2, 3), ()),
        ("dirac_", (4, 2, 3, 3), (2,)),
        ("xavier_uniform_", (3, 5), (2.0,)),
        ("xavier_normal_", (3, 5, 2), ()),
        ("kaiming_uniform_", (3, 5), ()),
        ("kaiming_uniform_", (3, 5, 2, 2), (0.1, "fan_out")),
        ("kaiming_normal_", (30, 5), (0, "fan_in", "relu")),
        ("trunc_normal_", (40, 5), ()),
        ("trunc_normal_", (40, 5), (0.0, 1.0, 1.0, 1.2)),
        ("orthogonal_", (3, 5), ()),
        ("orthogonal_", (5, 3), (2.0,)),
        ("orthogonal_", (2, 3, 4), ()),
        ("sparse_", (10, 4), (0.3,)),
    ],
)
def test_same_numbers(name, shape, args):
    both(lambda lib: fill(lib, name, shape, *args), tol=2e-6)


@pytest.mark.parametrize(
    "name, shape, args",
    [
        ("xavier_uniform_", (3,), ()),
        ("eye_", (3,), ()),
        ("dirac_", (3, 3), ()),
        ("dirac_", (3, 3, 3), (2,)),
        ("orthogonal_", (3,), ()),
        ("sparse_", (3,), (0.1,)),
        ("kaiming_uniform_", (3, 3), (0, "fan_mid")),
        ("kaiming_uniform_", (3, 3), (0, "fan_in", "swirl")),
    ],
)
def test_refusals(name, shape, args):
    _, theirs = both(lambda lib: fill(lib, name, shape, *args))
    assert isinstance(theirs, ValueError)


@pytest.mark.parametrize(
    "name, args",
    [
        ("uniform", (-1.0, 2.0)),
        ("normal", (1.0, 0.5)),
        ("constant", (2.5,)),
        ("eye", ()),
        ("dirac", ()),
        ("xavier_uniform", (2.0,)),
        ("xavier_normal", ()),
        ("kaiming_uniform", ()),
        ("kaiming_normal", ()),
        ("orthogonal", ()),
        ("sparse", (0.3,)),
    ],
)
def test_old_names(name, args):
    def program(lib):
        shape = (4, 3, 3) if name == "dirac" else (4, 3)
        with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of") as caught:
            filled = fill(lib, name, shape, *args)
        return [filled, str(caught[0].message), getattr(lib.nn.init, name).__name__]

    both(program, tol=2e-6)


def test_gain_and_leaves():
    for kind in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        both(lambda lib, kind=kind: float(lib.nn.init.calculate_gain(kind)))

    def program(lib):
        weight = lib.nn.Parameter(lib.empty(2, 2))
        lib.nn.init.normal_(weight)
        return [weight.is_leaf, weight.requires_grad, weight.grad_fn is None]

    both(program)


def test_generator():
    def program(lib):
        generator = lib.Generator()
        generator.manual_seed(3)
        return lib.nn.init.kaiming_uniform_(lib.empty(3, 4), generator=generator)

    both(program)
