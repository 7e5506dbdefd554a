"""What a reviewer found by running programs in both libraries: each line is run in wengert and in PyTorch."""

import numpy as np
import pytest
import wengert as wg
from support import assert_same, outcome, tensors

torch = pytest.importorskip("torch")


def run(m, program):
    """The value of the program's last line, an expression over `m`, `np` and what stands before it."""
    *before, last = program.split("; ")
    names = {"m": m, "np": np}
    exec("\n".join(before), names)
    return eval(last, names)


def same(program):
    (got, error), (want, refusal) = (outcome(run, m, program) for m in (wg, torch))
    if refusal is not None:
        # A bare refusal of the interpreter ("unsupported operand") has no words of ours to compare.
        assert type(error) is type(refusal), f"{program}: PyTorch {refusal!r}, wengert {error or got!r}"
        return
    assert error is None, f"{program}: {error!r}"
    if isinstance(want, torch.dtype) or not tensors(want):
        assert got == want or str(got) == str(want), f"{program}: {got!r}, PyTorch {want!r}"
        return
    assert len(tensors(got)) == len(tensors(want))
    for g, w in zip(tensors(got), tensors(want), strict=True):
        assert_same(g, w, program)


def programs(*given):
    return pytest.mark.parametrize("program", given)


FLOATS = "t = m.tensor([1., 2., 3.]); a = np.array([1., 5., 2.]); "
INTS = "t = m.tensor([1, 2, 3]); a = np.array([1, 5, 2]); "


@pytest.mark.parametrize("setup", [FLOATS, INTS], ids=["floats", "ints"])
@programs(
    *("t + a", "t - a", "t * a", "t / a", "t // a", "t % a", "t ** a"),
    *("a / t.double()", "t == a", "a == t", "t == a[:2]", "t + a[:2]", "a + t", "a * t", "a - t"),
    *("t += a; t", "t -= a; t", "t *= a; t", "t /= a; t", "t //= a; t", "t %= a; t", "t **= a; t"),
    *(
        "t & a",
        "t | a",
        "t ^ a",
        "t << a",
        "t >> a",
        "t &= a; t",
        "t |= a; t",
        "t <<= a; t",
        "a /= t.double(); a",
    ),
    *("t @ a.astype('f')", "a @ t", "t.add(a)", "m.mul(t, a)", "t.mul_(a)", "m.maximum(t, a)", "a in t"),
    *(
        "t == np.array(2.)",
        "t * np.array(2.)",
        "np.array(2.) / t.double()",
        "t + np.float64(2)",
        "np.int64(2) - t",
    ),
    *("t += [1, 2, 3]; t", "t += 'a'; t", "t + [1, 2, 3]", "t == [1, 2, 3]", "t < 'a'", "t == None"),
    *("t += 2 ** 70; t", "t = t.requires_grad_(); t * a", "t = t.requires_grad_(); t == a"),
    *("t + a.astype('u2')", "t + a[::-1]", "t + a.astype('>f4')"),
)
def test_arrays_as_operands(setup, program):
    same(setup + program)


@pytest.mark.only_wengert  # PyTorch has TypeErrors here, and one truth value for !=
def test_comparisons_with_arrays_are_elementwise_from_both_sides():
    t, a = wg.tensor([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 2.0])
    assert (t != a).tolist() == (a != t).tolist() == [False, True, True]
    assert (t < a).tolist() == (a > t).tolist() == [False, True, False]
    assert (t <= a).tolist() == (a >= t).tolist() == [True, True, False]
    assert (t > a).tolist() == (a < t).tolist() == [False, False, True]
    assert (t >= a).tolist() == (a <= t).tolist() == [True, False, True]
    assert (t == a[::-1]).tolist() == [False, False, False]
    assert (t == a.astype(">f4")).tolist() == (a.astype("u2") == t).tolist() == [True, False, False]
    assert (t == np.array(["1", "2", "3"])).tolist() == [False, False, False]
    with pytest.raises(RuntimeError, match="must match"):
        t < a[:2]


@pytest.mark.only_wengert  # PyTorch rounds the reciprocal to the tensor's dtype first
def test_an_array_over_a_tensor_is_rounded_once():
    quotient = np.array([1.0, 2.0]) / wg.tensor([3.0, 3.0])
    assert quotient.dtype == wg.float64 and quotient.tolist() == [1 / 3, 2 / 3]


