"""Errors, second derivatives and forms that the case table does not reach."""

import sys

import pytest
import wengert as wg
from wengert._functions import load_all

REGISTRY = load_all()
F64 = wg.float64


def leaf(*values):
    return wg.tensor(values, dtype=F64, requires_grad=True)


def test_every_function_is_documented_with_an_example():
    for name, entry in REGISTRY.items():
        assert ">>> " in entry.call.__doc__, name


@pytest.mark.devices(sample=12, factories=True)
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.var(),
        lambda x: x.std(),
        lambda x: x.norm(),
        lambda x: x.logsumexp(0),
        wg.sinc,
        lambda x: x.norm(3),
        lambda x: x.logcumsumexp(0),
        lambda x: wg.einsum("i,j,ij->i", x, x, wg.outer(x, x)),
        lambda x: wg.lerp(x, x * 2, 0.3),
        lambda x: wg.diag(x).matrix_exp(),
        lambda x: wg.xlogy(x, x),
        lambda x: x.cov(),
        lambda x: x.cummax(0).values,
        lambda x: wg.cdist(x.unsqueeze(1), (x * 2 + 1).unsqueeze(1)),
        lambda x: x.quantile(0.3),
        lambda x: wg.linalg.pinv(wg.outer(x, x) + wg.diag(x)),
        lambda x: wg.linalg.pinv(x.unsqueeze(0)),
        lambda x: wg.cholesky_solve(wg.outer(x, x), wg.outer(x, x).tril()),
        lambda x: wg.cholesky_inverse(wg.outer(x, x).triu(), upper=True),
    ],
    ids=range(19),
)
def test_first_and_second_derivative(function):
    x = leaf(0.4, 0.9, 1.7)
    assert wg.autograd.gradcheck(function, x)
    assert wg.autograd.gradgradcheck(function, x, atol=1e-4)


def test_pinv_of_deficient_rank_has_its_gradient():
    # Moving along the manifold of rank one keeps the derivative defined: scale the matrix.
    base = wg.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=F64)
    assert wg.autograd.gradcheck(
        lambda s: wg.linalg.pinv(s * base, rtol=1e-8), leaf(1.5).reshape(()).detach().requires_grad_()
    )


def test_subgradients_at_zero():
    x = wg.zeros(3, requires_grad=True)
    x.norm().backward()
    assert x.grad.tolist() == [0, 0, 0]
    y = wg.ones(3, requires_grad=True)
    y.std().backward()
    assert y.grad.tolist() == [0, 0, 0]


def test_out_is_written_and_checked():
    out = wg.empty(2)
    assert wg.clip(wg.tensor([-1.0, 5.0]), 0, 3, out=out) is out
    assert out.tolist() == [0, 3]
    with pytest.raises(RuntimeError, match="out="):
        wg.clip(wg.ones(2, requires_grad=True), 0, 1, out=out)


def test_fill_diagonal():
    assert wg.zeros(3, 2).fill_diagonal_(5).tolist() == [[5, 0], [0, 5], [0, 0]]
    assert wg.zeros(2, 3).fill_diagonal_(5).tolist() == [[5, 0, 0], [0, 5, 0]]
    assert wg.zeros(5, 2).fill_diagonal_(1, wrap=True).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0], [0, 1]]
    assert wg.zeros(2, 2, 2).fill_diagonal_(3).sum().item() == 6


