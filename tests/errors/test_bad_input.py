"""Bad input: PyTorch's exception types, a message that helps, operands left as they were."""

import math

import numpy as np
import pytest
import wengert as wg

BIG = 2**62


def t(*values, **kw):
    return wg.tensor(values, **kw)


def ones(*shape):
    return wg.ones(*shape)


# name: (what to do, the exception types allowed, a pattern for the message or None)
CONSTRUCTION = {
    "ragged list": (lambda: wg.tensor([[1, 2], [3]]), ValueError, "length"),
    "ragged depth": (lambda: wg.tensor([[1, 2], 3]), (TypeError, ValueError), None),
    "string": (lambda: wg.tensor("abc"), TypeError, "str"),
    "list of strings": (lambda: wg.tensor(["a", "b"]), (TypeError, ValueError), "str"),
    "object": (lambda: wg.tensor(object()), RuntimeError, "(?i)infer dtype|object"),
    "none": (lambda: wg.tensor(None), RuntimeError, "NoneType"),
    "dict": (lambda: wg.tensor({"a": 1}), RuntimeError, "dict"),
    "object array": (lambda: wg.tensor(np.array([object()])), TypeError, "object"),
    "string array": (lambda: wg.from_numpy(np.array(["a"])), TypeError, None),
    "a list to from_numpy": (lambda: wg.from_numpy([1, 2]), TypeError, "list"),
    "wrong dtype argument": (lambda: wg.tensor([1], dtype="float32"), TypeError, None),
    "huge integer": (lambda: wg.tensor(2**70), (ValueError, RuntimeError, OverflowError), None),
    "nan size": (lambda: wg.zeros(math.nan), TypeError, None),
    "float size": (lambda: wg.zeros(2.5), TypeError, None),
    "string size": (lambda: wg.zeros("3"), TypeError, None),
    "negative size": (lambda: wg.zeros(-1), RuntimeError, "(?i)negative"),
    "size beyond memory": (lambda: wg.zeros(BIG), (RuntimeError, MemoryError), None),
    "size that overflows": (lambda: wg.zeros(2**40, 2**40), (RuntimeError, MemoryError), None),
    "negative linspace": (lambda: wg.linspace(0, 1, -2), RuntimeError, "(?i)non-negative"),
    "step zero": (lambda: wg.arange(0, 3, 0), RuntimeError, "(?i)step must be nonzero"),
    "step of the wrong sign": (lambda: wg.arange(0, 3, -1), RuntimeError, "(?i)sign"),
    "empty randint": (lambda: wg.randint(5, 5, (2,)), RuntimeError, "(?i)random_ expects 'from'"),
    "negative eye": (lambda: wg.eye(-1), RuntimeError, "(?i)greater or equal to 0"),
    "unknown device": (lambda: wg.zeros(2, device="abacus"), RuntimeError, "abacus"),
}

