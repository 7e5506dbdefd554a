"""Functions and methods of the core with every kind of dim, size, index and number: results and errors as PyTorch's."""

import numpy as np
import pytest
import torch
import wengert as wg
from support import outcome
from torch_parity import same_outcome

pytestmark = pytest.mark.devices(factories=True, sample=6)

DTYPES = ("float64", "float16", "int64", "uint8", "bool")
SHAPES = {"a matrix": (3, 4), "a vector": (4,), "0-d": (), "empty": (0, 4), "empty at the end": (3, 0)}


def make(m, shape, dtype, seed=5):
    """The same numbers in either module, some of them equal."""
    a = np.round(np.random.default_rng(seed).uniform(-3, 3, shape) * 2) / 2
    a = np.abs(a) if dtype == "uint8" else a
    a = a if "float" in dtype else np.round(a)
    return m.tensor(a > 0 if dtype == "bool" else a).to(getattr(m, dtype))


def agree(what, f, shape, dtype, *more):
    same_outcome(
        f"{what} of {dtype} {shape}", *(outcome(f, m, make(m, shape, dtype), *more) for m in (wg, torch))
    )


REDUCTIONS = ("all", "any", "amax", "amin", "argmax", "argmin", "max", "min", "sum", "prod", "mean", "std")
DIMS = (0, 1, -1, 2, -3, 1.0, "0")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    "name", (*REDUCTIONS, "cumsum", "cumprod", "softmax", "log_softmax", "sort", "argsort")
)
def test_dims_of_folds(name, shape):
    for dtype in DTYPES:
        if "softmax" in name and "float" not in dtype and 0 in shape:
            continue  # PyTorch gives integers of nothing
        if name in REDUCTIONS:
            agree(f"{name}()", lambda m, x: getattr(x, name)(), shape, dtype)
        for dim in DIMS:
            if name == "std" and not isinstance(dim, int):
                continue  # the dtype's error comes first here
            agree(f"{name}({dim!r})", lambda m, x, dim=dim: getattr(x, name)(dim), shape, dtype)
            if name in REDUCTIONS:
                agree(
                    f"{name}(dim={dim!r}, keepdim=True)",
                    lambda m, x, dim=dim: getattr(m, name)(x, dim=dim, keepdim=True),
                    shape,
                    dtype,
                )


@pytest.mark.parametrize("name", ("amax", "amin", "sum", "mean", "all", "any"))
def test_several_dims(name):
    for shape in ((3, 4), (0, 4), (2, 3, 4)):
        for dims in ((0, 1), (-1, 0), (0, 5), (1,)):
            for dtype in ("float32", "bool"):
                agree(f"{name}({dims})", lambda m, x, dims=dims: getattr(x, name)(dims), shape, dtype)
    agree("a repeated dim", lambda m, x: getattr(x, name)((0, -2)), (3, 4), "float32")


@pytest.mark.parametrize("name", ("sum", "prod", "cumsum", "cumprod", "mean", "softmax", "nansum"))
def test_dtype_argument(name):
    for given in DTYPES:
        for asked in ("float32", "float16", "int8", "bool", "int64"):
            agree(
                f"{name}(dtype={asked})",
                lambda m, x, asked=asked: getattr(m, name)(x, 0, dtype=getattr(m, asked)),
                (3, 4),
                given,
            )


INDICES = {
    "a matrix": [[0, 2, 1], [2, 2, 0], [1, 0, 0]],
    "a vector": [2, 0, 2],
    "a row": [[0, 1]],
    "a number": 1,
    "nothing": np.zeros(0, np.int64),
    "nothing of width 4": np.zeros((0, 4), np.int64),
    "too large": [[0, 9]],
    "negative": [[-1, 0]],
    "int32": np.array([[0, 1]], np.int32),
    "floats": [0.0, 1.0],
    "a mask": [True, False, True],
}


def put(x, key, value):
    x[key] = value
    return x


