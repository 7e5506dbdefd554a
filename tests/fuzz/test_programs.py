"""Random programs with views, in-place writes, broadcasting and detach: wengert against PyTorch."""

import os
import re

import numpy as np
import pytest
import wengert as wg
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from oracle import snapshots
from programs import Run, programs
from support import to_numpy

torch = pytest.importorskip("torch")

# Of a saved value, and of a saved view whose base was written: snapshots need neither refusal.
MODIFIED = re.compile("modified (by an inplace operation|inplace)")
# Shrinking takes minutes: WENGERT_SHRINK=1 turns it on for whoever looks for the cause of a failure.
EXAMPLES = int(os.environ.get("WENGERT_FUZZ", "120"))
deterministic = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate] + ([Phase.shrink] if os.environ.get("WENGERT_SHRINK") else []),
    suppress_health_check=list(HealthCheck),
)


# New programs need new kernels.
OF_A_DEVICE = {"cpu": EXAMPLES, "gpu": EXAMPLES // 6}


def holds_for(*strategies):
    """A test of a property on examples, in a number that the device decides."""

    def decorate(holds):
        def test(device):
            examples = settings(deterministic, max_examples=OF_A_DEVICE[device.type])
            examples(given(*strategies)(holds))()

        test.__name__, test.__doc__ = holds.__name__, holds.__doc__
        return test

    return decorate


def same_errors(ours, theirs, program):
    """Statement by statement: both run, or both fail with one type of exception."""
    for k, (a, b) in enumerate(zip(ours.errors, theirs.errors, strict=True)):
        where = f"statement {k} {program[k] if k < len(program) else 'of the loss'}"
        assert (a is None) == (b is None), f"{where}: wengert {a!r}, PyTorch {b!r}"
        assert a is None or isinstance(a, type(b)) or isinstance(b, type(a)), f"{where}: {a!r}, {b!r}"


def same_registers(ours, theirs):
    assert len(ours.regs) == len(theirs.regs)
    for k, (a, b) in enumerate(zip(ours.regs, theirs.regs, strict=True)):
        assert tuple(a.shape) == tuple(b.shape) and a.requires_grad == b.requires_grad, f"register {k}"
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-9, atol=1e-10, err_msg=f"register {k}")


def same_gradients(got, want):
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        if g is None or w is None:
            present = g if g is not None else w
            assert present is None or not to_numpy(present).any(), f"leaf {k}"
        else:
            np.testing.assert_allclose(to_numpy(g), to_numpy(w), rtol=1e-7, atol=1e-8, err_msg=f"leaf {k}")


def finite(run):
    return all(np.isfinite(to_numpy(r)).all() for r in run.regs)


def by_oracle(program):
    with snapshots(torch):
        run = Run(torch, program)
        return run.gradients(run.loss())


def by_pytorch(program):
    """PyTorch's gradients of the program, or None where PyTorch refuses it."""
    run = Run(torch, program)
    loss = run.loss()
    try:
        return run.gradients(loss)
    except RuntimeError as e:
        if not MODIFIED.search(str(e)):
            raise
        return None


@holds_for(programs)
def test_the_oracle_is_pytorch_where_pytorch_answers(program):
    assume(finite(Run(torch, program)))
    assume(Run(torch, program).loss().requires_grad)
    want = by_pytorch(program)
    if want is not None:
        same_gradients(by_oracle(program), want)


REFUSED = {
    "exp then scaled": [("unary", "exp", 5), ("scale", "mul_", 10, 2.0)],
    "factor overwritten": [("binary", "mul", 5, 5), ("inplace", "tanh_", 5)],
    "view overwritten": [("binary", "mul", 6, 6), ("view", "first", 6), ("scale", "mul_", 11, -1.5)],
    "saved output set": [("unary", "tanh", 6), ("set", "first", 10, 5)],
}


@pytest.mark.parametrize("program", REFUSED.values(), ids=REFUSED)
def test_the_oracle_is_the_finite_difference(program):
    """Programs that PyTorch refuses: the oracle, and wengert, against central differences."""
    assert by_pytorch(program) is None
    want = by_oracle(program)

    def value(leaf, i, h):
        values = [v.copy() for v in Run(torch, []).values]
        values[leaf].reshape(-1)[i] += h  # a view: the values are contiguous
        return Run(torch, program, values).loss().item()

    h = 1e-6
    for leaf, gradient in enumerate(want):
        for i, g in enumerate(to_numpy(gradient).ravel()):
            assert abs((value(leaf, i, h) - value(leaf, i, -h)) / (2 * h) - g) < 1e-6
    if wg is not torch:
        run = Run(wg, program)
        got = run.gradients(run.loss())
        same_gradients(got, [torch.tensor(to_numpy(w)) for w in want])


@pytest.mark.devices(factories=True)
@holds_for(programs)
def test_programs(program):
    ours, theirs = Run(wg, program), Run(torch, program)
    same_errors(ours, theirs, program)
    assume(finite(theirs))
    same_registers(ours, theirs)
    our_loss, their_loss = ours.loss(), theirs.loss()
    same_errors(ours, theirs, program)
    np.testing.assert_allclose(to_numpy(our_loss), to_numpy(their_loss), rtol=1e-9)
    if their_loss.requires_grad:
        want = by_pytorch(program)
        if want is None and wg is torch:  # the tests are being tested, and torch stands in for wengert
            return
        same_gradients(ours.gradients(our_loss), by_oracle(program) if want is None else want)


@pytest.mark.devices(factories=True)
@holds_for(programs, st.integers(0, 4))
def test_second_derivatives(program, leaf):
    """The gradient's gradient, where PyTorch gives one without complaint."""
    program = program[:25]

    def second(m):
        run = Run(m, program)
        first = run.gradients(run.loss(), create_graph=True)
        penalty = sum((g**2).sum() for g in first if g is not None and g.requires_grad)
        assume(getattr(penalty, "requires_grad", False))
        return run, run.gradients(penalty)

    try:
        run, want = second(torch)
    except RuntimeError:
        assume(False)
    assume(finite(run) and all(g is None or np.isfinite(to_numpy(g)).all() for g in want))
    got = second(wg)[1]
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        if g is not None and w is not None:
            scale = max(1.0, np.abs(to_numpy(w)).max(initial=0))
            np.testing.assert_allclose(
                to_numpy(g), to_numpy(w), rtol=1e-6, atol=1e-7 * scale, err_msg=f"leaf {k}"
            )


@pytest.mark.devices(factories=True)
@holds_for(programs)
def test_a_second_use_after_further_writes(program):
    """A loss taken in the middle keeps its gradient, whatever the rest of the program overwrites."""
    half = len(program) // 2

    def middle(m):
        run = Run(m, program[:half])
        loss = run.loss()
        with m.no_grad():
            for r in run.regs[len(run.leaves) :]:
                try:
                    r.mul_(3)
                except RuntimeError:  # expanded, or one of several views
                    continue
        return run, loss

    run, loss = middle(wg)
    with snapshots(torch):
        oracle, want = middle(torch)
    assume(finite(oracle))
    same_registers(run, oracle)
    if want.requires_grad:
        gradients = oracle.gradients(want)
        if wg is not torch:  # torch without the oracle's copies refuses these
            same_gradients(run.gradients(loss), gradients)