SHAPES = {
    "add": (lambda: ones(2, 3) + ones(4), RuntimeError, r"3.*4"),
    "matmul": (lambda: ones(2, 3) @ ones(2, 3), RuntimeError, "2x3"),
    "matmul of a scalar": (lambda: ones(2) @ t(1.0)[0], RuntimeError, "0D|1D|at least"),
    "mm": (lambda: wg.mm(ones(2), ones(2, 2)), RuntimeError, "(?i)matrix"),
    "mv": (lambda: wg.mv(ones(2, 3), ones(2)), RuntimeError, None),
    "dot": (lambda: wg.dot(ones(2), ones(3)), RuntimeError, "2.*3"),
    "bmm": (lambda: wg.bmm(ones(2, 3, 4), ones(3, 4, 5)), RuntimeError, None),
    "view": (lambda: ones(6).view(4, 2), RuntimeError, r"shape '\[4, 2\]' is invalid for input of size 6"),
    "reshape with two unknowns": (
        lambda: ones(6).reshape(-1, -1),
        RuntimeError,
        "only one dimension can be inferred",
    ),
    "view of a transposed": (lambda: ones(2, 3).t().view(6), RuntimeError, r"reshape"),
    "expand": (lambda: ones(2, 3).expand(4, 3), RuntimeError, r"expanded size"),
    "expand to fewer": (lambda: ones(2, 3).expand(3), RuntimeError, None),
    "permute twice the same": (lambda: ones(2, 3).permute(0, 0), RuntimeError, None),
    "permute too few": (lambda: ones(2, 3).permute(0), RuntimeError, None),
    "cat": (lambda: wg.cat([ones(2, 3), ones(2, 4)]), RuntimeError, "(?i)sizes of tensors must match"),
    "cat of nothing": (lambda: wg.cat([]), (RuntimeError, ValueError), "(?i)non-empty"),
    "stack": (lambda: wg.stack([ones(2), ones(3)]), RuntimeError, "(?i)equal size"),
    "where": (lambda: wg.where(ones(2) > 0, ones(3), ones(3)), RuntimeError, None),
    "linear": (lambda: wg.nn.functional.linear(ones(2, 3), ones(5, 4)), RuntimeError, None),
    "conv2d": (lambda: wg.nn.functional.conv2d(ones(1, 3, 8, 8), ones(4, 2, 3, 3)), RuntimeError, None),
    "conv2d kernel too large": (
        lambda: wg.nn.functional.conv2d(ones(1, 1, 2, 2), ones(1, 1, 3, 3)),
        RuntimeError,
        None,
    ),
    "gather": (lambda: wg.gather(ones(2, 2), 0, wg.zeros(3, dtype=wg.int64)), RuntimeError, None),
    "einsum": (lambda: wg.einsum("ij,jk->ik", ones(2, 3), ones(2, 3)), RuntimeError, None),
    "item": (lambda: ones(2).item(), RuntimeError, "2 elements cannot be converted to Scalar"),
    "bool": (lambda: bool(ones(2)), RuntimeError, "(?i)more than one value is ambiguous"),
    "len": (lambda: len(wg.tensor(1.0)), TypeError, "0-d"),
    "iter": (lambda: iter(wg.tensor(1.0)), TypeError, "0-d"),
    "in-place that would grow": (lambda: ones(2).add_(ones(3, 2)), RuntimeError, "(?i)broadcast"),
    "select of a scalar": (lambda: wg.tensor(1.0)[0], IndexError, None),
    "inverse of a rectangle": (lambda: wg.linalg.inv(ones(2, 3)), RuntimeError, "(?i)square"),
    "inverse of a singular": (lambda: wg.linalg.inv(wg.zeros(2, 2)), RuntimeError, "(?i)singular"),
    "cholesky of an indefinite": (
        lambda: wg.linalg.cholesky(-wg.eye(2)),
        RuntimeError,
        "(?i)positive.definite",
    ),
    "cross entropy": (
        lambda: wg.nn.functional.cross_entropy(ones(2, 3), wg.zeros(4, dtype=wg.int64)),
        (ValueError, RuntimeError),
        None,
    ),
    "label out of range": (
        lambda: wg.nn.functional.cross_entropy(ones(2, 3), t(0, 7)),
        (IndexError, RuntimeError),
        "7",
    ),
}

