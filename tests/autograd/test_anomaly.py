"""Anomaly mode against PyTorch's."""

import warnings

import pytest
import wengert as wg

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.devices(factories=True)


def failing(m, error):
    class Failing(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            if error is None:
                return g * float("nan")
            raise error

    return Failing


def outcome(f):
    """The result or error of a call, and the first lines of its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = f()
        except Exception as e:  # noqa: BLE001 - it is what is compared
            result = type(e).__name__, str(e)
    return result, [(w.category.__name__, str(w.message).strip().splitlines()[0][:90]) for w in seen]


def nan_from_sqrt(m):
    x = m.tensor([-1.0, 4.0], requires_grad=True)
    with m.autograd.detect_anomaly():
        y = x.sqrt() * 2
        y.sum().backward()


def nan_in_second_input(m):
    x, y = m.ones(2, requires_grad=True), m.zeros(2, requires_grad=True)
    with m.autograd.set_detect_anomaly(True):
        (x * 0 / y).sum().backward()


def nan_allowed(m):
    x = m.tensor([-1.0], requires_grad=True)
    with m.autograd.set_detect_anomaly(True, check_nan=False):
        x.sqrt().backward()
    return x.grad.isnan().tolist()


def nan_from_a_function(m):
    x = m.ones(2, requires_grad=True)
    with m.autograd.set_detect_anomaly(True):
        failing(m, None).apply(x * 2).sum().backward()


def error_in_a_function(m):
    x = m.ones(2, requires_grad=True)
    with m.autograd.set_detect_anomaly(True):
        failing(m, ValueError("mine")).apply(x * 2).sum().backward()


def made_before_the_mode(m):
    x = m.tensor([-1.0], requires_grad=True)
    y = x.sqrt()
    with m.autograd.set_detect_anomaly(True):
        y.backward()


def second_derivative(m):
    x = m.tensor([0.0], requires_grad=True)
    with m.autograd.set_detect_anomaly(True):
        y = (x**1.5).sum()
        (g,) = m.autograd.grad(y, x, create_graph=True)
        (g * 0).sum().backward()


def nothing_wrong(m):
    x = m.ones(3, requires_grad=True)
    with m.autograd.set_detect_anomaly(True):
        (x[1:].exp() * 2).sum().backward()
    return x.grad.tolist()


PROGRAMS = [
    nan_from_sqrt,
    nan_in_second_input,
    nan_allowed,
    nan_from_a_function,
    error_in_a_function,
    made_before_the_mode,
    nothing_wrong,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_as_pytorch(program):
    got, want = outcome(lambda: program(wg)), outcome(lambda: program(torch))
    assert got[0] == pytest.approx(want[0]) if isinstance(got[0], list) else got[0] == want[0]
    assert got[1] == want[1]


def test_a_second_derivative_names_the_node_that_made_the_node():
    def lines(m):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with pytest.raises(RuntimeError, match="nan values"):
                second_derivative(m)
        return [str(w.message) for w in seen]

    for m in (torch, wg):
        told, induced = lines(m)
        assert "second_derivative" in told and "create_graph=True" in told, m.__name__
        assert "Previous calculation was induced by PowBackward0" in induced and "x**1.5" in induced, (
            m.__name__
        )


def test_the_warning_shows_the_line_of_the_forward_call():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError):
            nan_from_sqrt(wg)
    assert "y = x.sqrt() * 2" in str(seen[-1].message)


def test_metadata_has_the_stack():
    for m in (torch, wg):
        x = m.ones(1, requires_grad=True)
        with m.autograd.set_detect_anomaly(True):
            y = x * 2
        assert any("y = x * 2" in line for line in y.grad_fn.metadata["traceback_"]), m.__name__
        assert (x * 2).grad_fn.metadata == {}


def test_the_mode_is_put_back():
    for m in (torch, wg):
        told = [m.is_anomaly_enabled(), m.is_anomaly_check_nan_enabled()]
        with m.autograd.set_detect_anomaly(True, check_nan=False):
            told += [m.is_anomaly_enabled(), m.is_anomaly_check_nan_enabled()]
            with m.autograd.set_detect_anomaly(False):
                told.append(m.is_anomaly_enabled())
            told.append(m.is_anomaly_enabled())
        told.append(m.is_anomaly_enabled())
        m.autograd.set_detect_anomaly(True)
        told.append(m.is_anomaly_enabled())
        m.autograd.set_detect_anomaly(False)
        assert told == [False, True, True, False, False, True, False, True], m.__name__


def test_nodes_and_stacks_go_with_their_tensors():
    before = wg.debug.live()["nodes"] if isinstance(wg.debug.live(), dict) else wg.debug.live().nodes
    with wg.autograd.set_detect_anomaly(True):
        x = wg.ones(1, requires_grad=True)
        for _ in range(300):
            y = x * 2 + 1
        y.backward()
    del x, y
    after = wg.debug.live()["nodes"] if isinstance(wg.debug.live(), dict) else wg.debug.live().nodes
    assert after == before
