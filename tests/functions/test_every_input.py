"""Composed functions against PyTorch on every dtype, on 0-d, empty and strided tensors: results and kinds of errors."""

import pytest
import torch
import wengert as wg
from cases import CASES, Makers
from support import outcome
from test_composed import find
from torch_parity import LISTED, mapped, same_outcome, to_wengert

DTYPES = ("float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")
ARRANGEMENTS = {
    "0-d": lambda x: x.flatten()[0] if x.numel() else x,
    "empty": lambda x: x[:0] if x.ndim else x,
    "empty at the end": lambda x: x[..., :0] if x.ndim else x,
    "strided": lambda x: (
        x.mT.contiguous().mT if x.ndim > 1 else torch.stack([x, x], -1)[..., 0] if x.ndim else x
    ),
}
# Which of several equal elements is named is unspecified.
TIES = ("kthvalue", "median", "mode", "nanmedian")
# PyTorch asks its own strides of a copy for a view.
STRIDES_OF_COPIES = ("kron", "take_along_dim")
# What these give depends on the memory that an argument is a view of, which the arguments for wengert have not.
OF_MEMORY = ("as_strided_copy", "as_strided_scatter")
# PyTorch speaks of the dims that 0-d batches lack before it speaks of their number.
OTHER_WORDS_FIRST = ("addbmm", "baddbmm")


def compare(name, index, change, what):
    args, kwargs = CASES[name][index](Makers())
    args, kwargs = mapped(list(args), change), mapped(kwargs, change)
    theirs = outcome(find(torch, name), *args, **kwargs)
    ours = outcome(find(wg, name), *to_wengert(args), **{k: to_wengert(v) for k, v in kwargs.items()})
    if name in TIES and theirs[1] is None and isinstance(theirs[0], tuple) and ours[1] is None:
        ours, theirs = (ours[0][0], None), (theirs[0][0], None)
    same_outcome(f"{name}-{index}, {what}", ours, theirs)


PLACES = [
    pytest.param(n, i, id=f"{n}-{i}")
    for n, cases in CASES.items()
    if n not in LISTED
    for i in range(len(cases))
]


@pytest.mark.devices(sample=60)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "index"), PLACES)
def test_dtypes(name, index):
    for dtype in DTYPES:

        def change(x, dtype=dtype):
            x = x.detach()
            if x.dtype != torch.float64:
                return x
            x = x if "float" in dtype else (x * 2).round()
            return (x.abs() if dtype == "uint8" else x).to(getattr(torch, dtype))

        compare(name, index, change, dtype)


@pytest.mark.devices(sample=60)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "index"), PLACES)
def test_arrangements(name, index):
    for how in ARRANGEMENTS:
        if (
            name in OF_MEMORY
            or (how == "strided" and name in STRIDES_OF_COPIES)
            or (how == "0-d" and name in OTHER_WORDS_FIRST)
        ):
            continue
        compare(name, index, lambda x, how=how: ARRANGEMENTS[how](x.detach()), how)
