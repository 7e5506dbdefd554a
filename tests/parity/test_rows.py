"""Every row of the elementwise table against PyTorch, enumerated from the registry itself.

A row that docs/differences.md lists must still differ: the list cannot outlive its reasons.
`WENGERT_PARITY=full` runs the whole grid instead of a fixed sample of it.
"""

import itertools
import zlib

import numpy as np
import pytest
import wengert as wg
import wengert._core as core
from rows_support import DTYPES, FLOATS, Case, find, listed_differences, merely_lacks
from support import FULL, assert_same, dtype_name, is_put, outcome, put, to_numpy

torch = pytest.importorskip("torch")

CASES = [Case(row) for row in core._rows()]
SHARED = [c for c in CASES if c.known(torch)]
MODULES = (wg, torch)


def seed(case):
    return np.random.default_rng(zlib.crc32(case.name.encode()))


def compare(case, ours, theirs, what):
    """Both results, or both errors of one type. What PyTorch's CPU merely lacks, wengert may have."""
    (got, error), (want, refusal) = ours, theirs
    if refusal is not None:
        if merely_lacks(refusal):
            return
        assert error is not None, f"{what}: PyTorch raises {refusal!r}, wengert gives {got}"
        kinds = isinstance(error, type(refusal)) or isinstance(refusal, type(error))
        assert kinds, f"{what}: PyTorch raises {refusal!r}, wengert {error!r}"
        return
    assert error is None, f"{what}: PyTorch gives a {want.dtype}, wengert raises {error!r}"
    assert is_put(got), f"{what}: the result is on {got.device}"
    assert_same(got, want, what)


def run(case, arrays, dtypes, what, **kw):
    results = []
    for m in MODULES:
        args, _ = case.feed(m, arrays, dtypes, **kw)
        results.append(outcome(case, m, *args))
    compare(case, *results, f"{case.name}: {what}")
    return results


def check_values(case):
    rng = seed(case)
    for dtype in ("float64", "float32"):
        dtypes = case.uniform(dtype)
        arrays = case.arrays(rng, dtypes, [(7, 5)] * len(dtypes))
        _, (_, refusal) = run(case, arrays, dtypes, f"values in {dtype}")
        if case.cls != "bit":
            assert refusal is None, f"the test itself is wrong: {refusal!r}"


def check_dtypes(case):
    rng = seed(case)
    grid = list(itertools.product(DTYPES, repeat=len(case.tensor_args)))
    if not FULL and len(grid) > 14:
        grid = [grid[i] for i in rng.choice(len(grid), 14, replace=False)]
    for dtypes in grid:
        arrays = case.arrays(rng, dtypes, [(4,)] * len(dtypes))
        run(case, arrays, dtypes, f"dtypes {dtypes}")


def check_categories(case):
    """Tensor with 0-d tensor, and with Python number: the categories of type promotion."""
    if len(case.tensor_args) != 2 or len(case.args) != 2:
        return
    rng = seed(case)
    grid = list(itertools.product(DTYPES, DTYPES))
    if not FULL:
        grid = [grid[i] for i in rng.choice(len(grid), 8, replace=False)]
    for dtypes in grid:
        for shapes in ([(3,), ()], [(), (3,)], [(), ()]):
            run(case, case.arrays(rng, dtypes, shapes), dtypes, f"dtypes {dtypes}, shapes {shapes}")
        (array, _) = case.arrays(rng, dtypes, [(3,), ()])
        for number in (1, 1.5, True):
            results = [
                outcome(case, m, put(m.tensor(array)).to(getattr(m, dtypes[0])), number) for m in MODULES
            ]
            if dtypes[0] != "bool" or number is not True:
                compare(case, *results, f"{case.name}: {dtypes[0]} with the number {number!r}")


ARRANGEMENTS = {
    "transposed": ((4, 3), lambda t: t.t()),
    "every second": ((9, 2), lambda t: t[1::2]),
    "one column": ((3, 4), lambda t: t[:, 1]),
    "expanded": ((1, 3), lambda t: t.expand(5, 3)),
    "0-d": ((), lambda t: t),
    "empty": ((0, 3), lambda t: t),
    "three dims permuted": ((2, 3, 4), lambda t: t.permute(2, 0, 1)),
}
BROADCASTS = [[(4, 1), (1, 3), (3,)], [(2, 1, 3), (4, 1), ()], [(0, 1), (1, 3), (1,)], [(), (2, 2), (2,)]]


