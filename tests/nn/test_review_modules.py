"""Moving modules between devices: what stays, what is new, and what is refused, as PyTorch has it."""

import warnings

import pytest
import wengert as wg

torch = pytest.importorskip("torch")


def told(program, m):
    """What a program gives, or the type of its error."""
    try:
        return program(m)
    except Exception as error:  # noqa: BLE001 - its type is what is compared
        return type(error).__name__


def to_empty(m):
    layer = m.nn.Linear(2, 2, device="meta")
    weight = layer.weight
    layer.bias.requires_grad_(False)
    assert layer.to_empty(device="cpu") is layer
    for p in layer.parameters():
        assert isinstance(p, m.nn.Parameter)
    return (
        layer.weight is weight,
        layer.weight is layer._parameters["weight"],
        str(layer.weight.device),
        [(n, p.requires_grad, p.is_leaf) for n, p in layer.named_parameters()],
        layer(m.ones(1, 2)).shape == (1, 2),
    )


def to_empty_with_buffers(m):
    net = m.nn.Sequential(m.nn.BatchNorm1d(2, device="meta"))
    net.to_empty(device="cpu")
    return [str(t.device) for t in net.state_dict().values()]


def to_meta_with_grad(m):
    layer = m.nn.Linear(2, 2)
    weight = layer.weight
    weight.grad = m.ones(2, 2)
    layer.to("meta")
    return layer.weight is weight, str(layer.weight.grad.device), weight.grad.tolist()


def to_double_keeps_identity(m):
    layer = m.nn.Linear(2, 2)
    weight, grad = layer.weight, m.ones(2, 2)
    weight.grad = grad
    optimizer = m.optim.SGD(layer.parameters(), lr=0.1)
    layer.double()
    optimizer.step()
    return (
        layer.weight is weight,
        weight.grad is grad,
        str(grad.dtype)[-7:],
        weight.dtype == m.float64,
        optimizer.param_groups[0]["params"][0] is weight,
    )


def to_meta_leaves_the_optimizer_behind(m):
    layer = m.nn.Linear(2, 2)
    optimizer = m.optim.SGD(layer.parameters(), lr=0.1)
    layer.to("meta")
    return optimizer.param_groups[0]["params"][0] is layer.weight


def load_into_meta(m):
    layer = m.nn.Linear(2, 2, device="meta")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer.load_state_dict(m.nn.Linear(2, 2).state_dict())
    given = [str(w.message) for w in caught]
    layer.load_state_dict(m.nn.Linear(2, 2).state_dict(), assign=True)
    return given, str(layer.weight.device)


PROGRAMS = [
    to_empty,
    to_empty_with_buffers,
    to_meta_with_grad,
    to_double_keeps_identity,
    to_meta_leaves_the_optimizer_behind,
    load_into_meta,
    lambda m: m.nn.Linear(2, 2, device="meta").to("cpu"),
    lambda m: m.nn.Linear(2, 2, device="meta").to(m.device("cpu")),
    lambda m: m.nn.Linear(2, 2, device="meta").cpu(),
    lambda m: m.nn.Linear(2, 2, device="meta").to("meta").weight.dtype == m.float32,
    lambda m: m.nn.Linear(2, 2, device="meta").double().weight.dtype == m.float64,
    lambda m: m.nn.Linear(2, 2).to(m.int64),
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_moving(program):
    assert told(program, wg) == told(program, torch)


def test_the_error_says_what_to_do():
    with pytest.raises(NotImplementedError, match="to_empty"):
        wg.nn.Linear(2, 2, device="meta").to("cpu")
