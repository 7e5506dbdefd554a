"""`Variable`, and what `grad` and `backward` refuse, against PyTorch."""

import warnings

import pytest
import wengert as wg

torch = pytest.importorskip("torch")


def told(program, m):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return program(m)
    except Exception as error:  # noqa: BLE001 - its type is what is compared
        return type(error).__name__


def variable(*args, **kwargs):
    def program(m):
        given = [m.ones(2) if a == "x" else a for a in args]
        v = m.autograd.Variable(*given, **kwargs)
        return type(v) is m.Tensor, v.requires_grad, v.is_leaf, tuple(v.shape)

    return program


def shares_memory(m):
    x = m.ones(2, requires_grad=True)
    v = m.autograd.Variable(x)
    w = m.autograd.Variable(x * 2, requires_grad=True)
    (w * 3).sum().backward()
    return v is x, v.requires_grad, v.data_ptr() == x.data_ptr(), x.grad, w.grad.tolist()


def instances(m):
    kind = m.autograd.Variable
    return [isinstance(v, kind) for v in (m.ones(1), m.nn.Parameter(m.ones(1)), 3, None, [m.ones(1)])]


def gradient(*args, **kwargs):
    def program(m):
        x = m.ones(2, requires_grad=True)
        y = (x * x).sum()
        return m.autograd.grad(y, *args, **kwargs)

    return program


PROGRAMS = [
    variable("x"),
    variable("x", True),
    variable("x", requires_grad=True),
    variable("x", 1),
    variable("x", volatile=True),
    variable(),
    variable(None),
    variable(3),
    variable([1.0]),
    variable("x", foo=1),
    lambda m: m.autograd.Variable(m.ones(2, dtype=m.int64), requires_grad=True),
    lambda m: m.autograd.Variable(data=m.ones(2)).tolist(),
    shares_memory,
    instances,
    gradient([]),
    gradient(()),
    gradient([], allow_unused=True),
    gradient([3]),
    gradient(None),
    lambda m: m.ones(1, requires_grad=True).backward(inputs=[]),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_as_pytorch(program):
    assert told(program, wg) == told(program, torch)