def check_layouts(case):
    rng = seed(case)
    dtypes = case.uniform("int32" if case.cls == "bit" else "float64")
    for name, (shape, arrange) in ARRANGEMENTS.items():
        arrays = case.arrays(rng, dtypes, [shape] * len(dtypes))
        run(case, arrays, dtypes, name, arrange=arrange)
    if len(dtypes) > 1:
        for shapes in BROADCASTS:
            arrays = case.arrays(rng, dtypes, shapes[: len(dtypes)])
            run(case, arrays, dtypes, f"broadcast {shapes}")
        arrays = case.arrays(rng, dtypes, [(2,), (3,), (2,)][: len(dtypes)])
        run(case, arrays, dtypes, "shapes that do not broadcast")


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-30, 1e30, 3.0]


def torch_alone(case, arrays, dtype):
    """PyTorch's results for one element at a time: its scalar loops, where vector loops may differ."""
    results = []
    for k in range(arrays[0].size):
        args, _ = case.feed(torch, [a[k : k + 1] for a in arrays], case.uniform(dtype))
        results.append(to_numpy(case(torch, *args))[0])
    return np.array(results)


def check_special_values(case):
    """NaN, infinities and signed zeros, wherever PyTorch's vector and scalar loops and dtypes agree."""
    if case.cls == "bit":
        return
    n = len(case.tensor_args)
    grid = np.array(list(itertools.product(SPECIAL, repeat=n))).T
    if n > 2:  # 1e30 * 1e30 overflows in float32 or not, as the compiler fuses a multiply and an add
        grid = np.where(abs(grid) == 1e30, np.sign(grid) * 1e15, grid)
    arrays = case.conditions(grid)
    float64_alone = torch_alone(case, arrays, "float64")
    for dtype in ("float64", "float32"):
        results = []
        for m in MODULES:
            args, _ = case.feed(m, arrays, case.uniform(dtype))
            results.append(case(m, *args))
        ours, theirs = map(to_numpy, results)
        alone = torch_alone(case, arrays, dtype)
        what = f"{case.name}: special values in {dtype}"
        steady = np.isnan(theirs) == np.isnan(alone)
        if case.name == "polygamma":  # at its poles PyTorch gives what a rounded sine makes of them
            steady &= (grid[0] >= 0) | (grid[0] != np.round(grid[0])) | np.isinf(grid[0])
        assert steady.mean() > 0.9, f"{what}: PyTorch itself hardly ever agrees with itself"
        assert_same(*(r[put(m.tensor(steady))] for m, r in zip(MODULES, results, strict=True)), what)
        if case.cls in ("float", "real", "arith"):
            zeros = steady & (ours == 0) & (theirs == 0)
            signs = [np.signbit(r)[zeros] for r in (ours, theirs, alone, float64_alone)]
            certain = (signs[1] == signs[2]) & (signs[2] == signs[3])
            assert (signs[0] == signs[1])[certain].all(), f"{what}: the sign of a zero differs"


def derivatives(case, m, arrays, dtypes, weights, second, **kw):
    args, leaves = case.feed(m, arrays, dtypes, grad=True, **kw)
    y = case(m, *args)
    if not y.requires_grad:
        return [None] * len(leaves)
    w = put(m.tensor(np.resize(weights, tuple(y.shape)))).to(y.dtype)
    first = m.autograd.grad((y * w).sum(), leaves, create_graph=second, allow_unused=True)
    if not second:
        return list(first)
    s = sum((g * g).sum() * (k + 1) for k, g in enumerate(first) if g is not None and g.requires_grad)
    if not hasattr(s, "requires_grad") or not s.requires_grad:
        return list(first) + [None] * len(leaves)
    return list(first) + list(m.autograd.grad(s, leaves, allow_unused=True))


# PyTorch's float64 gradients of these hold float32 constants, such as 1/6.
FLOAT32_INSIDE = {"celu", "hardsigmoid"}


