"""What nodes and Functions keep, for how long, and what comes out again: against PyTorch."""

import gc
import textwrap
import warnings

import numpy as np
import pytest
import wengert as wg

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.devices(factories=True)


def told(value):
    if hasattr(value, "is_floating_point"):
        return tuple(value.shape), str(value.dtype).rsplit(".", 1)[-1], value.tolist(), value.requires_grad
    if isinstance(value, (tuple, list)):
        return [told(v) for v in value]
    return value


def attempt(f):
    try:
        return told(f())
    except Exception as error:  # noqa: BLE001 - its type and first words are what is compared
        return type(error).__name__, str(error)[:60]


def run(m, program):
    """The value of the program's last line."""
    *before, last = [line for line in textwrap.dedent(program).strip().splitlines() if line]
    names = {"m": m, "np": np, "gc": gc, "attempt": attempt, "F": functions(m)}
    names["X"] = lambda *shape: m.ones(*shape, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec("\n".join(before), names)
        return told(eval(last, names))


class functions:
    """Functions of one of the libraries."""

    def __init__(self, m):
        class Saves(m.autograd.Function):
            """Keeps all that it is given, and its result."""

            seen = []

            @staticmethod
            def forward(ctx, *args):
                y = args[0] * 2
                ctx.note = 7
                ctx.save_for_backward(*args, y)
                return y

            @staticmethod
            def backward(ctx, g):
                Saves.seen.append(ctx.saved_tensors)
                return (g * 2,) + (None,) * (len(ctx.saved_tensors) - 2)

        class Bare(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2

        class Dirty(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.mark_dirty(x)
                return x * 1

            @staticmethod
            def backward(ctx, g):
                return g

        self.Saves, self.Bare, self.Dirty = Saves, Bare, Dirty


def programs(*given):
    return pytest.mark.parametrize("program", [textwrap.dedent(g).strip() for g in given])


@programs(
    # freed by a backward pass, unless the graph is retained
    """
    x, t = X(3), m.ones(3)
    y = F.Saves.apply(x, t)
    before = len(y.grad_fn.saved_tensors)
    y.sum().backward()
    before, attempt(lambda: y.grad_fn.saved_tensors), attempt(lambda: y.sum().backward())
    """,
    """
    y = F.Saves.apply(X(3))
    y.sum().backward(retain_graph=True)
    y.grad_fn.saved_tensors[0], attempt(lambda: y.sum().backward())
    """,
    # nothing saved: nothing freed
    """
    x = X(3)
    y = F.Bare.apply(x)
    y.backward(m.ones(3))
    y.backward(m.ones(3))
    x.grad
    """,
    # attributes of the ctx
    """
    y = F.Saves.apply(X(2))
    y.grad_fn.other = 3
    y.grad_fn.note, y.grad_fn.other, y.grad_fn.needs_input_grad, attempt(lambda: y.grad_fn.absent)[0]
    """,
    """
    y = F.Saves.apply(X(2))
    s = y.grad_fn.saved_tensors
    [t.requires_grad for t in s], s[1].grad_fn is not None, s[1].grad_fn == y.grad_fn
    """,
    # the very same objects come back, of whatever class
    """
    p, t, x = m.nn.Parameter(m.ones(3)), m.ones(3), X(3)
    z = x * 3
    y = F.Saves.apply(z, p, t)
    y.sum().backward()
    a, b, c, d = F.Saves.seen[0]
    a is z, b is p, c is t, type(b).__name__
    """,
    """
    t = m.arange(6.)
    t.note = 5
    y = F.Saves.apply(X(2), t[2:], t)
    y.sum().backward()
    a, b, c, d = F.Saves.seen[0]
    b, c is t, c.note
    """,
    # wrong uses
    "attempt(lambda: F.Dirty.apply(X(2) * 1))",
    "attempt(lambda: F.Dirty.apply(m.ones(2)))",
    """
    with m.inference_mode(): t = m.ones(2)
    attempt(lambda: F.Saves.apply(X(2), t))
    """,
)
def test_functions(program):
    assert run(wg, program) == run(torch, program)


def test_a_saved_tensor_written_since_comes_back_as_it_was():
    F = functions(wg)
    p = wg.nn.Parameter(wg.ones(2))
    y = F.Saves.apply(wg.ones(2, requires_grad=True), p)
    with wg.no_grad():
        p.mul_(5)
    y.sum().backward()
    kept = F.Saves.seen[0][1]
    assert kept is not p and kept.tolist() == [1, 1] and p.tolist() == [5, 5]


def test_memory_of_saved_tensors_goes_at_backward():
    import weakref

    for m in (torch, wg):
        n = np.ones(3, "f4")
        seen = weakref.ref(n)
        y = functions(m).Bare.apply(m.ones(3, requires_grad=True))
        F = functions(m)
        y = F.Saves.apply(m.ones(3, requires_grad=True), m.from_numpy(n))
        del n
        y.sum().backward()
        F.Saves.seen.clear()
        gc.collect()
        assert seen() is None, m.__name__


@programs(
    "(X(2) * X(2)).grad_fn._saved_self, (X(2) * X(2)).grad_fn._saved_other",
    "(X(2) * m.ones(2)).grad_fn._saved_self, (X(2) * m.ones(2)).grad_fn._saved_other",
    "(X(2) * 3).grad_fn._saved_other, (X(2) * 2.5).grad_fn._saved_other",
    "X(2).exp().grad_fn._saved_result, X(2).sigmoid().grad_fn._saved_result",
    "X(2).sin().grad_fn._saved_self, X(2).log().grad_fn._saved_self",
    "(X(2) ** 2).grad_fn._saved_self, (X(2) ** 2).grad_fn._saved_exponent, (X(2) ** 3).grad_fn._saved_exponent",
    "(X(2) ** X(2)).grad_fn._saved_exponent, (X(2) ** X(2)).grad_fn._saved_result",
    "(X(2) / X(2)).grad_fn._saved_other",
    "(X(2, 3) @ X(3, 2)).grad_fn._saved_self, (X(2, 3) @ X(3, 2)).grad_fn._saved_mat2",
    "X(4).softmax(0).grad_fn._saved_result",
    "m.lerp(X(2), X(2), 0.25).grad_fn._saved_weight",
    "m.addcmul(X(2), X(2), X(2)).grad_fn._saved_tensor1",
    "m.where(m.tensor([True, False]), X(2), X(2)).grad_fn._saved_condition",
    "attempt(lambda: X(2).exp().grad_fn._saved_self)[0]",
    "hasattr((X(2) + X(2)).grad_fn, '_saved_self'), '_saved_result' in dir(X(2).exp().grad_fn)",
    """
    x = X(2)
    y = x.exp()
    (x * x).grad_fn._saved_self is x, y.grad_fn._saved_result.grad_fn == y.grad_fn
    """,
    """
    y = X(2).exp()
    y.sum().backward()
    attempt(lambda: y.grad_fn._saved_result)
    """,
)
def test_saved_operands_of_nodes(program):
    assert run(wg, program) == run(torch, program)


def test_names_of_saved_operands_are_pytorchs():
    def names(m, function, n):
        y = function(*[m.full((2,), 0.5 + 0.1 * i, requires_grad=True) for i in range(n)])
        return type(y.grad_fn).__name__, {name for name in dir(y.grad_fn) if name.startswith("_saved_")}

    compared = 0
    rows = {row["name"] for row in wg._core._rows()} - {"where"}
    for name in sorted(
        rows | {"mm", "bmm", "mv", "dot", "softmax", "prod", "amax", "cumprod", "clip", "std", "mean"}
    ):
        theirs = getattr(torch, name, None)
        if theirs is None:
            continue
        for n in (1, 2, 3):
            try:
                ours, theirs_ = names(wg, getattr(wg, name), n), names(torch, theirs, n)
            except Exception:  # noqa: BLE001 - other arguments, or no gradient
                continue
            if ours[0] == theirs_[0]:
                assert ours[1] <= theirs_[1], name
                compared += len(ours[1])
    assert compared > 40
