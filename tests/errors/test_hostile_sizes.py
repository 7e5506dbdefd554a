"""Sizes and counts beyond all memory: an error or a result at once, never the end of the process or a loop."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import wengert as wg

_PRELUDE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import wengert as wg
F = wg.nn.functional
one = wg.ones(1)
for line in sys.stdin.read().splitlines():
    try:
        result = str(tuple(getattr(eval(line), "shape", ())))
    except Exception as error:
        result = type(error).__name__
        assert str(error), line
    print(result, flush=True)
"""


def _answers(expressions):
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE],
        input="\n".join(expressions),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    answers = done.stdout.splitlines()
    assert done.returncode == 0, (expressions[len(answers) :][:1], done.stderr[-2000:])
    return dict(zip(expressions, answers, strict=True))


_NO_MEMORY = """
wg.arange(2**40)
wg.linspace(0, 1, 2**40)
wg.one_hot(wg.tensor([2**40])) if hasattr(wg, "one_hot") else F.one_hot(wg.tensor([2**40]))
one.expand(2**41).flip(0)
one.expand(2**41).unique()
one.expand(2**41).nonzero()
one.expand(2**41).masked_select(wg.ones(1, dtype=wg.bool).expand(2**41))
one.expand(2**41).tolist()
one.expand(2**41).unbind(0)
one.expand(2**20, 2**20).det()
one.expand(2**20, 2**20).inverse()
wg.ones(2**41, 0).tolist()
wg.tril_indices(1, 2**31)
wg.zeros(0, 3).chunk(10**14)
wg.zeros(0, 3).chunk(2**63 - 1)
wg.vander(wg.ones(2), 2**31)
wg.tensor_split(wg.ones(3), 2**31)
wg.tensor_split(wg.zeros(0, 2**62), 2**61, 1)
wg.combinations(wg.ones(2**12), 4)
wg.combinations(one.expand(2**41), 2**20)
wg.tensor(range(2**41))
wg.mvlgamma(wg.ones(1), 2**31)
wg.ones(3).index_select(0, wg.zeros(1, dtype=wg.int64).expand(2**41))
wg.ones(3).take(wg.zeros(1, dtype=wg.int64).expand(2**41))
F.embedding(wg.zeros(1, dtype=wg.int64).expand(2**41), wg.ones(2, 2))
F.adaptive_avg_pool1d(wg.ones(1, 1, 3), 2**31)
F.adaptive_max_pool2d(wg.ones(1, 1, 3, 3), 2**31)
F.avg_pool1d(one.expand(1, 1, 2**41), 2)
F.pad(wg.ones(1, 1, 3), (2**41, 0), mode="replicate")
""".strip().splitlines()


def test_more_than_memory_is_an_error():
    for expression, answer in _answers(_NO_MEMORY).items():
        assert answer == "MemoryError", f"{expression} gave {answer}"