def test_inplace_forms_keep_gradients():
    x = leaf(1.0, -2.0, 3.0)
    y = x * 1
    y.clip_(-1, 1)
    (y * x).sum().backward()
    # Nothing flows through a value at its bound.
    assert x.grad.tolist() == [1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: wg.einsum("ij,jk->il", wg.ones(2, 3), wg.ones(3, 4)), RuntimeError, "output subscript l"),
        (lambda: wg.einsum("ij,jk->ik", wg.ones(2, 3), wg.ones(4, 4)), RuntimeError, "do not broadcast"),
        (lambda: wg.einsum("ijk", wg.ones(2, 3)), RuntimeError, "number of subscripts"),
        (lambda: wg.einsum("i,j", wg.ones(2)), RuntimeError, "more subscripts|operands"),
        (lambda: wg.einsum("i?", wg.ones(2, 2)), RuntimeError, "invalid subscript"),
        (lambda: wg.ones(2).var(2), IndexError, "Dimension out of range"),
        (lambda: wg.ones(2, dtype=wg.int64).var(), RuntimeError, "floating point"),
        (lambda: wg.ones(2, 2).var((0, 0)), RuntimeError, "multiple times"),
        (lambda: wg.hstack([]), RuntimeError, "non-empty"),
        (lambda: wg.broadcast_shapes((2,), (3,)), RuntimeError, "broadcast"),
        (lambda: wg.linalg.inv(wg.ones(2, 3)), RuntimeError, "square"),
        (lambda: wg.linalg.inv(wg.ones(2, 2, dtype=wg.int64)), RuntimeError, "floating point"),
        (lambda: wg.linalg.inv([[1.0]]), TypeError, "must be Tensor"),
        (lambda: wg.take(wg.ones(2), wg.tensor([5])), IndexError, "out of range"),
        (lambda: wg.ones(2).index_add(0, wg.tensor([3]), wg.ones(1)), IndexError, "out of range"),
        (lambda: wg.ones(2).index_fill(0, wg.tensor([0.5]), 1), IndexError, "dtype"),
        (lambda: wg.ones(3).kthvalue(4), RuntimeError, "out of range"),
        (lambda: wg.bincount(wg.tensor([-1])), RuntimeError, "non-negative"),
        (lambda: wg.ones(2).tensor_split(0), RuntimeError, "larger than 0"),
        (lambda: wg.ones(3).hsplit(2), RuntimeError, "not divisible"),
        (lambda: wg.ones(2).repeat(-1), RuntimeError, "negative"),
        (lambda: wg.ones(2, 2).repeat(2), RuntimeError, "can not be smaller"),
        (lambda: wg.tensordot(wg.ones(2), wg.ones(3), 1), RuntimeError, "need to match"),
        (lambda: wg.cross(wg.ones(2), wg.ones(2)), RuntimeError, "size 3"),
        (lambda: wg.ones(2).outer(wg.ones(2, 2)), RuntimeError, "1-D"),
        (lambda: wg.ones(3).quantile(1.5), RuntimeError, r"range \[0, 1\]"),
        (lambda: wg.nothing_like_this, AttributeError, "wengert has no"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_named_results():
    values, indices = result = wg.tensor([[3.0, 1.0]]).median(1)
    assert result.values is values and result.indices is indices
    assert repr(result) == "torch.return_types.median(\nvalues=tensor([1.]),\nindices=tensor([1]))"


def test_import_is_light():
    import subprocess

    script = (
        "import sys; before = set(sys.modules); import wengert; new = set(sys.modules) - before; "
        "print(sorted(new & {'inspect', 'numpy', 'dataclasses', 'typing'}))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_pickle_and_deepcopy():
    import copy
    import pickle

    for make in (
        lambda: wg.arange(6).reshape(2, 3).t(),
        lambda: wg.tensor([1.5, -0.0]),
        lambda: wg.tensor(True),
        lambda: wg.tensor([1.0, 3.140625], dtype=wg.bfloat16),
        lambda: wg.zeros(0, 3),
    ):
        x = make()
        for copied in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x)):
            assert (copied.dtype, copied.shape, copied.tolist()) == (x.dtype, x.shape, x.tolist())
    x = wg.tensor([1.0], requires_grad=True)
    (x * 2).sum().backward()
    copied = copy.deepcopy(x)
    assert copied.requires_grad and copied.grad.tolist() == [2.0] and copied.grad is not x.grad
    assert pickle.loads(pickle.dumps(x)).requires_grad
    twice = copy.deepcopy([x, x])
    assert twice[0] is twice[1]
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(x * 2)
    # As in PyTorch a pickled result comes back as a leaf.
    assert pickle.loads(pickle.dumps(x * 2)).is_leaf


def test_membership_and_reversal():
    x = wg.tensor([1, 2, 3])
    assert 2 in x and 5 not in x
    assert list(reversed(x)) == [3, 2, 1]
    with pytest.raises(RuntimeError, match="only supports"):
        "a" in x  # noqa: B015
    assert x.apply_(lambda v: v * 2).tolist() == [2, 4, 6]
    assert x.map_(wg.tensor([1, 1, 1]), lambda a, b: a + b).tolist() == [3, 5, 7]


def test_multinomial_draws_what_torch_draws():
    import torch

    weights = [[0.1, 0.4, 0.0, 0.5], [1.0, 2.0, 3.0, 4.0]]
    for replacement, count in ((False, 1), (False, 3), (True, 1), (True, 50)):
        for rows in (weights, weights[0]):
            wg.manual_seed(3)
            torch.manual_seed(3)
            ours = wg.multinomial(wg.tensor(rows), count, replacement)
            torch.manual_seed(3)
            assert ours.tolist() == torch.multinomial(torch.tensor(rows), count, replacement).tolist()
    for bad in (
        wg.tensor([-1.0, 2.0]),
        wg.zeros(2),
        wg.tensor([float("nan")]),
        wg.ones(2, dtype=wg.int64),
        wg.ones(1, 1, 1),
    ):
        with pytest.raises(RuntimeError):
            wg.multinomial(bad, 1)


def test_tensor_odds_and_ends():
    x = wg.tensor([1.0, 2.0])
    assert x.type() == "torch.FloatTensor" and x.type(wg.int64).dtype == wg.int64
    assert x.type("torch.DoubleTensor").dtype == wg.float64 and x.is_signed() and not (x > 0).is_signed()
    assert (
        x.is_cpu
        and not x.is_cuda
        and not x.is_meta
        and x.itemsize == 4
        and x.nelement() == 2
        and x.ndimension() == 1
    )
    assert x.clone().cumsum_(0).tolist() == [1, 3] and x.clone().cumprod_(0).tolist() == [1, 2]
    assert wg.ones(2, 3).swapaxes_(0, 1).shape == (3, 2) and wg.ones(2, 3).mH.shape == (3, 2)
    with pytest.raises(RuntimeError, match="gpu"):
        x.cuda()
