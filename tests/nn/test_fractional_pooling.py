"""Fractional pooling, p-norm pooling in three dimensions, and pooling under names with indices: as torch's."""

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=5)

WAYS = {
    "sizes": ((2, 3, 9, 10), (2, 3), {"output_size": (4, 5)}),
    "one size": ((3, 9, 10), 2, {"output_size": 3}),
    "ratio": ((2, 3, 9, 10), 3, {"output_ratio": (0.4, 0.7)}),
    "as many as fit": ((1, 2, 6, 6), 2, {"output_size": 5}),
    "one window": ((1, 2, 6, 7), (6, 2), {"output_size": (1, 1)}),
    "none": ((1, 2, 6, 6), 2, {"output_size": 0}),
    "no example": ((0, 2, 6, 6), 2, {"output_size": 3}),
    "sizes in 3d": ((2, 2, 5, 6, 7), (2, 3, 1), {"output_size": (3, 2, 5)}),
    "ratio in 3d": ((2, 5, 6, 7), 2, {"output_ratio": (0.7, 0.5, 0.6)}),
}


def dims(way):
    return 3 if "3d" in way else 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.host("each device draws its own random numbers")
def test_drawn_windows(way, dtype):
    shape, kernel, options = WAYS[way]

    def program(lib):
        lib.manual_seed(2)
        x = data(lib, *shape, dtype=dtype, grad=True)
        module = getattr(lib.nn, f"FractionalMaxPool{dims(way)}d")
        y, places = module(kernel, return_indices=True, **options)(x)
        (y * data(lib, *y.shape, seed=9, dtype=dtype)).sum().backward()
        function = getattr(lib.nn.functional, f"fractional_max_pool{dims(way)}d")
        named = getattr(lib.nn.functional, f"fractional_max_pool{dims(way)}d_with_indices")
        plain = module(kernel, **options)
        return [
            y,
            places,
            x.grad,
            function(x, kernel, **options),
            named(x, kernel, **options),
            plain(x),
            repr(plain),
        ]

    both(program)


def test_given_samples():
    def program(lib):
        x, samples = data(lib, 2, 3, 9, 10, grad=True), data(lib, 2, 3, 2, low=0.0, high=1.0)
        module = lib.nn.FractionalMaxPool2d(2, 4, _random_samples=samples)
        y = module(x)
        y.square().sum().backward()
        return [y, x.grad, module(x), dict(module.state_dict())]

    both(program)


def test_equal_values_and_nan():
    def program(lib):
        x = lib.zeros(1, 1, 5, 5)
        x[0, 0, 2, 2] = float("nan")
        samples = lib.full((1, 1, 2), 0.5)
        return lib.nn.functional.fractional_max_pool2d_with_indices(x, 2, 3, _random_samples=samples)

    both(program)


def test_pooling_drawn_windows_has_second_derivatives():
    x = data(wg, 1, 2, 5, 6, dtype="float64", grad=True)
    samples = data(wg, 1, 2, 2, low=0.0, high=1.0, dtype="float64")

    def pooled(x):
        return wg.nn.functional.fractional_max_pool2d(x, 2, 3, _random_samples=samples)

    assert wg.autograd.gradcheck(pooled, (x,)) and wg.autograd.gradgradcheck(pooled, (x,))


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 2),
        lambda lib, x: lib.nn.functional.fractional_max_pool3d(x, 2),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 2, output_size=9),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.5, 0.5)),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, (2, 2, 2), output_size=3),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 0, output_size=3),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x[0, 0], 2, output_size=3),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x[:, :0], 2, output_size=3),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x.long(), 2, output_size=3),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 2, 3, _random_samples=x[:, :, 0, :3]),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(x, 2, 3, _random_samples=x[:1, :, 0, :2]),
        lambda lib, x: lib.nn.functional.fractional_max_pool2d(
            x, 2, 3, _random_samples=x[:, :, 0, :2].double()
        ),
        lambda lib, x: lib.nn.FractionalMaxPool2d(2),
        lambda lib, x: lib.nn.FractionalMaxPool2d(2, 3, 0.5),
        lambda lib, x: lib.nn.FractionalMaxPool2d(2, output_ratio=1.5),
        lambda lib, x: lib.nn.FractionalMaxPool3d(2, output_ratio=(0.5, 0.0, 0.5)),
        lambda lib, x: lib.nn.FractionalMaxPool3d((2, 0, 2), 3),
        lambda lib, x: lib.nn.functional.lp_pool1d(x[0], 0, 2),
        lambda lib, x: lib.nn.functional.lp_pool2d(x, 0, 2),
        lambda lib, x: lib.nn.functional.lp_pool3d(x, 0, 2),
        lambda lib, x: lib.nn.functional.lp_pool3d(x, 2, 9),
    ],
)
def test_refusals(bad):
    ours, theirs = both(lambda lib: bad(lib, data(lib, 2, 3, 6, 7)))
    assert isinstance(theirs, Exception), "torch accepts this"
    assert str(ours)


@pytest.mark.parametrize("norm", [2, 3.0, float("inf"), float("-inf")])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_p_norms(dims, norm):
    def program(lib):
        x = data(lib, 2, 3, *(7, 6, 5)[:dims], low=0.5, grad=True)
        pool = getattr(lib.nn.functional, f"lp_pool{dims}d")
        y = pool(x, norm, 2, ceil_mode=True)
        y.square().sum().backward()
        return [y, x.grad, pool(x[0], norm, 3, 2)]

    both(program)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_names_with_indices(dims):
    def program(lib):
        x = data(lib, 2, 3, *(7, 6, 5)[:dims], grad=True)
        F = lib.nn.functional
        windows = getattr(F, f"max_pool{dims}d_with_indices")
        adaptive = getattr(F, f"adaptive_max_pool{dims}d_with_indices")
        seen = [windows(x, 2), windows(x, 3, 2, 1, 1, True), adaptive(x, 2), adaptive(x, 3, True)]
        sum(y.square().sum() for y, _ in seen).backward()
        return [*seen, x.grad]

    both(program)