def test_a_list_in_many_places_grows_no_further_than_memory():
    # 2**40 values in a few lists; a limit of its own, since the memory is filled before it is known.
    source = _PRELUDE.replace("4 << 30", "700 << 20")
    data = "wg.tensor([[[1.0] * 2**14] * 2**14] * 2**12)"
    done = subprocess.run(
        [sys.executable, "-c", source], input=data, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (0, "MemoryError\n"), done.stderr[-2000:]


_EMPTY = {
    "wg.diff(wg.ones(3), 2**31)": (0,),
    "wg.diff(wg.zeros(0, 2**62), 2**61)": (0, 2**61),
    "wg.zeros(2**62, 2**62, 0).sum()": (),
    "wg.zeros(2**62, 2**62, 0).cumsum(2)": (2**62, 2**62, 0),
    "wg.zeros(2**62, 2**62, 0).softmax(2)": (2**62, 2**62, 0),
    "wg.zeros(2**62, 2**62, 0).numpy()": "ValueError",
    "wg.combinations(wg.ones(64), 32)": "RuntimeError",
    "wg.zeros(2**62, 2**62, 0) + 1": (2**62, 2**62, 0),
    "wg.zeros(2**62, 2**62, 0).mT.contiguous()": (2**62, 0, 2**62),
    "wg.zeros(2**62, 2**62, 0)[1:, 2**61]": (2**62 - 1, 0),
    "wg.zeros(2**62, 0) @ wg.zeros(0, 2**62)": "RuntimeError",
    "wg.zeros(2**62, 2**62)": "RuntimeError",
    "wg.zeros(2**62, 0, 0).inverse()": (2**62, 0, 0),
    "wg.ones(1)[(None,) * 70].sum()": "RuntimeError",
    "wg.ones([1] * 64).unsqueeze(0)": "RuntimeError",
    "wg.stack([wg.ones([1] * 64)] * 2)": "RuntimeError",
    "wg.ones([1] * 64).unfold(0, 1, 1)": "RuntimeError",
    "wg.ones([1] * 65)": "RuntimeError",
    "wg.ones([1] * 64).diag_embed()": "RuntimeError",
    "wg.zeros(2**62, 0, 1).as_strided((0,), (1,), 2**62).view(wg.uint8)": None,
}


def test_empty_tensors_of_any_sizes_and_too_many_dims():
    for expression, answer in _answers(list(_EMPTY)).items():
        want = _EMPTY[expression]
        assert want is None or answer == (want if isinstance(want, str) else str(want)), (
            f"{expression} gave {answer}"
        )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8"])
def test_unaligned_memory_is_copied_where_a_copy_may_be(dtype):
    size = np.dtype(dtype).itemsize
    array = np.zeros(6 * size + 1, "u1")[1:].view(dtype)
    array[:] = range(6)
    matrix = array.reshape(2, 3).T
    assert not matrix.flags.aligned
    for make in (wg.from_dlpack, wg.tensor):
        ours = make(matrix)
        assert (ours + 1).tolist() == [[1, 4], [2, 5], [3, 6]]
    # What promises to share says that it cannot.
    for share in (wg.from_numpy, wg.as_tensor):
        with pytest.raises(ValueError, match="not aligned"):
            share(matrix)


@pytest.mark.parametrize("name", ["add", "mul", "maximum"])
def test_out_that_partly_overlaps_an_operand_is_refused(name):
    for lib in (torch, wg):
        x = lib.arange(6.0)
        call = getattr(lib, name)
        for out, a, b in [
            (x[1:], x[1:], x[:-1]),
            (x[:-1], x[1:], x[1:]),
            (x[:4].view(2, 2), x[:4].view(2, 2).t(), x[0]),
        ]:
            with pytest.raises(RuntimeError, match="refer to a single memory location"):
                call(a, b, out=out)
        assert x.tolist() == [0, 1, 2, 3, 4, 5]
        # The whole operand, parts that do not meet, and the memory of nobody else are allowed.
        call(x, x, out=x)
        call(x[:3], x[:3], out=x[3:])
        call(x[::2], x[::2], out=x[1::2])


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_has_the_strides_of_its_dense_leaf(create_graph):
    for lib in (torch, wg):
        base = lib.arange(24.0).reshape(2, 3, 4)
        for leaf in (base.permute(2, 0, 1), base[0].t(), base[:, :1].permute(2, 1, 0), base):
            leaf = leaf.detach().clone() if leaf is base else leaf.detach()
            leaf.requires_grad_()
            strides = leaf.stride()
            # A taped sum of two gradients is a fresh result, and those are row-major here.
            for times in (1,) if create_graph else (1, 2):
                (leaf * leaf).sum().backward(create_graph=create_graph)
                assert leaf.grad.tolist() == (2 * times * leaf).tolist()
            found = [s for s, n in zip(leaf.grad.stride(), leaf.shape, strict=True) if n > 1]
            dense = leaf.storage_offset() == 0 and leaf.shape != (4, 1, 2)
            if dense:
                assert found == [s for s, n in zip(strides, leaf.shape, strict=True) if n > 1]
            assert leaf.grad.storage_offset() == 0


def test_a_gradient_that_comes_permuted_is_put_into_the_strides_of_its_leaf():
    for lib in (torch, wg):
        leaf = lib.ones(2, 3).t().detach().requires_grad_()
        leaf.t().backward(lib.arange(6.0).reshape(2, 3))
        assert leaf.grad.stride() == (1, 3)
        assert leaf.grad.tolist() == [[0, 3], [1, 4], [2, 5]]