def same_derivatives(case, arrays, dtypes, what, second=False, poles=False, **kw):
    weights = seed(case).uniform(0.5, 1.5, 97)
    (got, error), (want, refusal) = (
        outcome(lambda m: derivatives(case, m, arrays, dtypes, weights, second, **kw), m) for m in MODULES
    )
    if refusal is not None:
        assert merely_lacks(refusal) or isinstance(error, type(refusal)), (
            f"{case.name}: {refusal!r}, {error!r}"
        )
        return
    assert error is None, f"{case.name}: {what}: wengert raises {error!r}"
    # PyTorch computes parts of a gradient in the narrowest dtype given, or with float32 constants.
    narrow = "float32" if case.name in FLOAT32_INSIDE else min(dtypes, key=FLOATS.index)
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        if g is None or w is None:  # an absent gradient and one of zeros say the same
            present = g if g is not None else w
            assert present is None or not to_numpy(present).any(), (
                f"{case.name}: {what}: gradient {k} is missing"
            )
            continue
        text = f"{case.name}: {what}: gradient {k}"
        assert dtype_name(g) == dtype_name(w), text
        g, w = (t.detach().to(getattr(m, narrow)) for m, t in ((wg, g), (torch, w)))
        if poles:  # PyTorch gives 6.6e32 where it rounds the sine of a multiple of pi
            g, w = (t.clone().masked_fill_(t.abs() > 1e30, np.inf) for t in (g, w))
        assert_same(g, w, text, scale=10)


def check_gradients(case):
    if not case.differentiable:
        return
    rng = seed(case)
    n = len(case.tensor_args)
    for dtype in FLOATS if FULL else ("float64", "float32"):
        dtypes = case.uniform(dtype)
        same_derivatives(case, case.arrays(rng, dtypes, [(3, 4)] * n), dtypes, f"gradient in {dtype}")
    dtypes = case.uniform("float64")
    same_derivatives(case, case.arrays(rng, dtypes, [(11,)] * n), dtypes, "second derivative", second=True)
    for name, (shape, arrange) in ARRANGEMENTS.items():
        arrays = case.arrays(rng, dtypes, [shape] * n)
        same_derivatives(case, arrays, dtypes, f"gradient, {name}", arrange=arrange)
    if n > 1:
        for shapes in BROADCASTS:
            arrays = case.arrays(rng, dtypes, shapes[:n])
            same_derivatives(case, arrays, dtypes, f"gradient, broadcast {shapes}")
        mixed = ["float32", "float64", "float16"][:n]
        same_derivatives(case, case.arrays(rng, mixed, [(5,)] * n), mixed, f"gradient, {mixed}")


def check_ties(case):
    """Gradients at the points where both sides meet: halves, zeros or ones, as PyTorch decided."""
    if not case.differentiable:
        return
    points = [0.0, 1.0, -1.0, 3.0, -3.0, 0.5, -0.5]
    n = len(case.tensor_args)
    grid = np.array(list(itertools.product(points, repeat=n))).T
    arrays = case.conditions(grid)
    same_derivatives(case, arrays, case.uniform("float64"), "gradient at ties", poles=True, halves=True)


def check_in_place(case):
    rng = seed(case)
    method = case.name + "_"
    if not hasattr(torch.Tensor, method) or case.args[0] == "condition" or case.name == "copy":
        return
    n = len(case.tensor_args)

    def write(args):
        """The array written, and what calling its method on the other arguments gives."""
        target = args.pop(case.tensor_args[0])
        extra = {"value": args.pop()} if case.name in ("addcmul", "addcdiv") else {}
        return target, lambda: getattr(target, method)(*args, **extra)

    dtypes_tried = [case.uniform("float64"), case.uniform("int64"), ["float32", "float64", "float64"][:n]]
    for dtypes in dtypes_tried + [["int32", "float32", "float32"][:n]]:
        arrays = case.arrays(rng, dtypes, [(4,)] * n)
        results, targets = [], []
        for m in MODULES:
            args, _ = case.feed(m, arrays, dtypes)
            target, call = write(args)
            targets.append(target)
            results.append(outcome(call))
        compare(case, *results, f"{method}: {dtypes}")
        if results[1][1] is None:
            assert results[0][0] is targets[0], f"{method} returns another object than its operand"
    if not case.differentiable:
        return
    dtypes = case.uniform("float64")
    arrays = case.arrays(rng, dtypes, [(4,)] * n)

    def gradients(m):
        args, leaves = case.feed(m, arrays, dtypes, grad=True, arrange=lambda t: t * 1)
        y = write(args)[1]()
        return (
            m.autograd.grad(y.sum(), leaves, allow_unused=True) if y.requires_grad else [None] * len(leaves)
        )

    want, refusal = outcome(gradients, torch)
    if refusal is not None:
        assert merely_lacks(refusal), f"the test itself is wrong: {refusal!r}"
        return
    for g, w in zip(gradients(wg), want, strict=True):
        if g is not None and w is not None:
            assert_same(g, w, f"{method}: gradient", scale=10)


