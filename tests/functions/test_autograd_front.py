"""wengert.autograd's Python: Functions, checks, functional derivatives, grad modes; and the name torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import wengert as wg

AF, TF = wg.autograd.functional, torch.autograd.functional


def same(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        assert tuple(ours.shape) == tuple(theirs.shape)
        torch.testing.assert_close(torch.tensor(ours.tolist()), theirs)
    else:
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)


@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"])
@pytest.mark.parametrize("many", [False, True])
def test_functional(name, many):
    def run(module, functional):
        x, y = module.tensor([1.0, 2.0]), module.tensor([3.0, 4.0])
        inputs = (x, y) if many else x
        scalar = (lambda x, y: (x**3 * y).sum()) if many else lambda x: (x**3).sum()
        vector = (lambda x, y: (x * y).sum() * x) if many else lambda x: x * x
        if name in ("jacobian", "hessian"):
            return getattr(functional, name)(vector if name == "jacobian" else scalar, inputs)
        if name == "vjp":
            return functional.vjp(vector, inputs, x)
        return getattr(functional, name)(vector if name == "jvp" else scalar, inputs, inputs)

    same(run(wg, AF), run(torch, TF))


def test_functional_strict_and_create_graph():
    with pytest.raises(RuntimeError, match="independent"):
        AF.jacobian(lambda x: wg.ones(2), wg.ones(2), strict=True)
    x = wg.tensor([2.0], requires_grad=True)
    j = AF.jacobian(lambda v: v**3, x, create_graph=True)
    assert wg.autograd.grad(j.sum(), x)[0].item() == 12
    with pytest.raises(RuntimeError, match="single element"):
        AF.hessian(lambda x: x * 2, wg.ones(2))


class Wrong(wg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return ctx.saved_tensors[0] * g


class Scale(wg.autograd.Function):
    @staticmethod
    def forward(x, factor):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None


class Once(wg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    @wg.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].exp()


class Exp(wg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


def test_gradcheck_finds_a_wrong_gradient():
    x = wg.tensor([1.0, 2.0], dtype=wg.float64, requires_grad=True)
    assert wg.autograd.gradcheck(Wrong.apply, x, raise_exception=False) is False
    with pytest.raises(
        wg.autograd.GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"
    ):
        wg.autograd.gradcheck(Wrong.apply, x)
    with pytest.raises(ValueError, match="at least one input"):
        wg.autograd.gradcheck(wg.sin, wg.ones(2))


def test_function_with_setup_context():
    x = wg.tensor([1.0, 2.0], requires_grad=True)
    y = Scale.apply(x, 3.0)
    assert type(y.grad_fn).__name__ != "NoneType" and y.grad_fn.name() == "ScaleBackward"
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]
    with pytest.raises(RuntimeError, match="should not be instantiated"):
        Scale()


def test_function_saved_output_differentiates_twice():
    x = wg.tensor([0.5, 1.0], dtype=wg.float64, requires_grad=True)
    assert wg.autograd.gradcheck(Exp.apply, x)
    assert wg.autograd.gradgradcheck(Exp.apply, x)


def test_once_differentiable_refuses_twice():
    x = wg.tensor([1.0], requires_grad=True)
    (g,) = wg.autograd.grad(Once.apply(x).sum(), x)
    assert g.item() == pytest.approx(2.71828, rel=1e-4)
    w = wg.ones(1, requires_grad=True)
    (g,) = wg.autograd.grad((Once.apply(x) * w).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_grad_modes_as_decorators():
    @wg.no_grad()
    def off():
        return wg.is_grad_enabled()

    @wg.no_grad
    def plain():
        return wg.is_grad_enabled()

    @wg.no_grad()
    def steps():
        got = yield wg.is_grad_enabled()
        yield got, wg.is_grad_enabled()

    @wg.set_grad_enabled(False)
    def switched():
        return wg.is_grad_enabled()

    assert (off(), plain(), switched(), wg.is_grad_enabled()) == (False, False, False, True)
    generator = steps()
    assert next(generator) is False and wg.is_grad_enabled()
    assert generator.send(7) == (7, False)
    with wg.set_grad_enabled(False):
        assert not wg.is_grad_enabled()
        with wg.enable_grad():
            assert wg.is_grad_enabled()
    assert wg.is_grad_enabled()


def test_grad_arguments():
    x, y = wg.ones(2, requires_grad=True), wg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="implicitly created"):
        wg.autograd.grad(x * 2, x)
    assert wg.autograd.grad((x * 2).sum(), (x, y), allow_unused=True)[1] is None
    assert wg.autograd.grad((x * 2).sum(), (x, y), materialize_grads=True)[1].tolist() == [0, 0]
    (rows,) = wg.autograd.grad(x * 3, x, wg.eye(2), is_grads_batched=True)
    assert rows.tolist() == [[3, 0], [0, 3]]
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        wg.autograd.grad(x * 2, x, wg.ones(3))
    with pytest.raises(RuntimeError, match="cannot be empty"):
        wg.autograd.backward((x * 2).sum(), inputs=[])


SCRIPT = """
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torch.autograd import Function
x = torch.tensor([1., 2.], requires_grad=True)
(x * x).sum().backward()
print(x.grad, sys.argv[1:], torch.__name__, torch.cuda.is_available(), F.relu(x.detach()))
for use in ("import torch.nothing", "from torch import nothing", "torch.nothing", "import torch.nn.nothing"):
    try:
        exec(use)
    except (ImportError, AttributeError) as error:
        print(type(error).__name__, "wengert" in str(error))
"""


def test_as_torch(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    found = subprocess.run(
        [sys.executable, "-m", "wengert.as_torch", str(script), "a", "b"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        "tensor([2., 4.]) ['a', 'b'] wengert False tensor([1., 2.])",
        "ModuleNotFoundError True",
        "ImportError True",
        "AttributeError True",
        "ModuleNotFoundError True",
    ]


def test_install_after_torch_is_refused():
    with pytest.raises(RuntimeError, match="imported already"):
        wg.install_as_torch()


def test_assert_close_messages():
    for args in (([1.0, 2.0], [1.0, 2.1]), ([1], [2]), (1.0, 1.5), ([[1.0, 2.0]], [1.0])):
        with pytest.raises(AssertionError) as ours:
            wg.testing.assert_close(wg.tensor(args[0]), wg.tensor(args[1]))
        with pytest.raises(AssertionError) as theirs:
            torch.testing.assert_close(torch.tensor(args[0]), torch.tensor(args[1]))
        assert str(ours.value).splitlines()[:3] == str(theirs.value).splitlines()[:3]
    with pytest.raises(AssertionError, match="dtype"):
        wg.testing.assert_close(wg.ones(1), wg.ones(1, dtype=wg.float64))
    wg.testing.assert_close({"a": [wg.ones(1), 2.0]}, {"a": [wg.ones(1), 2.0]})
    with pytest.raises(AssertionError, match="item"):
        wg.testing.assert_close({"a": [1.0]}, {"a": [2.0]})
