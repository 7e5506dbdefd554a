"""Gradients of matrices that a graph multiplies by several times: further products are added where the first lies."""

import numpy as np
import pytest
import wengert as wg
from support import put

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.devices()

RNG = np.random.default_rng(0)
W = RNG.standard_normal((4, 4)).astype(np.float32)
ROWS = RNG.standard_normal((3, 5, 4)).astype(np.float32)
ROW_NUMBERS = [0, 2, 2]
DEEP = RNG.standard_normal((3, 2, 5, 4)).astype(np.float32)


def recurrence(m, w, xs):
    h = xs[0]
    for x in xs[1:]:
        h = (m.nn.functional.linear(h, w) + x).tanh()
    return h


# name: program over (module, weight, inputs)
PROGRAMS = {
    "linear": lambda m, w, xs: sum((m.nn.functional.linear(x, w) ** 2).sum() for x in xs),
    "from the right": lambda m, w, xs: sum(((x @ w) ** 2).sum() for x in xs),
    "from the left": lambda m, w, xs: sum(((w @ x.mT) ** 2).sum() for x in xs),
    "by itself": lambda m, w, xs: sum(((w @ w) * x.sum()).sum() for x in xs) + (w @ w @ w).sum(),
    "transposed": lambda m, w, xs: sum(((x @ w.T) ** 2).sum() + ((x @ w) ** 2).sum() for x in xs),
    "a recurrence": lambda m, w, xs: (recurrence(m, w, xs) ** 2).sum(),
    "rows of a table": lambda m, w, xs: sum(
        (w[ROW_NUMBERS] * x.sum()).sum() + (w[1:3, [0, 0]] ** 2).sum() for x in xs
    ),
    "with others": lambda m, w, xs: sum(((x @ w) * w.sum()).sum() for x in xs) + (w * w).sum(),
    "rows that lie across": lambda m, w, xs: sum(
        m.nn.functional.linear(x.mT.contiguous().mT, w).exp().sum() for x in xs
    ),
}


@pytest.mark.parametrize("inputs", [ROWS, DEEP], ids=["matrices", "batches"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_torchs(name, inputs, device):
    ours, theirs = wg.tensor(W), torch.tensor(W)
    ours = put(ours).requires_grad_()
    theirs.requires_grad_()
    PROGRAMS[name](wg, ours, list(put(wg.tensor(inputs)).unbind(0))).backward()
    PROGRAMS[name](torch, theirs, list(torch.tensor(inputs).unbind(0))).backward()
    np.testing.assert_allclose(ours.grad.cpu().numpy(), theirs.grad.numpy(), rtol=2e-4, atol=2e-4)


def test_gradients_that_are_differentiated_again_are_the_same(device):
    w = put(wg.tensor(W)).requires_grad_()
    xs = list(put(wg.tensor(ROWS)).unbind(0))
    (plain,) = wg.autograd.grad(recurrence(wg, w, xs).sum(), w)
    (taped,) = wg.autograd.grad(recurrence(wg, w, xs).sum(), w, create_graph=True)
    np.testing.assert_allclose(plain.cpu().numpy(), taped.detach().cpu().numpy(), rtol=1e-5, atol=1e-5)


def test_a_gradient_that_is_there_already_is_added_to_and_kept(device):
    w = put(wg.tensor(W)).requires_grad_()
    x = put(wg.tensor(ROWS[0]))
    ((x @ w).sum() + (x @ w).sum()).backward()
    first = w.grad
    before = first.clone()
    ((x @ w).sum() + (x @ w).sum()).backward()
    np.testing.assert_allclose(w.grad.cpu().numpy(), 2 * before.cpu().numpy(), rtol=1e-6)
    assert w.grad is first