def check_out(case):
    """`out=` of the result's dtype, of a wider one and of a narrower one."""
    rng = seed(case)
    dtypes = case.uniform("int32" if case.cls == "bit" else "float32")
    arrays = case.arrays(rng, dtypes, [(4,)] * len(dtypes))
    for out in ("float32", "float64", "int64", "bool"):
        results, buffers = [], []
        for m in MODULES:
            args, _ = case.feed(m, arrays, dtypes)
            buffers.append(put(m.zeros(4, dtype=getattr(m, out))))
            results.append(outcome(lambda m, a, o: case(m, *a, out=o), m, args, buffers[-1]))
        if isinstance(results[1][1], TypeError):
            return  # PyTorch's function has no out=
        same_object = results[0][0] is buffers[0]
        if results[0][1] is results[1][1] is None:  # computed in the inputs' dtype, and converted
            kinds = [dtype_name(r[0]) for r in results]
            assert kinds == [out, out]
            if out == "float64" and dtypes[0] == "float32":
                results = [(r[0].to(m.float32), None) for m, r in zip(MODULES, results, strict=True)]
        compare(case, *results, f"{case.name}(out={out})")
        if results[1][1] is None:
            assert same_object, f"{case.name}: out= is not what came back"
        else:
            assert not to_numpy(buffers[0]).any(), "a refused out= was written"
    check_out_places(case, arrays, dtypes)


def check_out_places(case, arrays, dtypes):
    """`out=` that lies apart in its buffer, and that is an operand itself."""
    dtype = "bool" if case.cls in ("compare", "test", "logic") else dtypes[0]
    whole = []
    for m in MODULES:
        args, _ = case.feed(m, arrays, dtypes)
        buffer = put(m.zeros(3, 4, dtype=getattr(m, dtype)))
        case(m, *args, out=buffer.t()[:, 1])
        whole.append((buffer, None))
    compare(case, *whole, f"{case.name}(out=a column)")
    for position in case.tensor_args:
        results = []
        for m in MODULES:
            args, _ = case.feed(m, arrays, dtypes)
            results.append(outcome(lambda m, a, o: case(m, *a, out=o), m, args, args[position]))
        compare(case, *results, f"{case.name}(out=operand {position})")


CHECKS = [
    check_values,
    check_dtypes,
    check_categories,
    check_layouts,
    check_special_values,
    check_gradients,
    check_ties,
    check_in_place,
    check_out,
]
DIFFERENT = listed_differences() if wg is not torch else set()
ORDINARY = [c for c in SHARED if c.name not in DIFFERENT]
LISTED = [c for c in SHARED if c.name in DIFFERENT]


@pytest.mark.devices(sample=2, per="case")
@pytest.mark.parametrize("check", CHECKS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", ORDINARY, ids=repr)
def test_row(case, check):
    check(case)


@pytest.mark.parametrize("case", LISTED, ids=repr)
def test_listed_row_still_differs(case):
    failures = [outcome(check, case)[1] for check in CHECKS]
    assert any(failures), (
        f"docs/differences.md lists `{case.name}`, but nothing differs any more: remove the line"
    )


def test_every_row_is_public_where_pytorch_has_it():
    assert len(CASES) >= 80 and len(SHARED) >= 0.9 * len(CASES)
    for case in CASES:
        if case.hidden:
            continue
        ours, place = find(wg, case.name)
        assert ours is not None, f"{case.name} is in the table but not in the module"
        theirs, torchs_place = find(torch, case.name)
        if theirs is not None:
            assert place == torchs_place, f"{case.name} is in wengert.{place}, but in torch.{torchs_place}"
        assert hasattr(wg.Tensor, case.name) or not hasattr(torch.Tensor, case.name)
        in_place = case.name + "_"
        assert hasattr(wg.Tensor, in_place) or not hasattr(torch.Tensor, in_place), in_place


def test_default_dtype_decides_for_integers():
    for name in ("float64", "float16"):
        try:
            for m in MODULES:
                m.set_default_dtype(getattr(m, name))
            for f in ("sin", "sqrt", "sigmoid"):
                got, want = (getattr(m, f)(m.tensor([1, 2])) for m in MODULES)
                assert dtype_name(got) == dtype_name(want) == name
                assert_same(got, want, f)
        finally:
            for m in MODULES:
                m.set_default_dtype(m.float32)