BY_DIM = {
    "gather": lambda m, x, d, i: x.gather(d, i),
    "scatter": lambda m, x, d, i: x.scatter(d, i, m.ones_like(x)),
    "scatter a number": lambda m, x, d, i: x.scatter(d, i, 1),
    "scatter adding": lambda m, x, d, i: x.scatter(d, i, m.ones_like(x), reduce="add"),
    "scatter multiplying": lambda m, x, d, i: x.scatter(
        d, i, m.ones_like(x) + m.ones_like(x), reduce="multiply"
    ),
    "scatter_add": lambda m, x, d, i: x.scatter_add(d, i, m.ones_like(x)),
    "index_select": lambda m, x, d, i: x.index_select(d, i),
    "index_fill": lambda m, x, d, i: x.index_fill(d, i, 1),
    "index_add": lambda m, x, d, i: x.index_add(d, i, m.ones_like(x)),
    "index_copy": lambda m, x, d, i: x.index_copy(d, i, m.ones_like(x)),
}
BY_KEY = {
    "read": lambda m, x, i: x[i],
    "read columns": lambda m, x, i: x[:, i],
    "read twice": lambda m, x, i: x[i, i],
    "write": lambda m, x, i: put(x, i, 1),
    "write a tensor": lambda m, x, i: put(x, i, m.ones(4).to(x.dtype)),
    "index_put": lambda m, x, i: x.index_put((i,), m.ones(4).to(x.dtype)),
    "index_put adding": lambda m, x, i: x.index_put((i,), m.ones(4).to(x.dtype), accumulate=True),
    "take": lambda m, x, i: x.take(i),
    "masked_fill": lambda m, x, i: x.masked_fill(i, 1),
    "masked_select": lambda m, x, i: x.masked_select(i),
    "where": lambda m, x, i: m.where(i, x[:, :3], 1),
    "one_hot": lambda m, x, i: m.nn.functional.one_hot(i, 10),
    "bincount": lambda m, x, i: m.bincount(i),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("name", BY_DIM)
def test_indices_along_a_dim(name, index):
    for dim in (0, 1, -1, 2):
        for shape, dtypes in (((3, 4), DTYPES), ((), ("float64", "int64"))):
            if name in ("index_add", "index_copy") and shape == ():
                continue  # their source has another rank
            for dtype in dtypes:
                agree(
                    f"{name} along {dim}",
                    lambda m, x, dim=dim: BY_DIM[name](m, x, dim, m.tensor(index)),
                    shape,
                    dtype,
                )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("name", BY_KEY)
def test_indices_as_keys(name, index):
    for dtype in DTYPES:
        agree(name, lambda m, x: BY_KEY[name](m, x, m.tensor(index)), (3, 4), dtype)


COUNTS = (0, 1, 2, 3, 5, -1, 1.0)
BY_COUNT = {
    "topk": lambda m, x, k: m.topk(x, k, 0).values,
    "kthvalue": lambda m, x, k: m.kthvalue(x, k).values,
    "tril": lambda m, x, k: x.tril(k),
    "triu": lambda m, x, k: m.triu(x, k),
    "diag": lambda m, x, k: m.diag(x, k),
    "diagflat": lambda m, x, k: m.diagflat(x, k),
    "diagonal": lambda m, x, k: x.diagonal(k),
    "repeat_interleave": lambda m, x, k: x.repeat_interleave(k),
    "unfold": lambda m, x, k: x.unfold(0, k, 1),
    "unfold by steps": lambda m, x, k: x.unfold(0, 1, k),
    "chunk": lambda m, x, k: x.chunk(k),
    "split": lambda m, x, k: x.split(k),
    "tensor_split": lambda m, x, k: x.tensor_split(k),
    "unbind": lambda m, x, k: x.unbind(k),
    "roll": lambda m, x, k: x.roll(k),
    "roll along 0": lambda m, x, k: x.roll(k, 0),
    "unsqueeze": lambda m, x, k: x.unsqueeze(k),
    "squeeze": lambda m, x, k: x.squeeze(k),
    "select": lambda m, x, k: x.select(0, k),
    "narrow from": lambda m, x, k: x.narrow(0, k, 1),
    "narrow to": lambda m, x, k: x.narrow(0, 0, k),
    "flip": lambda m, x, k: x.flip(k),
    "rot90": lambda m, x, k: x.rot90(k),
    "hsplit": lambda m, x, k: x.hsplit(k),
    "vsplit": lambda m, x, k: x.vsplit(k),
    "repeat": lambda m, x, k: x.repeat(2, k),
    "tile": lambda m, x, k: x.tile(k),
    "movedim": lambda m, x, k: x.movedim(0, k),
    "flatten": lambda m, x, k: x.flatten(k),
    "cumsum": lambda m, x, k: x.cumsum(k),
}
# Of several mistakes PyTorch names another first.
ANOTHER_FIRST = {
    ("topk", -1),
    ("kthvalue", 0),
    ("diag", 1.0),
    ("hsplit", 1.0),
    ("vsplit", 1.0),
    ("tril", 1.0),
}


@pytest.mark.parametrize("name", BY_COUNT)
def test_counts_and_sizes(name):
    for shape in ((3, 4), (4,), (), (0, 4), (3, 0)):
        for count in COUNTS:
            if shape != (3, 4) and ((name, count) in ANOTHER_FIRST or isinstance(count, float)):
                continue
            if name == "kthvalue" and 0 in shape:
                continue
            agree(f"{name}({count!r})", lambda m, x, k=count: BY_COUNT[name](m, x, k), shape, "float64")


SIZES = (
    (2, 6),
    (6, 2),
    (12,),
    (-1,),
    (2, -1),
    (-1, -1),
    (5,),
    (0,),
    (3, 4, 1),
    (0, -1),
    (-2,),
    ("a",),
    (1.5,),
)


@pytest.mark.parametrize("name", ("view", "reshape", "expand", "new_zeros", "resize_"))
def test_sizes_spread_or_not(name):
    for shape in ((3, 4), (), (0, 4)):
        for size in SIZES:
            if size == (0, -1) and name in ("expand", "resize_"):
                continue  # PyTorch makes a tensor of size -1
            grows = name == "resize_" and shape != (3, 4)  # whatever is in the memory
            for call in (lambda m, x, s=size: getattr(x, name)(*s), lambda m, x, s=size: getattr(x, name)(s)):
                if grows:
                    agree(f"{name}{size}", lambda m, x, call=call: tuple(call(m, x).shape), shape, "float64")
                else:
                    agree(f"{name}{size}", call, shape, "float64")
    if name not in ("resize_", "new_zeros"):
        agree(f"{name}()", lambda m, x: getattr(x, name)(), (3, 4), "float64")


@pytest.mark.parametrize("bias", [(), (1,), (5,), (2, 5), (2, 1), (1, 5), (3, 5), (4,), (2, 2, 5)], ids=str)
def test_biases_of_linear(bias):
    for shape in ((2, 4), (4,), (0, 4)):
        agree(
            f"linear with a bias of {bias}",
            lambda m, x: m.nn.functional.linear(
                x, make(m, (5, 4), "float64", 6), make(m, bias, "float64", 7)
            ),
            shape,
            "float64",
        )
    agree(
        "a vector of weights",
        lambda m, x: m.nn.functional.linear(x, x[0], make(m, bias, "float64")),
        (2, 4),
        "float64",
    )


CONVERSIONS = {
    "float()": float,
    "int()": int,
    "bool()": bool,
    "complex()": complex,
    "item()": lambda x: x.item(),
    "tolist()": lambda x: x.tolist(),
    "len()": len,
    "index": lambda x: x.__index__(),
    "in": lambda x: 1 in x,
    "iter": lambda x: list(x),
    "format": lambda x: f"{x}",
    "H": lambda x: x.H,
    "mT": lambda x: x.mT,
    "T": lambda x: x.T,
    "t()": lambda x: x.t(),
    "type()": lambda x: x.type(),
    "nbytes": lambda x: x.nbytes,
    "adjoint()": lambda x: x.adjoint(),
    "~": lambda x: ~x,
    "-": lambda x: -x,
    "abs": abs,
    "round": round,
}


@pytest.mark.host("they are about the host's memory and how a tensor is printed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions_and_protocols(name):
    for shape in ((3, 4), (1,), (), (0,), (2, 3, 4)):
        for dtype in DTYPES:
            agree(name, lambda m, x: CONVERSIONS[name](x), shape, dtype)
