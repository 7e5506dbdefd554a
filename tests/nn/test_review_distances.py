"""Norms and angles of zero, tiny and huge vectors: values and gradients as PyTorch's."""

import pytest
from nn_compare import both

pytestmark = pytest.mark.devices(factories=True, sample=5)

VECTORS = {
    "zeros": [[0.0, 0.0], [0.0, 0.0]],
    "a zero row": [[0.0, 0.0], [3.0, 4.0]],
    "equal rows": [[3.0, 4.0], [3.0, 4.0]],
    "tiny": [[1e-30, 2e-30], [1e-20, 1e-21]],
    "below eps": [[1e-14, 2e-14], [1e-14, 3e-14]],
    "huge": [[1e30, -1e30], [1.0, 2.0]],
    "inf and nan": [[float("inf"), 1.0], [float("nan"), 1.0]],
}
PROGRAMS = {
    "normalize": lambda F, x: F.normalize(x),
    "normalize p=1": lambda F, x: F.normalize(x, p=1, dim=0),
    "normalize p=1.5": lambda F, x: F.normalize(x, p=1.5),
    "normalize p=inf": lambda F, x: F.normalize(x, p=float("inf")),
    "cosine_similarity": lambda F, x: F.cosine_similarity(x, x + 1),
    "cosine_similarity flipped": lambda F, x: F.cosine_similarity(x, x.flip(0), dim=0),
    "cosine_similarity broadcast": lambda F, x: F.cosine_similarity(x, x[:1], dim=-1, eps=1e-3),
    "pairwise_distance": lambda F, x: F.pairwise_distance(x, x.flip(0)),
    "pairwise_distance eps=0": lambda F, x: F.pairwise_distance(x, x * 1, eps=0.0),
    "pairwise_distance p=1": lambda F, x: F.pairwise_distance(x, x * 0, p=1, eps=0.0, keepdim=True),
    "pairwise_distance p=3": lambda F, x: F.pairwise_distance(x, x * 0, p=3.0, eps=0.0),
}


@pytest.mark.parametrize("vectors", VECTORS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_values_and_gradients(vectors, program):
    def run(m):
        x = m.tensor(VECTORS[vectors], requires_grad=True)
        y = PROGRAMS[program](m.nn.functional, x)
        y.sum().backward()
        # At infinities only the values: gradients there are a matter of which of two NaNs is masked.
        return (y, x.grad) if vectors != "inf and nan" else y

    both(run)


@pytest.mark.parametrize(
    "program",
    [
        lambda m: m.nn.functional.normalize(m.ones(2, 2, dtype=m.int64)),
        lambda m: m.nn.functional.cosine_similarity(m.ones(2, 2, dtype=m.int64), m.ones(2, 2, dtype=m.int64)),
        lambda m: m.nn.functional.cosine_similarity(m.ones(2, 2), m.ones(2, 2, dtype=m.float64)),
        lambda m: m.nn.functional.cosine_similarity(m.ones(2, 3), m.ones(3), dim=1),
        lambda m: m.nn.CosineSimilarity(0)(m.arange(4.0), m.ones(4)),
        lambda m: m.nn.functional.cosine_similarity(m.ones(2), m.ones(3), dim=0),
    ],
)
def test_dtypes_and_shapes(program):
    both(program)
