"""What an operation costs beyond its arithmetic: tiny tensors, against torch in the same process."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from paired import Statement, compare, main, optional
from programs import MODULES, POINTS, Moons, each, mlp_step

CHAIN = 200
BATCH = 16
ADD, ADD_GRAD = 0.09, 0.07


def vector(m, grad=False):
    return m.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=grad)


def add(m, grad=False):
    x, y = vector(m, grad), vector(m)
    return Statement("x + y", x=x, y=y)


def times_scalar(m):
    x = vector(m)
    return Statement("x * 2.5", x=x)


def read_element(m):
    x = vector(m)
    return Statement("x[1]", x=x)


def to_number(m):
    x = m.tensor(3.0)
    return Statement("x.item()", x=x)


def from_list(m):
    tensor = m.tensor
    return Statement("tensor([1.0, 2.0, 3.0])", tensor=tensor)


def chain(m, backward):
    x = vector(m, True)

    def run():
        y = x
        for _ in range(CHAIN):
            y = y * 1.0
        if backward:
            y.sum().backward()

    return run


def batches(m):
    """A pass over the loader."""
    loader = m.utils.data.DataLoader(Moons(m), batch_size=BATCH)

    def run():
        for _ in loader:
            pass

    return run


def mixed(m):
    x, y = vector(m), m.tensor([1, 2, 3, 4])
    return Statement("x + y", x=x, y=y)


def broadcast(m):
    x, y = vector(m).reshape(4, 1), vector(m)
    return Statement("x + y", x=x, y=y)


def strided(m):
    x, y = m.tensor(np.arange(8, dtype=np.float32))[::2], vector(m)
    return Statement("x + y", x=x, y=y)


def in_place(m):
    x, y = vector(m), m.tensor([0.0] * 4)
    return Statement("x.add_(y)", x=x, y=y)


@dataclass
class Row:
    """A small program. `make(module)` gives a function or a Statement, which holds `per` operations."""

    title: str
    make: Callable
    bar: float
    per: int = 1
    note: str = ""
    numpy: Statement | None = None


numpy_vector = np.array([1, 2, 3, 4], dtype=np.float32)
in_chain = f"per op of a chain of {CHAIN}"
# counts.py counts the instructions of all of these.
BASIC = [
    Row("add, 4 elements", add, ADD, numpy=Statement("x + x", x=numpy_vector)),
    Row("add, 4 elements, taped", lambda m: add(m, True), ADD_GRAD),
    Row("times a Python scalar", times_scalar, 0.07, numpy=Statement("x * 2.5", x=numpy_vector)),
    Row("x[1]", read_element, 0.12),
    Row("item()", to_number, 0.3),
    Row("tensor([1., 2., 3.])", from_list, 0.15),
    Row("chain, forward", lambda m: chain(m, False), 0.05, CHAIN, in_chain),
    Row("chain, forward and backward", lambda m: chain(m, True), 0.03, CHAIN, in_chain),
    Row("make_moons step", mlp_step, 0.02, note="0.04 where the interpreter is fast"),
    Row(f"DataLoader, a batch of {BATCH}", batches, 0.3, POINTS // BATCH),
]
# No path that only four contiguous floats take: the same bar times 1.5, and 1.5 times our own plain add.
VARIANTS = [
    Row("add, f32 + i64", mixed, 1.5 * ADD),
    Row("add, (4, 1) + (4,)", broadcast, 1.5 * ADD),
    Row("add, strided view", strided, 1.5 * ADD),
    Row("add, add_", in_place, 1.5 * ADD),
]


def against_torch(row):
    contenders = each(row.make)
    contenders["numpy"] = row.numpy
    return compare(row.title, contenders, bar=row.bar, per=row.per, note=row.note)


def run(report):
    for row in BASIC:
        report.add(against_torch(row))
    plain = add(MODULES["wengert"])
    for row in VARIANTS:
        report.add(against_torch(row))
        own = {"wengert": row.make(MODULES["wengert"]), "plain add": plain}
        report.add(compare(f"{row.title}, against our plain add", own, base="plain add", bar=1.5))


if __name__ == "__main__":
    torch = optional("torch")
    if torch is None:
        print("torch is not installed: the bars, which are ratios to it, cannot be measured")
    else:
        torch.set_num_threads(1)  # its best setting for tiny tensors, above all on a busy machine
    main("Overhead", run)