DIMS_AND_INDICES = {
    "sum": (lambda: ones(2, 3).sum(2), IndexError, r"expected to be in range of \[-2, 1\], but got 2"),
    "sum twice the same": (lambda: ones(2, 3).sum((0, 0)), RuntimeError, None),
    "softmax": (lambda: ones(2).softmax(5), IndexError, r"\[-1, 0\]"),
    "transpose": (lambda: ones(2).transpose(0, 3), IndexError, None),
    "unsqueeze": (lambda: ones(2).unsqueeze(5), IndexError, None),
    "index": (lambda: ones(2)[2], IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    "negative index": (lambda: ones(2)[-3], IndexError, None),
    "too many": (lambda: ones(2)[0, 0], IndexError, "too many indices"),
    "tensor index": (lambda: ones(2)[t(0, 5)], IndexError, "5"),
    "mask": (lambda: ones(3)[t(True, False)], IndexError, "(?i)shape of the mask"),
    "float index": (lambda: ones(2)[t(0.5)], IndexError, None),
    "string index": (lambda: ones(2)["a"], (IndexError, TypeError), None),
    "indices that do not broadcast": (lambda: ones(3, 3)[t(0, 1), t(0, 1, 2)], IndexError, None),
    "negative step": (lambda: ones(3)[::-1], ValueError, "(?i)step must be greater than zero"),
    "index_select": (lambda: ones(2).index_select(0, t(3)), (IndexError, RuntimeError), None),
    "narrow": (lambda: ones(3).narrow(0, 1, 5), RuntimeError, None),
    "topk": (lambda: ones(3).topk(4), RuntimeError, "(?i)out of range"),
    "unflatten": (lambda: ones(6).unflatten(0, (4, 2)), RuntimeError, None),
    "max of nothing": (lambda: wg.zeros(0).max(), RuntimeError, None),
    "argmax of nothing": (lambda: wg.zeros(0).argmax(), (IndexError, RuntimeError), None),
    "unfold": (lambda: ones(3).unfold(0, 5, 1), RuntimeError, None),
    "flip twice the same": (lambda: ones(2, 2).flip(0, 0), RuntimeError, None),
}

DTYPES = {
    "mm of two dtypes": (lambda: ones(2, 2) @ ones(2, 2).double(), RuntimeError, "(?i)dtype|expected"),
    "in-place narrowing": (lambda: t(1).add_(0.5), RuntimeError, "can't be cast to the desired output type"),
    "out narrowing": (lambda: wg.sin(ones(2), out=t(1, 2)), RuntimeError, "can't be cast"),
    "bits of floats": (lambda: ones(2) & ones(2), RuntimeError, "(?i)not implemented"),
    "negated bool": (lambda: -t(True), RuntimeError, "(?i)bool"),
    "bool minus bool": (lambda: t(True) - t(True), RuntimeError, "(?i)bool"),
    "mean of integers": (lambda: t(1, 2).mean(), RuntimeError, "(?i)dtype"),
    "softmax of integers": (lambda: t(1, 2).softmax(0), (RuntimeError, NotImplementedError), None),
    "integer to a negative power": (lambda: t(2) ** -1, RuntimeError, "(?i)negative"),
    "plus a string": (lambda: ones(2) + "a", TypeError, None),
    "plus none": (lambda: ones(2) + None, TypeError, None),
    "index of a float": (lambda: range(wg.tensor(1.5)), TypeError, None),
    "mask that is no mask": (lambda: ones(2).masked_fill(ones(2), 0.0), RuntimeError, "(?i)bool"),
    "integer division by zero": (lambda: t(1) // t(0), (RuntimeError, ZeroDivisionError), None),
    "integers for gather": (lambda: ones(2).gather(0, ones(2)), (RuntimeError, IndexError), "int64"),
    "numpy of a tensor with gradients": (
        lambda: ones(2).requires_grad_().numpy(),
        RuntimeError,
        r"detach\(\)",
    ),
    "unknown name": (lambda: wg.no_such_function(), AttributeError, "no_such_function"),
    "unknown method": (lambda: ones(2).no_such_method(), AttributeError, "no_such_method"),
    "unknown argument": (lambda: ones(2).sum(axes=0), TypeError, None),
    "too many arguments": (lambda: wg.sin(ones(2), ones(2)), TypeError, None),
}

GRADIENTS = {
    "backward of a constant": (lambda: ones(1).backward(), RuntimeError, "does not require grad"),
    "backward of a vector": (
        lambda: (ones(2).requires_grad_() * 2).backward(),
        RuntimeError,
        "grad can be implicitly created only for scalar outputs",
    ),
    "gradient of another shape": (
        lambda: (ones(2).requires_grad_() * 2).backward(ones(3)),
        RuntimeError,
        "(?i)mismatch in shape",
    ),
    "leaf in place": (lambda: ones(2).requires_grad_().add_(1), RuntimeError, "(?i)leaf"),
    "detach of a view in place": (
        lambda: (ones(2).requires_grad_() * 1)[:1].detach_(),
        RuntimeError,
        "(?i)view",
    ),
    "deepcopy of a result": (
        lambda: __import__("copy").deepcopy(ones(1).requires_grad_() * 2),
        RuntimeError,
        None,
    ),
    "out with gradients": (
        lambda: wg.add(ones(2).requires_grad_(), 1, out=ones(2)),
        RuntimeError,
        "(?i)automatic differentiation",
    ),
}

META = {
    "meta plus cpu": (lambda: wg.ones(2, device="meta") + ones(2), RuntimeError, "(?i)device|meta"),
    "item of meta": (lambda: wg.ones(1, device="meta").item(), RuntimeError, "(?i)meta"),
    "numpy of meta": (lambda: wg.ones(1, device="meta").numpy(), (TypeError, RuntimeError), "(?i)meta"),
}

GROUPS = {
    "construction": CONSTRUCTION,
    "shapes": SHAPES,
    "dims": DIMS_AND_INDICES,
    "dtypes": DTYPES,
    "gradients": GRADIENTS,
    "meta": META,
}
CASES = [
    pytest.param(*case, id=f"{g}: {name}") for g, cases in GROUPS.items() for name, case in cases.items()
]


@pytest.mark.parametrize("act, kinds, pattern", CASES)
def test_bad_input(act, kinds, pattern):
    with pytest.raises(kinds, match=pattern) as info:
        act()
    text = str(info.value)
    assert text and "panicked" not in text and "InternalError" not in type(info.value).__name__
    assert (wg.ones(2) + 1).tolist() == [2.0, 2.0]  # and the library goes on


IN_PLACE = {
    "add_ shape": lambda x: x.add_(ones(5)),
    "add_ string": lambda x: x.add_("a"),
    "copy_ shape": lambda x: x.copy_(ones(7)),
    "set item shape": lambda x: x.__setitem__(0, ones(9)),
    "set item index": lambda x: x.__setitem__(9, 1.0),
    "set item mask": lambda x: x.__setitem__(t(True, False, True), 1.0),
    "set item advanced": lambda x: x.__setitem__(t(0, 9), 1.0),
    "masked_fill_ mask": lambda x: x.masked_fill_(ones(2, 2), 0.0),
    "scatter_ index": lambda x: x.scatter_(0, wg.full((1, 2), 9), 1.0),
    "index_put_ index": lambda x: x.index_put_((t(0, 9),), t(1.0, 1.0)),
    "out shape": lambda x: wg.add(x, ones(5), out=x),
    "squeeze_ dim": lambda x: x.squeeze_(7),
    "transpose_ dim": lambda x: x.transpose_(0, 7),
    "index_fill by slice": lambda x: x.__setitem__(slice(None, None, -1), 0.0),
    "iadd a view shape": lambda x: x[0].__iadd__(ones(5)),
    "normal_ scale": lambda x: x.normal_(0, -1),
    "uniform_ range": lambda x: x.uniform_(1, 0),
    "data": lambda x: setattr(x, "data", "data"),
}


# PyTorch finds the wrong index when it has already written the elements before it.
HALF_DONE_IN_PYTORCH = {"set item advanced", "index_put_ index"}
WRITES = [
    pytest.param(act, id=name, marks=[pytest.mark.only_wengert] if name in HALF_DONE_IN_PYTORCH else [])
    for name, act in IN_PLACE.items()
]


@pytest.mark.parametrize("act", WRITES)
def test_a_failed_write_leaves_operands_unchanged(act):
    x = wg.tensor([[1.0, 2.0], [3.0, 4.0]])
    before = (x.tolist(), x.shape, x.stride(), x.data_ptr(), x._version, x.requires_grad)
    with pytest.raises((RuntimeError, TypeError, IndexError, ValueError)):
        act(x)
    assert (x.tolist(), x.shape, x.stride(), x.data_ptr(), x._version, x.requires_grad) == before


def test_a_failed_recorded_write_keeps_the_history():
    x = wg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    node = y.grad_fn
    with pytest.raises(RuntimeError):
        y.add_(ones(5))
    assert y.grad_fn is node and y._version == 0
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.group_norm(ones(3, 4), 0), "num groups to be greater than 0, got 0"),
        (lambda f: f.group_norm(ones(3, 4), 3), r"divisible by num_groups.*\[3, 4\] and num_groups=3"),
        (lambda f: f.group_norm(ones(4), 2), "divisible by num_groups"),
        (lambda f: f.group_norm(ones(3, 4), 2, ones(3), ones(4)), r"got weight of shape \[3\]"),
        (
            lambda f: f.batch_norm(ones(3, 4), None, None, ones(3), ones(4), True),
            "weight should contain 4 elem",
        ),
        (lambda f: f.batch_norm(ones(4), None, None, None, None, True), r"\[N, C, …\]"),
        (lambda f: f.rms_norm(ones(3, 4), (3,)), r"expected input with shape \[\*, 3\].*size\[3, 4\]"),
        (lambda f: f.rms_norm(ones(3, 4), ()), r"normalized_shape=\[\]"),
        (
            lambda f: f.rms_norm(ones(3, 4), (4,), ones(3)),
            r"got weight of shape \[3\] and normalized_shape = \[4\]",
        ),
        (lambda f: f.rms_norm(t(1, 2), (2,)), "rms_norm.*not implemented for 'Long'"),
    ],
)
def test_norms_say_what_does_not_fit(call, message):
    with pytest.raises((RuntimeError, NotImplementedError), match=message):
        call(wg.nn.functional)


