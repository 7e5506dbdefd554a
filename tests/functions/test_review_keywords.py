"""The names that PyTorch and numpy have for the arguments of composed functions."""

import warnings

import pytest
import torch
import wengert as wg

CALLS = """m.flip(m.arange(4), dims=(0,))
m.flip(m.arange(4), dims=[0])
m.flip(dims=[0], input=m.arange(4))
m.arange(4).flip(dims=[0])
m.arange(4).flip(0)
m.arange(4).view(2, 2).flip(0, 1)
m.tile(m.arange(2), dims=(2,))
m.arange(2).tile(dims=(2,))
m.arange(2).repeat(repeats=(2,))
m.hsplit(m.arange(4), sections=2)
m.hsplit(m.arange(4), indices=[1])
m.vsplit(m.ones(2, 2), sections=2)
m.dsplit(m.ones(2, 2, 2), indices=(1,))
m.tensor_split(m.arange(4), sections=2)
m.tensor_split(m.arange(4), indices=[1])
m.tensor_split(m.arange(4), tensor_indices_or_sections=m.tensor([1]))
m.isin(element=1, test_elements=m.tensor([1]))
m.isin(m.tensor([1, 2]), test_element=1)
m.searchsorted(m.tensor([1.0, 2]), input=m.tensor([1.5]))
m.swapdims(m.ones(2, 3), dim0=0, dim1=1)
m.swapaxes(m.ones(2, 3), axis0=0, axis1=1)
x.std(axis=0)
x.var(axis=0)
m.std(x, axis=0, keepdims=True)
m.var(x=x, axis=0)
m.std(a=x)
x.std(0, keepdims=True)
x.std(0, False, keepdims=True)
m.var_mean(x, axis=1)[0]
m.std_mean(x, axis=1, keepdims=True)[1]
x.logsumexp(axis=0)
x.logsumexp(axis=(0, 1), keepdims=True)
x.median(axis=0)[0]
x.nanmedian(axis=0, keepdims=True)[1]
x.mode(axis=0)[0]
x.kthvalue(1, axis=0)[0]
x.nansum(axis=0)
x.nanmean(axis=0, keepdims=True)
x.quantile(0.5, axis=0)
x.nanquantile(0.5, axis=0, keepdims=True)
x.cummax(axis=0)[0]
x.logcumsumexp(axis=0)
x.aminmax(axis=0, keepdims=True)[0]
x.diff(axis=0)
x.repeat_interleave(2, axis=0)
m.take_along_dim(x, m.tensor([[0]]), axis=0)
x.count_nonzero(axis=0)
x.index_add(axis=0, index=m.tensor([0]), source=m.ones(1, 2))
x.index_fill(axis=0, index=m.tensor([0]), value=3)
x.renorm(2, axis=0, maxnorm=1)
x.unique_consecutive(dim=0)
m.linalg.norm(x, axis=0)
m.linalg.norm(x, dim=0, keepdims=True)
m.linalg.vector_norm(x, axis=0, keepdims=True)
m.linalg.vecdot(x, x, axis=0)
m.inner(x, x2=x)
m.kron(x1=x, x2=x)
m.dist(x, x2=x * 2)
m.greater(x, x2=x)
m.multiply(x1=x, x2=x)
m.isclose(x, x2=x)
m.allclose(x1=x, x2=x)
m.trapezoid(y=x, x=x, dim=0)
m.trapezoid(x, dx=2.0)
x.flip(foo=0)
m.flip(x, 0, dims=0)
m.std(x, 0, axis=0)
m.std(x, dim=0, axis=0)
m.std(3)
m.flip([1], dims=[0])
m.logsumexp(None, 0)
m.std(x, foo=3)
m.std()
m.std(axis=0)
m.diff(x, 1, 0, axis=0)
m.median(x, axis=5)
m.std(x, axis=0, out=m.empty(2))
m.quantile(x, 0.5, axis=0, out=m.empty(2))""".splitlines()


def told(call, m):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = eval(call, {"m": m, "x": m.tensor([[1.0, 5.0], [2.0, 3.0]])})  # noqa: S307
        except Exception as error:  # noqa: BLE001 - its type is what is compared
            return type(error).__name__
    parts = result if isinstance(result, tuple) else (result,)
    return [(tuple(t.shape), str(t.dtype)[-5:], t.tolist()) if hasattr(t, "shape") else t for t in parts]


def close(a, b):
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b, strict=True))
    return a == pytest.approx(b) if isinstance(a, float) else a == b


@pytest.mark.parametrize("call", CALLS)
def test_call(call):
    ours, theirs = told(call, wg), told(call, torch)
    assert close(ours, theirs), f"torch {theirs}, wengert {ours}"


def test_errors_name_the_function():
    with pytest.raises(TypeError, match=r"^hsplit\(\) missing"):
        wg.hsplit(wg.ones(2))
    with pytest.raises(TypeError, match=r"^flip\(\) got an unexpected keyword argument 'foo'"):
        wg.ones(2).flip(foo=0)
    with pytest.raises(TypeError, match=r"^std\(\): argument 'input' \(position 1\) must be Tensor, not int"):
        wg.std(3)
