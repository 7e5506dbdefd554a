"""Loss functions against torch: values, gradients, reductions, weights and refusals."""

import pytest
from nn_compare import both, data, labels

pytestmark = pytest.mark.devices(factories=True, sample=10)


def run(make_loss, make_inputs, tol=1e-5):
    def program(lib):
        inputs = make_inputs(lib)
        loss = make_loss(lib)(*inputs)
        weight = data(lib, *loss.shape, seed=5) if loss.ndim else 1.0
        (loss * weight).sum().backward()
        return [loss, [x.grad for x in inputs if x.is_floating_point() and x.requires_grad]]

    both(program, tol)


REDUCTIONS = ["mean", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (3, 4, 2), (2, 4, 3, 2)])
def test_cross_entropy_of_classes(reduction, smoothing, weighted, shape):
    target_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()

    def loss(lib):
        weight = data(lib, 4, low=0.2, high=2.0) if weighted else None
        return lib.nn.CrossEntropyLoss(weight, reduction=reduction, label_smoothing=smoothing, ignore_index=1)

    run(loss, lambda lib: [data(lib, *shape, grad=True), labels(lib, *target_shape, classes=4, seed=3)])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (3, 4, 2)])
def test_cross_entropy_of_probabilities(reduction, smoothing, weighted, shape):
    def loss(lib):
        weight = data(lib, 4, low=0.2, high=2.0) if weighted else None
        return lib.nn.CrossEntropyLoss(weight, reduction=reduction, label_smoothing=smoothing)

    run(
        loss,
        lambda lib: [data(lib, *shape, grad=True), data(lib, *shape, seed=2, low=0.0, high=1.0, grad=True)],
    )


def test_cross_entropy_default_is_the_fast_path():
    run(
        lambda lib: lib.nn.CrossEntropyLoss(),
        lambda lib: [data(lib, 16, 2, grad=True), labels(lib, 16, classes=2)],
    )
    run(
        lambda lib: lib.nn.functional.cross_entropy,
        lambda lib: [data(lib, 16, 2, dtype="float64", grad=True), labels(lib, 16, classes=2)],
        tol=1e-12,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (3, 4, 2)])
def test_nll(reduction, weighted, shape):
    target_shape = shape[:1] + shape[2:] if len(shape) > 1 else ()

    def loss(lib):
        weight = data(lib, 4, low=0.2, high=2.0) if weighted else None
        return lib.nn.NLLLoss(weight, reduction=reduction, ignore_index=1)

    run(loss, lambda lib: [data(lib, *shape, grad=True), labels(lib, *target_shape, classes=4, seed=3)])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "name, options",
    [
        ("MSELoss", {}),
        ("L1Loss", {}),
        ("SmoothL1Loss", {}),
        ("SmoothL1Loss", {"beta": 0.3}),
        ("SmoothL1Loss", {"beta": 0.0}),
        ("HuberLoss", {"delta": 0.7}),
        ("PoissonNLLLoss", {}),
        ("PoissonNLLLoss", {"full": True}),
    ],
)
def test_of_two_tensors(name, options, reduction):
    run(
        lambda lib: getattr(lib.nn, name)(reduction=reduction, **options),
        lambda lib: [data(lib, 5, 3, grad=True), data(lib, 5, 3, seed=1, low=0.0, high=3.0)],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropies(reduction, weighted):
    run(
        lambda lib: lib.nn.BCELoss(data(lib, 3, low=0.1) if weighted else None, reduction=reduction),
        lambda lib: [
            data(lib, 5, 3, low=0.01, high=0.99, grad=True),
            data(lib, 5, 3, seed=1, low=0.0, high=1.0),
        ],
    )
    run(
        lambda lib: lib.nn.BCEWithLogitsLoss(
            data(lib, 3, low=0.1) if weighted else None,
            reduction=reduction,
            pos_weight=data(lib, 3, seed=4, low=0.1) if weighted else None,
        ),
        lambda lib: [
            data(lib, 5, 3, low=-40, high=40, grad=True),
            data(lib, 5, 3, seed=1, low=0.0, high=1.0),
        ],
    )


def test_saturated_probabilities_stay_finite():
    def inputs(lib):
        p = lib.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
        return [p, lib.tensor([0.0, 1.0, 1.0, 0.0])]

    def program(lib):
        p, t = inputs(lib)
        loss = lib.nn.BCELoss(reduction="none")(p, t)
        return loss

    both(program)


def test_saturated_logits():
    run(
        lambda lib: lib.nn.BCEWithLogitsLoss(reduction="none"),
        lambda lib: [lib.tensor([0.0, 200.0, -200.0], requires_grad=True), lib.tensor([0.5, 1.0, 1.0])],
    )


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target):
    def inputs(lib):
        target = lib.softmax(data(lib, 5, 3, seed=1), dim=1)
        return [data(lib, 5, 3, grad=True), target.log() if log_target else target]

    run(lambda lib: lib.nn.KLDivLoss(reduction=reduction, log_target=log_target), inputs)


def test_refusals():
    def check(program):
        ours, theirs = both(program)
        assert isinstance(theirs, Exception), "torch accepts this"

    check(lambda lib: lib.nn.BCELoss()(lib.tensor([1.5]), lib.tensor([1.0])))
    check(lambda lib: lib.nn.BCELoss()(lib.tensor([0.5, 0.5]), lib.tensor([1.0])))
    check(lambda lib: lib.nn.BCEWithLogitsLoss()(lib.tensor([0.5, 0.5]), lib.tensor([1.0])))
    check(lambda lib: lib.nn.HuberLoss(delta=-1.0)(lib.tensor([1.5]), lib.tensor([1.0])))
    check(lambda lib: lib.nn.NLLLoss()(data(lib, 2, 3), lib.tensor([0, 3])))
    check(lambda lib: lib.nn.CrossEntropyLoss()(data(lib, 2, 3), lib.tensor([0, 3])))
    check(lambda lib: lib.nn.CrossEntropyLoss()(data(lib, 2, 3), lib.tensor([0.0, 1.0])))
    check(lambda lib: lib.nn.MSELoss(reduction="median")(data(lib, 2), data(lib, 2)))


def test_size_warning():
    for lib_warns in (lambda lib: lib.nn.MSELoss(), lambda lib: lib.nn.L1Loss()):
        with pytest.warns(UserWarning, match="different to the input size"):
            both(lambda lib, make=lib_warns: make(lib)(data(lib, 3, 1), data(lib, 3)))
