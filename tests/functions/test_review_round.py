"""round(decimals=) and logit(eps), which stand over the core's kernels, against PyTorch."""

import pytest
import torch
import wengert as wg
from torch_parity import check_same

VALUES = [1.2345, -2.5555, 1234.5, float("nan"), float("inf"), 2.5, -0.0]
CHANCES = [0.0, 0.5, 1.0, 0.1, 0.3, -1.0, 2.0]


def both(program):
    found = []
    for m in (torch, wg):
        try:
            found.append(program(m))
        except Exception as error:  # noqa: BLE001 - its type is what is compared
            found.append(error)
    theirs, ours = found
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (theirs, ours)
        return
    if isinstance(ours, Exception):
        raise ours
    check_same(ours, theirs)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("decimals", [0, 1, 2, 3, -1, -2, 40, -40, 300])
def test_round(decimals, dtype):
    both(lambda m: m.round(m.tensor(VALUES, dtype=getattr(m, dtype)), decimals=decimals))
    both(lambda m: m.tensor(VALUES, dtype=getattr(m, dtype)).round_(decimals=decimals))
    both(lambda m: m.special.round(m.tensor(VALUES).to(getattr(m, dtype)), decimals=decimals))


@pytest.mark.parametrize(
    "program",
    [
        lambda m: m.round(m.tensor([15]), decimals=-1),
        lambda m: m.round(m.ones(1), 2),
        lambda m: m.ones(1).round(2),
        lambda m: m.ones(1).round(decimals=2.5),
        lambda m: m.ones(1).round(decimals=None),
        lambda m: m.round(m.tensor(VALUES), decimals=1, out=m.empty(7)),
        lambda m: m.round(m.tensor(VALUES), out=m.empty(7)),
        lambda m: m.round(input=m.tensor(VALUES)),
        lambda m: m.logit(m.tensor([0, 1]), 1e-3),
        lambda m: m.tensor([0.5]).logit(eps=0.1),
        lambda m: m.tensor([0.0, 0.5]).logit_(0.1),
        lambda m: m.tensor([0.0, 0.5]).logit_(),
        lambda m: m.tensor([0]).logit_(0.1),
        lambda m: m.special.logit(m.tensor([0.0]), eps=0.1),
        lambda m: m.logit(m.tensor([0.0]), 0.1, out=m.empty(1)),
        lambda m: m.logit(m.tensor([0.0]), "a"),
        lambda m: m.logit(m.tensor([0.0], dtype=m.float16), 0.1),
    ],
)
def test_calls(program):
    both(program)


@pytest.mark.parametrize("eps", [None, -1.0, 0.0, 1e-6, 0.3, 0.6])
def test_logit(eps):
    for dtype in ("float64", "float32"):

        def program(m, dtype=dtype):
            x = m.tensor(CHANCES, dtype=getattr(m, dtype), requires_grad=True)
            y = m.logit(x, eps)
            y.nansum().backward()
            return y, x.grad

        both(program)


def test_gradient_of_round_is_zero():
    def program(m):
        x = m.tensor([1.23, -4.5], requires_grad=True)
        (x.round(decimals=1) * 2).sum().backward()
        return x.grad

    both(program)
