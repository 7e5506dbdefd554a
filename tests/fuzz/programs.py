"""Random programs: a list of statements that any module with PyTorch's names can run.

A statement names registers by number, so that one program runs in wengert and in torch alike. Every
register holds a float64 tensor; whether a statement applies (shapes, leaves, overlap) is found out by
running it: an error is part of the outcome, and the program goes on after it.
"""

import numpy as np
from hypothesis import strategies as st

LEAVES = [(3,), (2, 3), (4, 1), (), (2, 2, 3)]

UNARY = ["sin", "tanh", "exp", "sigmoid", "relu", "square", "neg", "abs", "atan"]
BINARY = ["add", "sub", "mul", "maximum", "minimum", "atan2"]
REDUCE = ["sum", "mean", "amax", "logsumexp", "cumsum", "softmax"]
VIEWS = {
    "first": lambda t: t[0],
    "last": lambda t: t[-1:],
    "tail": lambda t: t[1:],
    "every second": lambda t: t[::2],
    "last dim": lambda t: t[..., 0],
    "transpose": lambda t: t.transpose(0, -1),
    "flatten": lambda t: t.flatten(),
    "reshape": lambda t: t.reshape(-1),
    "unsqueeze": lambda t: t.unsqueeze(0),
    "squeeze": lambda t: t.squeeze(),
    "expand": lambda t: t.expand(2, *t.shape),
    "diagonal": lambda t: t.diagonal(),
    "view": lambda t: t.view(t.shape),
    "permute": lambda t: t.permute(tuple(range(t.dim()))[::-1]),
    "unbind": lambda t: t.unbind(0)[-1],
    "split": lambda t: t.split(1)[0],
}
INPLACE_UNARY = ["tanh_", "sin_", "exp_", "neg_", "sigmoid_", "relu_", "zero_"]
INPLACE_BINARY = ["add_", "mul_", "sub_", "copy_"]
SETTERS = {
    "first": 0,
    "tail": slice(1, None),
    "last dim": (Ellipsis, 0),
    "all": Ellipsis,
}

register = st.integers(0, 40)
number = st.sampled_from([-1.5, -0.5, 0.25, 0.5, 2.0])
statement = st.one_of(
    st.tuples(st.just("unary"), st.sampled_from(UNARY), register),
    st.tuples(st.just("binary"), st.sampled_from(BINARY), register, register),
    st.tuples(st.just("binary"), st.sampled_from(BINARY), register, register),
    st.tuples(st.just("number"), st.sampled_from(["add", "mul"]), register, number),
    st.tuples(st.just("reduce"), st.sampled_from(REDUCE), register),
    st.tuples(st.just("view"), st.sampled_from(sorted(VIEWS)), register),
    st.tuples(st.just("view"), st.sampled_from(sorted(VIEWS)), register),
    st.tuples(st.just("view"), st.sampled_from(sorted(VIEWS)), register),
    st.tuples(st.just("inplace"), st.sampled_from(INPLACE_UNARY), register),
    st.tuples(st.just("inplace2"), st.sampled_from(INPLACE_BINARY), register, register),
    st.tuples(st.just("inplace2"), st.sampled_from(INPLACE_BINARY), register, register),
    st.tuples(st.just("scale"), st.just("mul_"), register, number),
    st.tuples(st.just("set"), st.sampled_from(sorted(SETTERS)), register, register),
    st.tuples(st.just("set"), st.sampled_from(sorted(SETTERS)), register, register),
    st.tuples(st.just("gather"), st.just("index"), register),
    st.tuples(st.just("mask"), st.just("masked_fill"), register, number),
    st.tuples(st.just("where"), st.just("where"), register, register),
    st.tuples(st.just("cat"), st.just("stack"), register, register),
    st.tuples(st.just("product"), st.just("matmul"), register, register),
    st.tuples(st.just("detach"), st.sampled_from(["detach", "clone", "no_grad"]), register),
)
programs = st.lists(statement, min_size=20, max_size=60)


def apply(m, kind, name, regs, *rest):
    """The result of one statement: a new tensor, or None where it only writes."""
    x = regs[rest[0] % len(regs)]
    if kind in ("binary", "inplace2", "set", "where", "cat", "product"):
        y = regs[rest[1] % len(regs)]
    if kind == "unary":
        return getattr(m, name)(x * 0.5)  # halved: keeps exp and square from running away
    if kind == "binary":
        return getattr(m, name)(x, y)
    if kind == "number":
        return getattr(x, name)(rest[1])
    if kind == "reduce":
        dim = -1 if name in ("cumsum", "softmax", "amax", "logsumexp") else tuple(range(x.dim()))[:1]
        return getattr(x, name)(dim)
    if kind == "view":
        return VIEWS[name](x)
    if kind == "inplace":
        getattr(x, name)()
    elif kind == "inplace2":
        getattr(x, name)(y)
    elif kind == "scale":
        x.mul_(rest[1])
    elif kind == "set":
        x[SETTERS[name]] = y
    elif kind == "gather":
        return x[m.tensor([0, -1, 0])]
    elif kind == "mask":
        return x.masked_fill(x > 0.3, rest[1])
    elif kind == "where":
        return m.where(x > 0, x, y)
    elif kind == "cat":
        return m.stack([x, y])
    elif kind == "product":
        return m.matmul(x, y.transpose(0, -1)) * 0.3
    elif name == "detach":
        return x.detach()
    elif name == "clone":
        return x.clone()
    else:
        with m.no_grad():
            return x * 2
    return None


class Run:
    """A program's run in one module: its registers, its leaves, and the error of each statement."""

    def __init__(self, m, program, values=None):
        rng = np.random.default_rng(7)
        self.m = m
        self.values = values or [np.asarray(rng.uniform(-1, 1, s)) for s in LEAVES]
        self.leaves = [m.tensor(v).requires_grad_() for v in self.values]
        self.regs = list(self.leaves) + [leaf * 1 for leaf in self.leaves]
        self.errors = []
        for s in program:
            try:
                out = apply(m, *s[:2], self.regs, *s[2:])
                error = None
            except Exception as e:  # noqa: BLE001 - errors are compared
                out, error = None, e
            if out is not None and (out.numel() > 500 or out.dim() > 6):
                out = out.flatten()[:4].clone()
            if out is not None:
                self.regs.append(out)
            self.errors.append(error)

    def loss(self):
        """Weighs every register's every element, through the state that the registers have at the end."""
        total = self.m.zeros((), dtype=self.m.float64)
        for k, r in enumerate(self.regs):
            try:
                total = total + (r * (0.3 + 0.1 * k)).tanh().sum()
            except RuntimeError as e:  # a view that may no longer be used
                self.errors.append(e)
        return total

    def gradients(self, loss, create_graph=False):
        return self.m.autograd.grad(loss, self.leaves, allow_unused=True, create_graph=create_graph)
