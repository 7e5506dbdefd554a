"""`out=` of everything that takes it, against PyTorch: dtypes, shapes and strides of the tensor that is given."""

import inspect
import warnings

import pytest
import torch
import wengert as wg
from cases import CASES, Makers
from support import outcome
from test_composed import find
from torch_parity import found, mapped, same_outcome, to_wengert
from wengert._functions import load_all

REGISTRY = load_all()
X = torch.tensor([[0.5, -1.0, 2.0], [3.0, 0.0, -2.5]], dtype=torch.float64)
I = torch.tensor([[0, 2, 1], [1, 1, 0]])
L = torch.tensor([[3, -1, 2], [0, 5, 4]])
V = X[0]
MASK = X > 0
# Calls of what is no composed function.
CORE = {
    "sum": [(X, 0), (L, 1), (X, 1, True)],
    "prod": [(X, 0), (L, 1)],
    "mean": [(X,), (X, 0)],
    "all": [(X, 0), (MASK,)],
    "any": [(X, 0), (MASK,)],
    "amax": [(X, 0), (L,)],
    "amin": [(X, 0)],
    "argmax": [(X, 0), (L,)],
    "argmin": [(X, 0)],
    "max": [(X,), (L,), (X, 0), (X, V)],
    "min": [(X,), (X, 1, True)],
    "cumsum": [(X, 0), (L, 0)],
    "cumprod": [(X, 0), (L, 0)],
    "sort": [(X, 0), (L,)],
    "topk": [(X, 2), (L, 1)],
    "nonzero": [(X,)],
    "softmax": [(X, 0)],
    "log_softmax": [(X, 0)],
    "gather": [(X, 1, I)],
    "scatter": [(X, 1, I, X)],
    "scatter_add": [(X, 1, I, X)],
    "index_select": [(X, 1, I[0])],
    "masked_select": [(X, MASK)],
    "where": [(MASK, X, X)],
    "matmul": [(X, X.T), (L, L.T)],
    "mm": [(X, X.T)],
    "mv": [(X, V)],
    "dot": [(V, V)],
    "bmm": [(X[None], X.T[None])],
    "cat": [([X, X],), ([X, L],)],
    "stack": [([X, X],)],
    "add": [(X, X), (L, 1)],
    "median": [(X, 0)],
    "nanmedian": [(X, 0)],
    "clamp": [(X, 0, 1)],
    "exp": [(X,), (L,)],
    "eq": [(X, X)],
}


def taking_out():
    """(name, arguments) of every call; composed functions bring their own cases."""
    for name, calls in CORE.items():
        for k, args in enumerate(calls):
            yield pytest.param(name, args, {}, id=f"{name}-{k}")
    for name, entry in REGISTRY.items():
        if not entry.function or name not in CASES or not entry.out:
            continue
        args, kwargs = mapped(list(CASES[name][0](Makers())), lambda x: x.detach())
        yield pytest.param(name, tuple(args), kwargs, id=name)


def forms(like):
    """The tensors to give: names, and how each is made of a result's tensor in a module."""
    yield "the result's own", lambda m, t: m.zeros(t.shape, dtype=t.dtype)
    for dtype in ("float64", "float32", "int64", "bool"):
        yield dtype, lambda m, t, dtype=dtype: m.zeros(t.shape, dtype=getattr(m, dtype))
    yield "empty", lambda m, t: m.empty(0, dtype=t.dtype)
    yield "too large", lambda m, t: m.zeros((5, *t.shape), dtype=t.dtype)
    yield "strided", lambda m, t: m.zeros((*t.shape, 2), dtype=t.dtype)[..., 0]


# PyTorch has no out= in this overload; a longer signature does no harm.
MORE_THAN_PYTORCH = ("median", "nanmedian")
# The rounding of a conversion at the end, or in the middle.
EARLIER_ROUNDING = ("sum", "prod", "cumsum", "cumprod", "logspace", "exp")


@pytest.mark.parametrize(("name", "args", "kwargs"), taking_out())
def test_out(name, args, kwargs):
    theirs, ours = find(torch, name), find(wg, name)
    like = theirs(*args, **kwargs)
    for what, make in forms(like):
        results = []
        for m, f, convert in ((wg, ours, to_wengert), (torch, theirs, lambda x: x)):
            outs = [make(m, t) for t in found(convert(like) if m is torch else to_wengert(like))]
            out = tuple(outs) if isinstance(like, (tuple, list)) else outs[0]
            inputs, named = convert(list(args)), {k: convert(v) for k, v in kwargs.items()}

            def call(f=f, inputs=inputs, named=named, out=out, outs=outs):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = f(*inputs, **named, out=out)
                assert all(a is b for a, b in zip(found(result), outs, strict=True)), "another object"
                return outs

            results.append(outcome(call))
        if isinstance(results[1][1], TypeError) and what == "the result's own":
            assert name in MORE_THAN_PYTORCH, f"PyTorch's {name} has no out="
            return
        scale = 1e6 if name in EARLIER_ROUNDING and what == "float64" else 20
        same_outcome(f"{name}(out={what})", *results, scale=scale)


def test_out_says_what_it_wants():
    with pytest.raises(RuntimeError, match=r"tril\(\): Expected out tensor to have dtype torch.float32"):
        wg.tril(wg.ones(2, 2), out=wg.empty(0, dtype=wg.int64))
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        wg.var(wg.ones(2), out=wg.empty(0, dtype=wg.int64))
    with pytest.raises(TypeError, match="input types can't be cast to the desired output type Long"):
        wg.hstack([wg.ones(2)], out=wg.empty(0, dtype=wg.int64))
    with pytest.raises(TypeError, match="out.*must be Tensor, not int"):
        wg.tril(wg.ones(2, 2), out=3)
    with pytest.raises(TypeError, match="must hold 2 tensors, but got 1"):
        wg.median(wg.ones(2), 0, out=(wg.empty(0),))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        wg.tril(wg.ones(2, 2, requires_grad=True), out=wg.empty(0))


def test_a_tensor_that_is_resized_warns():
    out = wg.zeros(5)
    with pytest.warns(UserWarning, match="resized"):
        wg.tril(wg.ones(2, 2), out=out)
    assert out.tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_composed_functions_declare_their_out():
    """Nobody takes `out=` and forgets it."""
    for name, entry in REGISTRY.items():
        definition = inspect.unwrap(entry.call)
        if "out" in inspect.signature(definition).parameters:
            assert "out" in definition.__code__.co_names + definition.__code__.co_varnames
            source = inspect.getsource(definition)
            assert source.count("out") > 1, f"{name} ignores out="
