"""What makes a tensor a good Python object: operators, conversion, identity, pickles, printing."""

import copy
import io
import operator
import pickle
import weakref

import numpy as np
import pytest
import wengert as wg
from support import assert_same, outcome


def test_conversion_to_python():
    assert wg.tensor(2.5).item() == 2.5 and isinstance(wg.tensor(3).item(), int)
    assert wg.tensor([[True]]).item() is True
    assert float(wg.tensor([1.5])) == 1.5 and int(wg.tensor(2.9)) == 2
    assert bool(wg.tensor([0.0])) is False and bool(wg.tensor(3)) is True
    assert list(range(5))[wg.tensor(2)] == 2 and operator.index(wg.tensor([3])) == 3
    assert wg.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert wg.tensor(1.5).tolist() == 1.5 and wg.zeros(2, 0).tolist() == [[], []]
    assert f"{wg.tensor(1.23456):.2f}" == "1.23"
    assert round(float(wg.tensor(2.6))) == 3


def test_functions_take_arguments_by_place_and_by_name():
    x = wg.tensor([[3.0, 1.0], [2.0, 4.0]])
    for by_place, by_name in [
        (wg.sum(x, 0), wg.sum(dim=0, input=x)),
        (wg.sum(x, 1, True), wg.sum(x, keepdim=True, dim=1)),
        (wg.cumsum(x, 1), wg.cumsum(x, axis=1)),
        (wg.softmax(x, 0, wg.float64), wg.softmax(x, dtype=wg.float64, dim=0)),
    ]:
        assert_same(by_place, by_name)
    out = wg.empty(2)
    assert wg.sum(x, 0, out=out) is out and out.tolist() == [5.0, 5.0]
    for wrong in [(), (3,), ("x", 0), (None,)]:
        with pytest.raises(TypeError, match=r"sum\(\)"):
            wg.sum(*wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'dimm'"):
        wg.sum(x, dimm=0)


def test_attributes():
    t = wg.zeros(2, 3, dtype=wg.float64)
    assert t.shape == (2, 3) and t.shape[0] == 2 and tuple(t.size()) == (2, 3) and t.size(-1) == 3
    assert t.dim() == t.ndim == 2 and t.numel() == t.nelement() == 6 and len(t) == 2
    assert t.stride() == (3, 1) and t.stride(0) == 3 and t.t().stride() == (1, 3)
    assert t.element_size() == 8 and t.nbytes == 48 and t[1:].storage_offset() == 3
    assert t.is_contiguous() and not t.t().is_contiguous() and t.t().contiguous().is_contiguous()
    assert t.dtype is wg.float64 and t.dtype.is_floating_point and t.dtype.itemsize == 8
    assert str(t.dtype).endswith(".float64") and str(t.device) == "cpu" and t.device == wg.device("cpu")
    assert t.T.shape == (3, 2) and t.mT.shape == (3, 2)
    assert isinstance(t.shape, wg.Size) and t.shape.numel() == 6 and t.layout is wg.strided


def test_iteration_and_membership():
    t = wg.arange(6).reshape(3, 2)
    assert [r.tolist() for r in t] == [[0, 1], [2, 3], [4, 5]]
    assert [r.tolist() for r in reversed(t)] == [[4, 5], [2, 3], [0, 1]]
    assert 3 in t and 7 not in t
    a, b, c = t
    assert (a + b + c).tolist() == [6, 9]
    assert dict(zip(wg.tensor([1, 2]).tolist(), "ab", strict=True)) == {1: "a", 2: "b"}


BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and_",
    "or_",
    "xor",
    "lshift",
    "rshift",
]
COMPARE = ["eq", "ne", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", BINARY + COMPARE)
@pytest.mark.parametrize("kind", ["float32", "int64", "bool"])
def test_operators_are_torchs(name, kind):
    torch = pytest.importorskip("torch")
    op = getattr(operator, name)
    for left, right in [("t", "t"), ("t", 2), (2, "t"), ("t", 0.5), (0.5, "t"), (True, "t"), ("t", "0-d")]:
        results = []
        for m in (wg, torch):
            t = m.tensor([3, 1, 2]).to(getattr(m, kind))
            args = [
                {"t": t, "0-d": m.tensor(2.0)}.get(v, v) if isinstance(v, str) else v for v in (left, right)
            ]
            results.append(outcome(op, *args))
        (got, error), (want, refusal) = results
        if refusal is not None:
            assert isinstance(error, type(refusal)), f"{left} {name} {right}: {refusal!r}, {error!r}"
        else:
            assert error is None, f"{left} {name} {right}: {error!r}"
            assert_same(got, want, f"{left} {name} {right}")


@pytest.mark.parametrize("name", ["iadd", "isub", "imul", "itruediv", "ipow", "iand", "ifloordiv", "imod"])
def test_in_place_operators_keep_the_object(name):
    t = wg.tensor([6, 4]) if name == "iand" else wg.tensor([6.0, 4.0])
    view, before, address = t[:1], t, t.data_ptr()
    t = getattr(operator, name)(t, 3 if name == "iand" else 2.0)
    assert t is before and t.data_ptr() == address and view[0] == t[0]


def test_unary_operators():
    t = wg.tensor([-1.5, 2.0])
    assert (-t).tolist() == [1.5, -2.0] and (+t).tolist() == [-1.5, 2.0] and abs(t).tolist() == [1.5, 2.0]
    assert (~wg.tensor([True, False])).tolist() == [False, True] and (~wg.tensor([0, 5])).tolist() == [-1, -6]


def test_operators_give_way_to_other_types():
    class Other:
        def __radd__(self, left):
            return "radd"

        def __rmatmul__(self, left):
            return "rmatmul"

        def __lt__(self, right):
            return "lt"

    assert wg.ones(2) + Other() == "radd"
    assert wg.ones(2) @ Other() == "rmatmul"
    assert (wg.ones(2) > Other()) == "lt"
    assert (wg.ones(2) == object()) is False and (wg.ones(2) != None) is True  # noqa: E711


def test_hash_is_identity():
    a, b = wg.ones(2), wg.ones(2)
    assert hash(a) == hash(a) and len({a, b, a}) == 2
    assert {a: 1, b: 2}[b] == 2
    assert (a == b).all() and a is not b
    assert a.detach() is not a


def test_weak_references_and_attributes():
    t = wg.ones(2)
    ref = weakref.ref(t)
    t.note = "mine"
    assert ref() is t and ref().note == "mine"
    del t
    assert ref() is None


READ = [
    (0,),
    (-1,),
    (slice(1, None),),
    (slice(None, None, 2), slice(-2, None)),
    (Ellipsis, 1),
    (None, 0, None),
    (slice(0, 0),),
    (0, 1, 2),
    ([0, 2],),
    ([0, -1], [1, 2]),
    (slice(None), [1, 0, 1]),
    ([[0, 1], [2, 0]],),
    ([0, 1], slice(None), [0, 3]),
    ([0, 1], None, [0, 2]),
    (Ellipsis, [0, 3]),
    ([True, False, True],),
    (slice(None), [True, False, True]),
    (True,),
    (False,),
    (slice(None), 1, [0, 0]),
    (),
]


@pytest.mark.parametrize("index", READ, ids=repr)
def test_reading_by_index_is_numpys(index):
    a = np.arange(36).reshape(3, 3, 4)
    t = wg.tensor(a)
    key = tuple(np.array(i) if isinstance(i, list) else i for i in index)
    want = a[key]
    for convert in (lambda i: i, lambda i: wg.tensor(i) if isinstance(i, list) else i):
        got = t[tuple(convert(i) for i in index)]
        assert got.tolist() == want.tolist() and tuple(got.shape) == want.shape


def test_a_number_beside_an_index_tensor_is_no_index_tensor():
    """The one place where PyTorch's rule is not numpy's."""
    t = wg.arange(36).reshape(3, 3, 4)
    assert t[0, :, [0, 3]].tolist() == [[0, 3], [4, 7], [8, 11]]


@pytest.mark.parametrize("index", READ, ids=repr)
def test_writing_by_index_is_numpys(index):
    a = np.arange(36.0).reshape(3, 3, 4)
    t = wg.tensor(a)
    key = tuple(np.array(i) if isinstance(i, list) else i for i in index)
    mine = tuple(wg.tensor(i) if isinstance(i, list) else i for i in index)
    a[key] = -1.0
    t[mine] = -1.0
    assert t.tolist() == a.tolist()
    values = np.arange(100.0, 100.0 + a[key].size).reshape(a[key].shape)
    if not any(isinstance(i, list) and len(i) == 2 and i[0] == i[1] for i in index) and index != (
        slice(None),
        [1, 0, 1],
    ):
        a[key] = values
        t[mine] = wg.tensor(values)
        assert t.tolist() == a.tolist()


def test_writing_converts_and_broadcasts():
    t = wg.zeros(2, 3, dtype=wg.int64)
    t[0] = 2.7
    t[1] = wg.tensor([True])
    assert t.tolist() == [[2, 2, 2], [1, 1, 1]]
    t[:, 1] = wg.tensor([7.0, 8.0])
    t[t == 2] = wg.tensor(5)
    assert t.tolist() == [[5, 7, 5], [1, 8, 1]]
    t[...] = 0
    assert not t.any()


PICKLES = {
    "plain": lambda: wg.arange(6.0).reshape(2, 3),
    "half": lambda: wg.ones(3, dtype=wg.bfloat16),
    "bool": lambda: wg.tensor([True, False]),
    "strided": lambda: wg.arange(6.0).reshape(2, 3).t()[1:],
    "0-d": lambda: wg.tensor(3),
    "empty": lambda: wg.zeros(0, 4),
    "leaf": lambda: wg.ones(2, requires_grad=True),
    "parameter": lambda: wg.nn.Parameter(wg.ones(2)),
}


@pytest.mark.parametrize("make", PICKLES.values(), ids=PICKLES)
@pytest.mark.parametrize(
    "copier", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_copies_are_equal_and_apart(make, copier):
    t = make()
    c = copier(t)
    assert (
        type(c) is type(t)
        and c.dtype == t.dtype
        and c.shape == t.shape
        and c.requires_grad == t.requires_grad
    )
    assert wg.equal(c, t) and (t.numel() == 0 or c.data_ptr() != t.data_ptr())
    with wg.no_grad():
        c.zero_()
    assert t.numel() == 0 or t.dtype == wg.bool or t.double().abs().sum() > 0


def test_deepcopy_keeps_sharing_and_gradients():
    x = wg.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    a, b = copy.deepcopy([x, x])
    assert a is b and a.grad.tolist() == [3.0, 3.0] and a.grad is not x.grad
    base = wg.zeros(4)
    p, q = copy.deepcopy((base, base[1:]))
    p.fill_(5)
    assert q.tolist() == [5.0, 5.0, 5.0] and base.tolist() == [0.0] * 4
    shallow = copy.copy(base)
    shallow.fill_(2)
    assert base.tolist() == [2.0] * 4


def test_copies_of_results_are_leaves():
    x = wg.ones(3, requires_grad=True)
    for copied in (pickle.loads(pickle.dumps(x * 2)), copy.copy(x * 2)):
        assert copied.is_leaf and copied.requires_grad and copied.tolist() == [2.0] * 3
    x.note = "kept"
    shallow = copy.copy(x)
    assert shallow.note == "kept" and shallow.grad is None and shallow.data_ptr() == x.data_ptr()
    assert type(copy.copy(wg.nn.Parameter(x.detach()))) is wg.nn.Parameter


def test_numpy_functions_give_tensors():
    assert wg.equal(np.add(wg.ones(2), 1), wg.full((2,), 2.0))
    total = wg.ones(2) + np.ones(2)
    assert type(total) is wg.Tensor and total.dtype == wg.float64
    assert np.sin(wg.zeros(2)).tolist() == [0.0, 0.0]


def test_str_is_repr():
    assert str(wg.nn.Parameter(wg.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    assert str(wg.ones(2)) == repr(wg.ones(2)) == "tensor([1., 1.])"


def test_a_module_survives_a_pickle():
    model = wg.nn.Sequential(wg.nn.Linear(2, 3), wg.nn.ReLU(), wg.nn.Linear(3, 1))
    buffer = io.BytesIO()
    pickle.dump(model, buffer)
    buffer.seek(0)
    other = pickle.load(buffer)
    x = wg.randn(4, 2)
    assert wg.equal(model(x), other(x)) and other[0].weight.requires_grad


@pytest.mark.parametrize(
    "name", [name for name, f in sorted(vars(wg._core).items()) if type(f) is type(len) and name[0] != "_"]
)
def test_a_function_survives_a_pickle(name):
    function = getattr(wg._core, name)
    assert pickle.loads(pickle.dumps(function)) is function and copy.deepcopy(function) is function


def test_casts():
    t = wg.tensor([1.7, -1.7, 0.0])
    assert t.int().tolist() == [1, -1, 0] and t.bool().tolist() == [True, True, False]
    for method, dtype in [("double", "float64"), ("half", "float16"), ("long", "int64"), ("char", "int8")]:
        assert getattr(t, method)().dtype == getattr(wg, dtype)
    assert t.float() is t and t.to(wg.float32) is t and t.to("cpu") is t and t.to(t) is t
    assert t.to(wg.float32, copy=True) is not t
    assert t.type_as(wg.ones(1).double()).dtype == wg.float64
    assert wg.tensor([300, -1]).to(wg.uint8).tolist() == [44, 255]


PRINTED = {
    "scalar": lambda m: m.tensor(4.0),
    "integer": lambda m: m.tensor(4),
    "vector": lambda m: m.tensor([1.0, 2.0, 3.0]),
    "fractions": lambda m: m.tensor([1.5, -0.25, 100.0]),
    "scientific": lambda m: m.tensor([1e-8, 1.0, 1e9]),
    "small": lambda m: m.tensor([1e-5, 2e-5]),
    "large": lambda m: m.tensor([12345678.0, 1.0]),
    "nan and inf": lambda m: m.tensor([float("nan"), float("inf"), -1.0]),
    "only inf": lambda m: m.tensor([float("-inf")]),
    "negative zero": lambda m: m.tensor([-0.0, 0.0]),
    "matrix": lambda m: m.tensor([[1.0, -2.5], [3.0, 1000.0]]),
    "integers": lambda m: m.tensor([[1, -20], [300, 4]]),
    "bools": lambda m: m.tensor([[True, False]]),
    "double": lambda m: m.tensor([1.0, 2.0], dtype=m.float64),
    "half": lambda m: m.tensor([1.0, 0.1], dtype=m.float16),
    "bfloat16": lambda m: m.tensor([1.0, 0.1], dtype=m.bfloat16),
    "int32": lambda m: m.tensor([1], dtype=m.int32),
    "three dims": lambda m: m.arange(12).reshape(2, 2, 3),
    "four dims": lambda m: m.arange(16.0).reshape(2, 2, 2, 2),
    "long vector": lambda m: m.arange(100.0),
    "summarised vector": lambda m: m.arange(2000),
    "summarised matrix": lambda m: m.arange(10000.0).reshape(100, 100),
    "summarised cube": lambda m: m.zeros(20, 20, 20),
    "empty": lambda m: m.tensor([]),
    "empty matrix": lambda m: m.zeros(0, 3),
    "empty integers": lambda m: m.zeros(2, 0, dtype=m.int64),
    "leaf": lambda m: m.tensor([1.0, 2.0], requires_grad=True),
    "result": lambda m: m.tensor([1.0, 2.0], requires_grad=True) * 2,
    "long result": lambda m: m.arange(20.0).requires_grad_().exp(),
    "view": lambda m: (m.ones(2, 2, requires_grad=True) * 1).t(),
    "sum": lambda m: m.ones(3, requires_grad=True).sum(),
    "mean": lambda m: m.ones(3, requires_grad=True).mean(),
    "power": lambda m: m.tensor(3.0, requires_grad=True) ** 2,
    "product": lambda m: m.ones(2, 2, requires_grad=True) @ m.ones(2, 2),
    "parameter": lambda m: m.nn.Parameter(m.tensor([1.0, 2.0])),
    "meta": lambda m: m.empty(2, 3, device="meta"),
    "size": lambda m: m.zeros(2, 3).shape,
    "strided": lambda m: m.arange(6.0).reshape(2, 3).t(),
}


@pytest.mark.parametrize("make", PRINTED.values(), ids=PRINTED)
def test_printing_is_torchs(make):
    torch = pytest.importorskip("torch")
    assert repr(make(wg)).replace("wengert.", "torch.") == repr(make(torch))


def test_print_options():
    torch = pytest.importorskip("torch")
    settings = [{"precision": 2}, {"sci_mode": True}, {"threshold": 5, "edgeitems": 1}, {"linewidth": 30}]
    for options in settings:
        printed = []
        for m in (wg, torch):
            m.set_printoptions(**options)
            try:
                printed.append(repr(m.arange(12.0).reshape(3, 4) / 7))
            finally:
                m.set_printoptions(profile="default")
                m.set_printoptions(sci_mode=None)
        assert printed[0] == printed[1], options