@programs(
    *("m.zeros(2, dtype=float)", "m.tensor([1, 2], dtype=float)", "m.tensor([1.5], dtype=int)"),
    *(
        "m.tensor([1, 0], dtype=bool)",
        "m.ones(2).to(float)",
        "m.ones(2).type(float)",
        "m.ones(2).to(dtype=int)",
    ),
    *("m.ones(2).sum(dtype=float)", "m.arange(3, dtype=float)", "m.ones(2).softmax(0, dtype=float)"),
    *("m.as_tensor([1], dtype=float)", "m.full((2,), 1, dtype=float)", "m.finfo(float).bits"),
    *(
        "m.nn.Linear(2, 3, dtype=float).weight.dtype",
        "m.zeros(2, dtype='float32')",
        "m.zeros(2, dtype=np.float32)",
    ),
    *("m.set_default_dtype(float)", "m.iinfo(int).max", "m.promote_types(float, m.int64)"),
)
def test_types_of_python_as_dtypes(program):
    same(program)


@pytest.mark.parametrize("t", ["m.ones(3)", "m.ones(0)", "m.ones(1, 1)", "m.tensor(2.5)", "m.tensor([3, 4])"])
@programs(
    *("float(t)", "int(t)", "complex(t)", "t.item()", "bool(t)", "[5, 6, 7, 8][t]", "range(t).stop"),
    *("'%d' % t", "__import__('math').sqrt(t)"),
)
def test_conversions_to_numbers(t, program):
    same(f"t = {t}; {program}")


@programs(
    *(
        "[m.tensor([1.]), m.tensor([2.])]",
        "[m.tensor([1., 2.]), m.tensor([2., 3.])]",
        "[m.tensor([[1.]]), 2]",
    ),
    *("[2, m.tensor([[1.]])]", "[[m.tensor([1.])], [m.tensor([2.])]]", "[m.tensor([1, 2], dtype=m.int32)]"),
    *(
        "[m.tensor([1], dtype=m.int32), 2]",
        "[m.tensor([1], dtype=m.int32), 2.]",
        "[m.tensor(1, dtype=m.int8), 2]",
    ),
    *("[m.tensor([1]), m.tensor([1, 2])]", "[m.tensor([True, False])]", "(m.tensor([1., 2.]),)"),
    *("[m.tensor([])]", "[m.tensor([], dtype=m.int64)]", "[m.tensor(2., requires_grad=True)]"),
    *("[m.tensor(1.5)], dtype=m.int64", "[m.tensor(3)], dtype=m.float32", "[m.tensor(300)], dtype=m.uint8"),
    *("[np.array([1., 2.]), np.array([3., 4.])]", "[np.array(1.), 2.]", "[np.float32(1), 2.]"),
    *("[1, 'a']", "['a']", "'a'", "['a', 1]", "[1., 'a']", "[[1, 2], ['a', 'b']]", "['a'], dtype=m.float32"),
    *("[1, 'a'], dtype=m.float32", "[1, b'a']", "[1, None]", "None", "[1, object()]", "[1, [2]]", "[[1], 2]"),
    *("[2**63]", "[-2**63]", "[-2**63 - 1]", "2**64", "[2**63], dtype=m.float32", "[2**63], dtype=m.int64"),
    *("[2**63, 1.]", "[1., 2**70]", "[True, 2**70]", "[2**70], dtype=m.bool", "[2**70, 1.], dtype=m.float16"),
    *("np.ones(3, '>f4')", "np.ones(3, '>i8')", "np.array(2.)", "[256], dtype=m.uint8"),
)
def test_tensors_from_data(program):
    same(f"m.tensor({program})")


@programs(
    *("m.as_tensor([m.tensor([1.]), m.tensor([2.])])", "m.Tensor([m.tensor([1.]), m.tensor([2.])])"),
    *("m.from_numpy(np.ones(3, '>f4'))", "m.as_tensor(np.ones(3, '>f4'))", "m.from_numpy(np.ones(3, 'O'))"),
    *("m.from_numpy(np.float32(2))", "m.from_numpy([1.])", "m.from_numpy(np.ones(3)[::-1])"),
    *(
        "m.Tensor(m.Size([2, 3])).shape",
        "m.Tensor((2, 3)).shape",
        "m.Tensor(2, 3).shape",
        "m.Tensor([2, 3]).shape",
    ),
    *("m.full((2,), np.array(3.))", "m.arange(np.array(3))", "m.ones(2).fill_(np.array(3.))"),
    "m.linspace(0, np.array(3.), 3)",
)
def test_other_ways_to_make_tensors(program):
    same(program)