def test_batch_norm_with_wrong_running_statistics_writes_nothing():
    for mean, var, name in ((ones(3), ones(4), "running_mean"), (ones(4), ones(5), "running_var")):
        with pytest.raises(RuntimeError, match=f"{name} should contain 4 elements"):
            wg.nn.functional.batch_norm(ones(3, 4, 20), mean, var, training=True)
        assert bool((mean == 1).all()) and bool((var == 1).all())


@pytest.mark.parametrize("wrong", [7, -1, 1 << 40, -(1 << 62)])
@pytest.mark.parametrize("lie", ["rows", "columns", "transposed", "steps"])
@pytest.mark.parametrize("dim", [0, 1])
def test_gather_and_scatter_find_the_one_wrong_index(dim, lie, wrong):
    """Wherever it stands, and however the index lies in memory."""
    x = wg.arange(42.0).reshape(6, 7) if dim else wg.arange(42.0).reshape(7, 6)
    index = {
        "rows": lambda: wg.zeros(6, 6, dtype=wg.int64),
        "columns": lambda: wg.zeros(6, 6, dtype=wg.int64).t(),
        "transposed": lambda: wg.zeros(5, 6, dtype=wg.int64).t(),
        "steps": lambda: wg.zeros(6, 12, dtype=wg.int64)[:, ::2],
    }[lie]()
    index[-1, -1] = 6
    x.gather(dim, index)
    for place in (0, 0), (3, 2), (-1, -1):
        bad = index.clone() if lie == "rows" else index
        kept = bad[place].item()
        bad[place] = wrong
        message = f"index {wrong} is out of bounds for dimension {dim} with size 7"
        out = wg.full(bad.shape, 5.0)
        with pytest.raises(RuntimeError, match=message):
            x.gather(dim, bad)
        with pytest.raises(RuntimeError, match=message):
            wg.gather(x, dim, bad, out=out)
        assert bool((out == 5).all())
        with pytest.raises(RuntimeError, match=message):
            x.scatter(dim, bad, 1.0)
        bad[place] = kept
    assert x.flatten().tolist() == list(range(42))


def test_failures_leak_nothing():
    """A thousand failures in a row hold no operand: each is megabytes."""
    import resource

    def fail():
        a = wg.ones(1 << 18, requires_grad=True)
        with pytest.raises(RuntimeError):
            (a * 2) + ones(3)

    fail()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        fail()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_state_of_an_optimizer_and_a_module_with_bad_arguments():
    with pytest.raises(ValueError, match="(?i)learning rate"):
        wg.optim.SGD([wg.ones(1, requires_grad=True)], lr=-1.0)
    with pytest.raises(ValueError, match="(?i)empty parameter list"):
        wg.optim.Adam([], lr=0.1)
    with pytest.raises(TypeError):
        wg.optim.SGD([1, 2], lr=0.1)
    model = wg.nn.Linear(2, 3)
    before = {k: v.tolist() for k, v in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="(?i)missing key|unexpected key"):
        model.load_state_dict({"weights": wg.ones(3, 2)})
    with pytest.raises(RuntimeError, match="(?i)size mismatch"):
        model.load_state_dict({"weight": wg.ones(4, 4), "bias": wg.ones(3)})
    assert before["weight"] == model.weight.tolist()
