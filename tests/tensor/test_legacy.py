"""PyTorch's old constructors, types by name, and the random state: the same programs with both libraries."""

import numpy as np
import pytest
import wengert as wg

torch = pytest.importorskip("torch")

NAMES = {
    "FloatTensor": "float32",
    "DoubleTensor": "float64",
    "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16",
    "ByteTensor": "uint8",
    "CharTensor": "int8",
    "ShortTensor": "int16",
    "IntTensor": "int32",
    "LongTensor": "int64",
    "BoolTensor": "bool",
}


def described(value):
    """What both libraries can be compared by."""
    if isinstance(value, (wg.Tensor, torch.Tensor)):
        return str(value.dtype), tuple(value.shape), value.tolist()
    return value


def compare(program):
    found = []
    for lib in (torch, wg):
        try:
            found.append(described(program(lib)))
        except Exception as error:
            found.append(error)
    theirs, ours = found
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), f"torch raises {theirs!r}, wengert gives {ours!r}"
        assert str(ours)
    else:
        assert not isinstance(ours, Exception), repr(ours)
        assert ours == theirs


@pytest.mark.parametrize("name", NAMES)
def test_classes_by_dtype(name):
    for program in (
        lambda make: make([[1, 0], [2, 3]]),
        lambda make: make([1.5, 0.0]),
        lambda make: make(np.array([1.0, 2.0])),
        lambda make: make(range(3)),
        lambda make: make((2, 3)),
        lambda make: make(),
        lambda make: make(2, 3).shape == (2, 3) and make(4).shape == (4,),
        lambda make: make(size=(2, 1)).shape == (2, 1),
        lambda make: make(np.int64(3)).shape == (3,),
        lambda make: make(device="cpu"),
        lambda make: make.__name__,
        lambda make: make.is_cuda or make.is_sparse,
        lambda make: make(make([1])),
        lambda make: make(2.5),
        lambda make: make(True),
        lambda make: make(None),
        lambda make: make("a"),
        lambda make: make(2, "a"),
        lambda make: make(-1),
        lambda make: make([[1], [2, 3]]),
    ):
        compare(lambda lib, program=program: program(getattr(lib, name)))
    made = getattr(wg, name)
    assert made.dtype == getattr(wg, NAMES[name]) and repr(made) == f"<class 'wengert.{name}'>"
    assert made(2, 3).type() == f"torch.{name}"


def test_instances_are_told_by_dtype():
    for lib in (torch, wg):
        x = lib.tensor([1])
        assert isinstance(x, lib.LongTensor) and not isinstance(x, lib.FloatTensor)
        assert not isinstance([1], lib.LongTensor) and isinstance(lib.FloatTensor([1]), lib.Tensor)
        y = lib.LongTensor(x)
        assert y is not x and y.data_ptr() == x.data_ptr()
        with pytest.raises(TypeError):
            lib.FloatTensor(x)
    with pytest.raises(TypeError, match="unexpected argument 'dtype'"):
        wg.LongTensor([1], dtype=wg.int64)
    with pytest.raises(RuntimeError, match="on the cpu"):
        wg.LongTensor(2, device="meta")


def test_tensor_called_directly():
    for program in (
        lambda lib: lib.Tensor([1, 2]),
        lambda lib: lib.Tensor(2, 3).shape == (2, 3),
        lambda lib: lib.Tensor(lib.Size([2, 3])).shape == (2, 3),
        lambda lib: lib.Tensor(lib.tensor([1, 2])),
        lambda lib: lib.Tensor((1, 2)),
        lambda lib: lib.Tensor(),
        lambda lib: lib.Tensor(2.5),
        lambda lib: lib.Tensor(False),
        lambda lib: lib.Tensor(None),
        lambda lib: lib.Tensor(3, 2.0),
        lambda lib: lib.Tensor("ab"),
        lambda lib: lib.Tensor([1, 2], color=1),
        lambda lib: lib.tensor([1]).new([2.5]),
        lambda lib: lib.tensor([1]).new(2).shape == (2,),
        lambda lib: lib.tensor([1.5]).new(),
    ):
        compare(program)


def test_types_by_name():
    for name in NAMES:
        compare(lambda lib, name=name: lib.tensor([0.0, 1.0]).type(f"torch.{name}"))
        compare(lambda lib, name=name: lib.tensor([0.0, 1.0]).type(getattr(lib, name)))
    for kind in ("foo", "Long", "LongTensor", int, float, "torch.cuda.FloatTensor"):
        compare(lambda lib, kind=kind: lib.tensor([1]).type(kind))
    compare(lambda lib: lib.tensor([1]).type(lib.Tensor))
    compare(lambda lib: lib.tensor([1]).type(lib.float64))
    compare(lambda lib: lib.tensor([1]).type())
    compare(lambda lib: lib.typename(lib.tensor([True])))


@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type")
def test_default_type_by_class():
    def program(lib):
        lib.set_default_tensor_type(lib.DoubleTensor)
        try:
            return [str(lib.ones(1).dtype), str(lib.Tensor([1]).dtype), str(lib.get_default_dtype())]
        finally:
            lib.set_default_tensor_type("torch.FloatTensor")

    compare(program)
    for bad in (lambda lib: lib.LongTensor, lambda lib: 3, lambda lib: "torch.Foo"):
        compare(lambda lib, bad=bad: lib.set_default_tensor_type(bad(lib)))
    assert wg.get_default_dtype() == wg.float32


def test_random_state():
    def program(lib):
        seen = [lib.manual_seed(5).initial_seed(), lib.initial_seed(), lib.random.initial_seed()]
        state = lib.get_rng_state()
        first = lib.randn(20).numpy().tolist()
        lib.set_rng_state(state)
        seen.append(first == lib.randn(20).numpy().tolist())
        with lib.random.fork_rng(devices=[]):
            lib.manual_seed(9)
            lib.rand(3)
        seen.append(lib.rand(3).tolist())
        with lib.random.fork_rng(enabled=False):
            lib.manual_seed(9)
        seen.append(lib.rand(3).tolist())
        drawn = lib.seed()
        seen += [drawn == lib.initial_seed(), type(drawn), drawn != lib.seed()]
        lib.manual_seed(-1)
        return [*seen, lib.initial_seed(), str(state.dtype)]

    compare(program)
    for bad in (lambda lib: lib.set_rng_state([1, 2]), lambda lib: lib.set_rng_state(lib.zeros(3))):
        compare(bad)

    @wg.random.fork_rng()
    def draw():
        return wg.rand(1)

    assert draw().item() == wg.rand(1).item()
