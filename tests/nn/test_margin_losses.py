"""Losses of margins and distances as torch's: each reduction, options, and refusals."""

import pytest
from nn_compare import both, data

pytestmark = pytest.mark.devices(factories=True, sample=10)

ONES = [1, -1, -1, 1, 1]


def signs(lib, *shape):
    count = 1
    for n in shape:
        count *= n
    values = [(-1.0) ** (i * i // 3) for i in range(count)]
    return lib.tensor(values).reshape(shape)


def pairs(lib):
    return data(lib, 5, 4, seed=1, grad=True), data(lib, 5, 4, seed=2, grad=True)


# name, options, the tensors that take gradients, further arguments
CASES = {
    "CosineEmbeddingLoss": [
        ({}, pairs, lambda lib: [lib.tensor(ONES)]),
        ({"margin": 0.3}, pairs, lambda lib: [lib.tensor(ONES)]),
    ],
    "MarginRankingLoss": [
        ({}, pairs, lambda lib: [signs(lib, 5, 4)]),
        ({"margin": 0.7}, pairs, lambda lib: [signs(lib, 5, 1)]),
    ],
    "HingeEmbeddingLoss": [
        ({}, lambda lib: pairs(lib)[:1], lambda lib: [signs(lib, 5, 4)]),
        ({"margin": 0.4}, lambda lib: pairs(lib)[:1], lambda lib: [signs(lib, 5, 4)]),
    ],
    "SoftMarginLoss": [({}, lambda lib: pairs(lib)[:1], lambda lib: [signs(lib, 5, 4)])],
    "TripletMarginLoss": [
        (options, lambda lib: (*pairs(lib), data(lib, 5, 4, seed=3, grad=True)), lambda lib: [])
        for options in ({}, {"margin": 2.5, "p": 1}, {"swap": True, "p": 3.0, "eps": 1e-3})
    ],
    "TripletMarginWithDistanceLoss": [
        (options, lambda lib: (*pairs(lib), data(lib, 5, 4, seed=3, grad=True)), lambda lib: [])
        for options in (
            {},
            {"distance_function": lambda x, y: ((x - y) ** 2).sum(-1), "margin": 3.0, "swap": True},
        )
    ],
    "MultiMarginLoss": [
        ({}, lambda lib: pairs(lib)[:1], lambda lib: [lib.tensor([0, 3, 1, 2, 3])]),
        ({"p": 2, "margin": 0.5}, lambda lib: pairs(lib)[:1], lambda lib: [lib.tensor([0, 3, 1, 2, 3])]),
        ({}, lambda lib: [data(lib, 4, grad=True)], lambda lib: [lib.tensor(2)]),
    ],
    "MultiLabelMarginLoss": [
        (
            {},
            lambda lib: pairs(lib)[:1],
            lambda lib: [
                lib.tensor([[3, 0, -1, 1], [1, -1, 2, 2], [-1, 0, 1, 2], [0, 1, 2, 3], [2, 1, -1, -1]])
            ],
        ),
        ({}, lambda lib: [data(lib, 4, grad=True)], lambda lib: [lib.tensor([3, 0, -1, 1])]),
    ],
    "MultiLabelSoftMarginLoss": [({}, lambda lib: pairs(lib)[:1], lambda lib: [(signs(lib, 5, 4) + 1) / 2])],
    "GaussianNLLLoss": [
        (
            options,
            lambda lib: pairs(lib),
            lambda lib, shape=shape: [data(lib, *shape, seed=5, low=0.0, grad=True)],
        )
        for options, shape in (({}, (5, 4)), ({"full": True}, (5,)), ({"eps": 0.5}, (5, 1)))
    ],
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name, index", [(n, i) for n, cases in CASES.items() for i in range(len(cases))])
def test_value_and_gradient(name, index, reduction):
    options, inputs, rest = CASES[name][index]

    def program(lib):
        tensors, others = list(inputs(lib)), rest(lib)
        module = getattr(lib.nn, name)(reduction=reduction, **options)
        loss = module(*tensors, *others)
        loss.sum().backward()
        free = [t for t in tensors + others if t.requires_grad]
        return [loss, [t.grad for t in free], repr(module)]

    both(program)


@pytest.mark.parametrize("name", ["MultiMarginLoss", "MultiLabelSoftMarginLoss"])
def test_class_weights(name):
    def program(lib):
        weight = lib.tensor([0.5, 1.0, 2.0, 0.0])
        target = lib.tensor([0, 3, 1, 2, 3]) if name == "MultiMarginLoss" else (signs(lib, 5, 4) + 1) / 2
        module = getattr(lib.nn, name)(weight=weight)
        return [module(data(lib, 5, 4), target), dict(module.state_dict())]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.nn.TripletMarginLoss(margin=0.0),
        lambda lib: lib.nn.TripletMarginWithDistanceLoss(margin=-1.0),
        lambda lib: lib.nn.functional.triplet_margin_loss(*[lib.ones(2, 2)] * 3, margin=0.0),
        lambda lib: lib.nn.functional.triplet_margin_loss(lib.ones(2, 2), lib.ones(2, 2), lib.ones(2)),
        lambda lib: lib.nn.MultiMarginLoss(p=3),
        lambda lib: lib.nn.functional.multi_margin_loss(lib.ones(2, 3), lib.tensor([0])),
        lambda lib: lib.nn.functional.multi_margin_loss(lib.ones(1, 3), lib.tensor([0]), weight=lib.ones(2)),
        lambda lib: lib.nn.functional.multilabel_margin_loss(lib.ones(2, 3), lib.tensor([0])),
        lambda lib: lib.nn.functional.margin_ranking_loss(lib.ones(2), lib.ones(2, 2), lib.ones(2)),
        lambda lib: lib.nn.functional.cosine_embedding_loss(lib.ones(2), lib.ones(2, 2), lib.ones(2)),
        lambda lib: lib.nn.functional.cosine_embedding_loss(lib.ones(2, 2), lib.ones(2, 2), lib.ones(2, 2)),
        lambda lib: lib.nn.functional.gaussian_nll_loss(lib.ones(2), lib.ones(2), -lib.ones(2)),
        lambda lib: lib.nn.functional.gaussian_nll_loss(lib.ones(2, 3), lib.ones(2, 3), lib.ones(3)),
        lambda lib: lib.nn.functional.hinge_embedding_loss(lib.ones(2), lib.ones(2), reduction="all"),
    ],
)
def test_refusals(bad):
    _, theirs = both(bad)
    assert isinstance(theirs, Exception)
