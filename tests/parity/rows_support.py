"""How a row of the elementwise table is called and fed, in wengert and in torch alike."""

import re
from pathlib import Path

import numpy as np
from support import put

DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
FLOATS = DTYPES[:4]


def dropped(m, x, kept, value):
    """Not PyTorch's, but what its dropout does in two steps."""
    if hasattr(m, "_core"):
        return m._core.dropped(x, kept, value)
    if not x.is_floating_point():
        raise RuntimeError("not implemented for integers")
    return x * kept * value


def squared_difference(m, a, b):
    """A loss in PyTorch, without the warning that sizes differ."""
    return m._core.squared_difference(a, b) if hasattr(m, "_core") else (a - b) * (a - b)


def smooth_l1(m, a, b, beta):
    """The same."""
    if hasattr(m, "_core"):
        return m._core.smooth_l1(a, b, beta)
    return m.nn.functional.smooth_l1_loss(*m.broadcast_tensors(a, b), beta=beta, reduction="none")


CALLS = {
    "dropped": dropped,
    "smooth_l1": smooth_l1,
    "squared_difference": squared_difference,
    "addcmul": lambda m, x, a, b, v: m.addcmul(x, a, b, value=v),
    "addcdiv": lambda m, x, a, b, v: m.addcdiv(x, a, b, value=v),
    "add_scaled": lambda m, a, b, alpha: m.add(a, b, alpha=alpha),
    "trunc_divide": lambda m, a, b: m.div(a, b, rounding_mode="trunc"),
    "gelu_tanh": lambda m, x: m.nn.functional.gelu(x, approximate="tanh"),
    "copy": lambda m, x: m.clone(x),
    "where": lambda m, c, a, b: m.where(c, a, b),
    "polygamma": lambda m, n, x: m.polygamma(n, x),
}
CALLS["where_"] = CALLS["where"]
PLACES = ("", "nn.functional", "special")


def merely_lacks(refusal):
    """PyTorch has no kernel for the dtype, which wengert may have: nothing to compare with."""
    return isinstance(refusal, NotImplementedError) or "not implemented" in str(refusal)


def find(m, name):
    """The function `name` of module `m`, wherever PyTorch keeps it, and that place."""
    for place in PLACES:
        home = m
        for part in filter(None, place.split(".")):
            home = getattr(home, part, None)
        f = getattr(home, name, None)
        if callable(f):
            return f, place
    return None, None


class Case:
    """One row: `case(m, *inputs)` calls it in module `m`."""

    def __init__(self, row):
        self.name, self.args, self.cls = row["name"], list(row["args"]), row["class"]
        self.domain = [tuple(d) for d in row["domain"]]
        self.hidden = bool(row.get("hidden"))
        # PyTorch takes the others as Python numbers.
        self.tensor_args = [i for i, number in enumerate(row["numbers"]) if not number]
        self.differentiable = bool(row.get("differentiable", True)) and self.cls in (
            "float",
            "real",
            "arith",
            "select",
            "choice",
        )

    def __repr__(self):
        return self.name

    def __call__(self, m, *inputs, **kw):
        if self.name in CALLS:
            return CALLS[self.name](m, *inputs, **kw)
        return find(m, self.name)[0](*inputs, **kw)

    def known(self, m):
        return self.name in CALLS or find(m, self.name)[0] is not None

    def numbers(self, halves=False):
        """A fixed value for each argument that is a Python number; `halves` rounds them to those."""
        fixed = {}
        for i, a in enumerate(self.args):
            if i not in self.tensor_args:
                lo, hi = self.domain[i]
                value = round(lo + 0.7 * (hi - lo), 3)
                fixed[i] = 1 if a == "n" else round(2 * value) / 2 if halves else value
        return fixed

    def arrays(self, rng, dtypes, shapes):
        """One numpy array per tensor argument, drawn from the row's domain."""
        out = []
        for k, i in enumerate(self.tensor_args):
            lo, hi = self.domain[i]
            name, shape = dtypes[k], shapes[k]
            if name == "bool" or (self.args[i] == "condition"):
                out.append(rng.random(shape) < 0.5)
            elif name.startswith(("int", "uint")):
                a, b = int(np.ceil(lo)), int(np.floor(hi))
                if name == "uint8":
                    a, b = max(a, 0), max(b, 0)
                out.append(rng.integers(a, max(a, b) + 1, shape))
            else:
                out.append(rng.uniform(lo, hi, shape))
        return out

    def conditions(self, grid):
        """The rows of `grid` as arguments, those for conditions as bool."""
        return [
            a != 0 if self.args[i] == "condition" else a for i, a in zip(self.tensor_args, grid, strict=True)
        ]

    def feed(self, m, arrays, dtypes, grad=False, arrange=lambda t: t, halves=False):
        """The arguments for a call in module `m`, and those of them that require gradients."""
        args, leaves = self.numbers(halves), []
        for k, i in enumerate(self.tensor_args):
            dtype = "bool" if arrays[k].dtype == bool else dtypes[k]
            t = put(m.tensor(arrays[k])).to(getattr(m, dtype))
            if grad and dtype in FLOATS:
                leaves.append(t.requires_grad_())
            args[i] = arrange(t)
        return [args[i] for i in range(len(self.args))], leaves

    def uniform(self, dtype):
        return [dtype] * len(self.tensor_args)


def listed_differences():
    """Names that docs/differences.md lists: the backticked words of its table's first column."""
    path = Path(__file__).parents[2] / "docs" / "differences.md"
    names = set()
    for line in path.read_text().splitlines() if path.exists() else ():
        cells = line.strip().strip("|").split("|")
        if line.lstrip().startswith("|") and len(cells) >= 3:
            names.update(re.findall(r"`([^`]+)`", cells[0]))
    return names
