"""What an operation costs beyond its arithmetic: tiny tensors, against torch in the same process."""

import numpy as np
from paired import Statement, compare, main, optional
from programs import MODULES, Moons, mlp_step

CHAIN = 200
ADD, ADD_GRAD = 0.09, 0.07


def each(make):
    """{module name: the function that `make` builds for the module}."""
    return {name: make(m) for name, m in MODULES.items()}


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


def batch(m):
    """The price of one batch: a pass over the loader, divided by its batches."""
    data = Moons(m)
    loader = m.utils.data.DataLoader(data, batch_size=16)

    def run():
        for _ in loader:
            pass

    return run, len(loader)


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


def run(report):
    numpy_vector = np.array([1, 2, 3, 4], dtype=np.float32)
    plain = each(add)
    report.add(compare("add, 4 elements", plain | {"numpy": Statement("x + x", x=numpy_vector)}, bar=ADD))
    report.add(compare("add, 4 elements, taped", each(lambda m: add(m, True)), bar=ADD_GRAD))
    report.add(
        compare(
            "times a Python scalar",
            each(times_scalar) | {"numpy": Statement("x * 2.5", x=numpy_vector)},
            bar=0.07,
        )
    )
    report.add(compare("x[1]", each(read_element), bar=0.12))
    report.add(compare("item()", each(to_number), bar=0.3))
    report.add(compare("tensor([1., 2., 3.])", each(from_list), bar=0.15))

    note = f"per op of a chain of {CHAIN}"
    report.add(compare("chain, forward", each(lambda m: chain(m, False)), bar=0.05, per=CHAIN, note=note))
    report.add(
        compare("chain, forward and backward", each(lambda m: chain(m, True)), bar=0.03, per=CHAIN, note=note)
    )

    report.add(
        compare("make_moons step", each(mlp_step), bar=0.02, note="0.04 where the interpreter is fast")
    )
    loaders = each(batch)
    report.add(
        compare(
            "DataLoader, a batch of 16",
            {name: call for name, (call, _) in loaders.items()},
            bar=0.3,
            per=loaders["wengert"][1],
        )
    )

    # No path that only four contiguous floats take: the same bar times 1.5, and 1.5 times our own plain add.
    variants = {"f32 + i64": mixed, "(4, 1) + (4,)": broadcast, "strided view": strided, "add_": in_place}
    for title, make in variants.items():
        report.add(compare(f"add, {title}", each(make), bar=1.5 * ADD))
        own = {"wengert": make(MODULES["wengert"]), "plain add": plain["wengert"]}
        report.add(compare(f"add, {title}, against our plain add", own, base="plain add", bar=1.5))


if __name__ == "__main__":
    torch = optional("torch")
    if torch is None:
        print("torch is not installed: the bars, which are ratios to it, cannot be measured")
    else:
        torch.set_num_threads(1)  # its best setting for tiny tensors, above all on a busy machine
    main("Overhead", run)
