"""The operations that are not rows: a name, a callable given the module, and the shapes of its inputs."""

import numpy as np


class Op:
    """`f(m, *inputs)`; inputs are shapes (drawn in float64) or numpy arrays (taken as they are)."""

    def __init__(
        self, f, *inputs, grad=True, second=True, tol=1.0, positive=False, dtypes=("float32", "float64")
    ):
        self.f, self.inputs, self.grad, self.second = f, inputs, grad, grad and second
        self.tol, self.positive, self.dtypes = tol, positive, dtypes


ROWS = np.array([2, 0, 2])
PLACES = np.array([[0, 2, 1], [2, 2, 0]])
MASK = np.array([[True, False, True, False], [False, False, True, True], [True, True, False, False]])
LABELS = np.array([1, 0, 4, 2])
ALL = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
NUMBERS = ALL[2:-1]

VIEWS = {
    "permute": Op(lambda m, x: x.permute(2, 0, 1), (2, 3, 4)),
    "permute negative": Op(lambda m, x: m.permute(x, (-1, 0, 1)), (2, 3, 4)),
    "transpose": Op(lambda m, x: x.transpose(-1, 0), (2, 3, 4), dtypes=ALL),
    "t": Op(lambda m, x: x.t(), (2, 3)),
    "mT": Op(lambda m, x: x.mT, (2, 3, 4)),
    "swapaxes": Op(lambda m, x: x.swapaxes(0, 1), (2, 3)),
    "reshape": Op(lambda m, x: x.reshape(4, -1), (2, 3, 4)),
    "reshape of a transposed": Op(lambda m, x: x.t().reshape(-1), (2, 3)),
    "view": Op(lambda m, x: x.view(6, 4), (2, 3, 4)),
    "view_as": Op(lambda m, x: x.view_as(m.zeros(6, 4)), (2, 3, 4)),
    "expand": Op(lambda m, x: x.expand(5, -1, 3), (2, 1)),
    "expand_as": Op(lambda m, x: x.expand_as(m.zeros(4, 2, 3)), (2, 1)),
    "broadcast_to": Op(lambda m, x: m.broadcast_to(x, (4, 2, 3)), (2, 1)),
    "select": Op(lambda m, x: x.select(1, -1), (2, 3, 4)),
    "narrow": Op(lambda m, x: x.narrow(1, 1, 2), (2, 3, 4)),
    "diagonal": Op(lambda m, x: x.diagonal(1, 0, 2), (3, 2, 4)),
    "diagonal below": Op(lambda m, x: m.diagonal(x, -1), (3, 4)),
    "diag of a vector": Op(lambda m, x: m.diag(x, 1), (3,)),
    "diag of a matrix": Op(lambda m, x: m.diag(x), (3, 4)),
    "unsqueeze": Op(lambda m, x: x.unsqueeze(-1).unsqueeze(0), (2, 3)),
    "squeeze": Op(lambda m, x: x.squeeze(), (1, 3, 1)),
    "squeeze one": Op(lambda m, x: x.squeeze(0), (1, 3, 1)),
    "as_strided": Op(lambda m, x: x.as_strided((3, 2), (1, 2), 1), (8,)),
    "unfold": Op(lambda m, x: x.unfold(0, 3, 2), (9, 2)),
    "flatten": Op(lambda m, x: x.flatten(1), (2, 3, 4)),
    "unflatten": Op(lambda m, x: x.unflatten(1, (3, -1)), (2, 6)),
    "movedim": Op(lambda m, x: x.movedim((0, 1), (-1, 0)), (2, 3, 4)),
    "unbind": Op(lambda m, x: x.unbind(1), (2, 3)),
    "split": Op(lambda m, x: x.split(2, 1), (2, 5)),
    "split by sizes": Op(lambda m, x: x.split([1, 4], 1), (2, 5)),
    "chunk": Op(lambda m, x: x.chunk(3, 0), (7, 2)),
    "slices": Op(lambda m, x: x[1:, ::2, None, -1], (3, 4, 2)),
    "ellipsis": Op(lambda m, x: x[..., 1:3], (3, 2, 4)),
    "contiguous": Op(lambda m, x: x.t().contiguous(), (2, 3)),
    "ravel": Op(lambda m, x: x.t().ravel(), (2, 3)),
}
JOINS = {
    "cat": Op(lambda m, x, y: m.cat([x, y], 1), (2, 3), (2, 1)),
    "cat negative": Op(lambda m, x, y: m.cat((x, y), dim=-2), (2, 3), (4, 3)),
    "stack": Op(lambda m, x, y: m.stack([x, y], 1), (2, 3), (2, 3)),
    "hstack": Op(lambda m, x, y: m.hstack([x, y]), (2, 3), (2, 1)),
    "vstack": Op(lambda m, x, y: m.vstack([x, y]), (3,), (3,)),
    "pad": Op(lambda m, x: m.nn.functional.pad(x, (1, 2, 0, 1), value=7.0), (2, 3)),
    "repeat": Op(lambda m, x: x.repeat(2, 1, 3), (2, 3)),
    "tile": Op(lambda m, x: m.tile(x, (2,)), (2, 3)),
    "repeat_interleave": Op(lambda m, x: x.repeat_interleave(3, 1), (2, 3)),
    "flip": Op(lambda m, x: x.flip(0, -1), (2, 3, 2)),
    "roll": Op(lambda m, x: x.roll((1, -1), (0, 1)), (3, 4)),
    "roll flat": Op(lambda m, x: m.roll(x, 2), (3, 4)),
    "tril": Op(lambda m, x: x.tril(-1), (2, 3, 4)),
    "triu": Op(lambda m, x: m.triu(x, 1), (3, 4)),
    "meshgrid": Op(lambda m, x, y: m.meshgrid(x, y, indexing="ij"), (3,), (2,)),
    "to": Op(lambda m, x: x.to(m.float64) * 2, (3,), dtypes=ALL),
}
REDUCTIONS = {
    "sum": Op(lambda m, x: x.sum(), (3, 4), dtypes=ALL),
    "sum of dims": Op(lambda m, x: x.sum((0, -1), keepdim=True), (3, 4, 2), dtypes=ALL),
    "sum as dtype": Op(lambda m, x: x.sum(1, dtype=m.float64), (3, 4), dtypes=ALL),
    "sum of nothing": Op(lambda m, x: x.sum(0), (0, 4)),
    "prod": Op(lambda m, x: x.prod(), (5,), dtypes=NUMBERS),
    "prod of a dim": Op(lambda m, x: x.prod(1, keepdim=True), (2, 4), dtypes=NUMBERS),
    "mean": Op(lambda m, x: x.mean((0, 2)), (3, 4, 2), dtypes=ALL),
    "var": Op(lambda m, x: x.var(), (3, 4)),
    "var of a dim": Op(lambda m, x: x.var(1, unbiased=False), (3, 4)),
    "std": Op(lambda m, x: x.std(0, keepdim=True), (3, 4)),
    "std correction": Op(lambda m, x: m.std(x, dim=1, correction=2), (3, 4)),
    "amax": Op(lambda m, x: x.amax((0, 1)), (3, 4, 2), dtypes=ALL),
    "amin": Op(lambda m, x: x.amin(1, True), (3, 4), dtypes=ALL),
    "amax with ties": Op(lambda m, x: (x * 0 + x[:1]).amax(0), (4, 2)),
    "max": Op(lambda m, x: x.max(), (3, 4), dtypes=ALL),
    "max of a dim": Op(lambda m, x: x.max(1), (3, 4)),
    "min of a dim": Op(lambda m, x: m.min(x, dim=0, keepdim=True), (3, 4)),
    "maximum of two": Op(lambda m, x, y: m.max(x, y), (3, 4), (4,)),
    "any": Op(lambda m, x: (x > 0.5).any(1), (3, 4), grad=False, dtypes=ALL),
    "all": Op(lambda m, x: x.all(), (3, 4), grad=False, dtypes=ALL),
    "argmax": Op(lambda m, x: x.argmax(), (3, 4), grad=False, dtypes=NUMBERS),
    "argmin": Op(lambda m, x: x.argmin(1, keepdim=True), (3, 4), grad=False, dtypes=NUMBERS),
    "cumsum": Op(lambda m, x: x.cumsum(1), (3, 4), dtypes=ALL),
    "cumprod": Op(lambda m, x: x.cumprod(0), (4, 3), dtypes=NUMBERS),
    "cumprod with a zero": Op(lambda m, x: (x * m.tensor([1.0, 0.0, 1.0, 1.0])).cumprod(0), (4,)),
    "prod with a zero": Op(lambda m, x: (x * m.tensor([1.0, 0.0, 1.0, 1.0])).prod(), (4,)),
    "logsumexp": Op(lambda m, x: x.logsumexp((0, 1)), (3, 4)),
    "norm": Op(lambda m, x: x.norm(), (3, 4)),
    "norm 1": Op(lambda m, x: x.norm(1, dim=1), (3, 4)),
    "norm 3": Op(lambda m, x: m.linalg.vector_norm(x, 3), (3, 4)),
    "norm inf": Op(lambda m, x: m.linalg.vector_norm(x, float("inf")), (5,)),
    "norm fro": Op(lambda m, x: m.linalg.norm(x, "fro"), (3, 4)),
    "count_nonzero": Op(lambda m, x: m.count_nonzero(x > 0.3), (3, 4), grad=False),
    "softmax": Op(lambda m, x: x.softmax(1), (3, 4)),
    "log_softmax": Op(lambda m, x: m.nn.functional.log_softmax(x, dim=0), (3, 4)),
    "softmax as dtype": Op(
        lambda m, x: m.softmax(x, -1, dtype=m.float64), (3, 4), dtypes=("float32", "int64")
    ),
}
PRODUCTS = {
    "matmul": Op(lambda m, x, y: x @ y, (3, 4), (4, 2), dtypes=("float32", "float64", "int64", "int32")),
    "matmul broadcast": Op(lambda m, x, y: m.matmul(x, y), (2, 1, 3, 4), (5, 4, 2)),
    "matmul vector left": Op(lambda m, x, y: x @ y, (4,), (2, 4, 3)),
    "matmul vector right": Op(lambda m, x, y: x @ y, (2, 3, 4), (4,)),
    "matmul transposed": Op(lambda m, x, y: x.t() @ y.t(), (4, 3), (2, 4)),
    "matmul empty": Op(lambda m, x, y: x @ y, (3, 0), (0, 2), dtypes=ALL),
    "matmul empty vector": Op(lambda m, x, y: x @ y, (3, 0), (0,), dtypes=ALL),
    "matmul empty batch": Op(lambda m, x, y: x @ y, (2, 0, 3), (2, 3, 4), dtypes=ALL),
    "matmul large": Op(lambda m, x, y: x @ y, (70, 50), (50, 90), second=False, tol=10),
    "mm": Op(lambda m, x, y: x.mm(y), (3, 4), (4, 2)),
    "bmm": Op(lambda m, x, y: m.bmm(x, y), (2, 3, 4), (2, 4, 2)),
    "mv": Op(lambda m, x, y: m.mv(x, y), (3, 4), (4,)),
    "dot": Op(lambda m, x, y: x.dot(y), (4,), (4,), dtypes=ALL),
    "dot empty": Op(lambda m, x, y: x @ y, (0,), (0,), dtypes=ALL),
    "outer": Op(lambda m, x, y: m.outer(x, y), (4,), (3,)),
    "addmm": Op(lambda m, b, x, y: m.addmm(b, x, y, beta=0.5, alpha=2), (2,), (3, 4), (4, 2), dtypes=ALL),
    "addmv": Op(lambda m, b, x, y: m.addmv(b, x, y, beta=2, alpha=1.5), (3,), (3, 4), (4,), dtypes=ALL),
    "addr": Op(lambda m, b, x, y: m.addr(b, x, y, beta=0.5, alpha=2), (3, 4), (3,), (4,), dtypes=ALL),
    "addr whole": Op(lambda m, b, x, y: m.addr(b, x, y, beta=3, alpha=2), (3, 4), (3,), (4,), dtypes=ALL),
    "addr mixed": Op(lambda m, b, x, y: m.addr(b.long(), x, y), (3, 4), (3,), (4,), dtypes=ALL),
    "addbmm": Op(
        lambda m, b, x, y: m.addbmm(b, x, y, beta=2, alpha=2), (3, 2), (2, 3, 4), (2, 4, 2), dtypes=NUMBERS
    ),
    "baddbmm": Op(
        lambda m, b, x, y: m.baddbmm(b, x, y, beta=1.5, alpha=2), (3, 2), (2, 3, 4), (2, 4, 2), dtypes=NUMBERS
    ),
    "addmm of two dtypes": Op(
        lambda m, b, x, y: m.addmm(b.double(), x, y),
        (2,),
        (3, 4),
        (4, 2),
        grad=False,
        dtypes=("int64", "int8"),
    ),
    "einsum product": Op(lambda m, x, y: m.einsum("ij,jk->ik", x, y), (3, 4), (4, 2)),
    "einsum batch": Op(lambda m, x, y: m.einsum("bij,bkj->bik", x, y), (2, 3, 4), (2, 5, 4)),
    "einsum trace": Op(lambda m, x: m.einsum("ii", x), (3, 3)),
    "einsum sum": Op(lambda m, x: m.einsum("...ij->...j", x), (2, 3, 4)),
    "linear": Op(lambda m, x, w, b: m.nn.functional.linear(x, w, b), (2, 3, 4), (5, 4), (5,)),
    "linear with one number": Op(lambda m, x, w, b: m.nn.functional.linear(x, w, b), (2, 3, 4), (5, 4), (1,)),
    "linear with a 0-d bias": Op(lambda m, x, w, b: m.nn.functional.linear(x, w, b), (2, 4), (5, 4), ()),
    "linear with a whole bias": Op(
        lambda m, x, w, b: m.nn.functional.linear(x, w, b), (2, 4), (5, 4), (2, 5)
    ),
    "linear of integers": Op(
        lambda m, x, w, b: m.nn.functional.linear(x, w, b), (2, 4), (5, 4), (5,), grad=False, dtypes=NUMBERS
    ),
    "linear without bias": Op(lambda m, x, w: m.nn.functional.linear(x, w), (4,), (5, 4)),
}
INDEXING = {
    "gather": Op(lambda m, x, i: x.gather(1, i), (2, 3), PLACES),
    "gather rows": Op(lambda m, x, i: m.gather(x, 0, i), (3, 3), PLACES),
    "scatter": Op(lambda m, x, i, s: x.scatter(1, i, s), (2, 4), np.array([[0, 2], [3, 1]]), (2, 2)),
    "scatter a number": Op(lambda m, x, i: x.scatter(1, i, 7.0), (2, 3), PLACES),
    "scatter_add": Op(lambda m, x, i, s: x.scatter_add(1, i, s), (2, 3), PLACES, (2, 3)),
    "index_select": Op(lambda m, x, i: x.index_select(1, i), (2, 3), ROWS, dtypes=ALL),
    "rows by index": Op(lambda m, x, i: x[i], (3, 4), ROWS, dtypes=ALL),
    "columns by index": Op(lambda m, x, i: x[:, i], (2, 3), ROWS),
    "two indices": Op(lambda m, x, i: x[i, i], (3, 4), ROWS),
    "indices apart": Op(lambda m, x, i: x[i, :, i], (3, 2, 4), ROWS),
    "indices and a slice": Op(lambda m, x, i: x[1:, i, None], (3, 4), ROWS),
    "index matrix": Op(lambda m, x, i: x[i], (3, 2), PLACES),
    "negative indices": Op(lambda m, x: x[m.tensor([-1, 0])], (3, 2)),
    "list index": Op(lambda m, x: x[[0, 2]], (3, 2)),
    "mask": Op(lambda m, x, k: x[k], (3, 4), MASK, dtypes=ALL),
    "mask of rows": Op(lambda m, x: x[m.tensor([True, False, True])], (3, 4)),
    "masked_select": Op(lambda m, x, k: x.masked_select(k), (3, 4), MASK),
    "masked_fill": Op(lambda m, x, k: x.masked_fill(k, -1.0), (3, 4), MASK, dtypes=ALL),
    "masked_fill with an integer": Op(lambda m, x, k: x.masked_fill(k, 300), (3, 4), MASK, dtypes=ALL),
    "masked_fill with a tensor": Op(
        lambda m, x, k: x.masked_fill(k, m.tensor(-1.0)), (3, 4), MASK, grad=False, dtypes=ALL
    ),
    "masked_fill with infinity": Op(lambda m, x, k: x.masked_fill(k, -np.inf), (3, 4), MASK, dtypes=ALL),
    "index_fill": Op(lambda m, x, i: x.index_fill(1, i, -1.0), (2, 3), ROWS, dtypes=ALL),
    "index_fill with a tensor": Op(
        lambda m, x, i: x.index_fill(1, i, m.tensor(300)), (2, 3), ROWS, grad=False, dtypes=ALL
    ),
    "index_put": Op(lambda m, x, i, v: x.index_put((m.tensor([0, 2]),), v), (3, 4), ROWS, (2, 4)),
    "index_put adding": Op(lambda m, x, i, v: x.index_put((i,), v, accumulate=True), (3, 4), ROWS, (3, 4)),
    "set rows": Op(lambda m, x, v: assign(x * 1, (m.tensor([2, 0]),), v), (3, 4), (4,)),
    "set a mask": Op(lambda m, x, k, v: assign(x * 1, k, v), (3, 4), MASK, (6,)),
    "set a slice": Op(lambda m, x, v: assign(x * 1, (slice(1, None), 0), v), (3, 4), (2,)),
    "where": Op(lambda m, k, x, y: m.where(k, x, y), MASK, (3, 4), (4,)),
    "where number": Op(lambda m, k, x: m.where(k, x, 0.0), MASK, (3, 4)),
    "take_along_dim": Op(lambda m, x: m.take_along_dim(x, x.argsort(1), 1), (3, 4)),
    "embedding": Op(lambda m, i, w: m.nn.functional.embedding(i, w), PLACES, (4, 5)),
    "one_hot": Op(lambda m, i: m.nn.functional.one_hot(i, 5), LABELS, grad=False),
    "nonzero": Op(lambda m, k: m.nonzero(k), MASK, grad=False),
    "nonzero as tuple": Op(lambda m, k: k.nonzero(as_tuple=True), MASK, grad=False),
}
ORDER = {
    "sort": Op(lambda m, x: x.sort(), (3, 4)),
    "sort descending": Op(lambda m, x: m.sort(x, 0, True), (3, 4)),
    "stable sort": Op(lambda m, x: m.sort(m.round(x * 2), stable=True), (20,), grad=False),
    "argsort": Op(lambda m, x: x.argsort(0), (3, 4), grad=False),
    # Which of several equal elements is named is unspecified, so what the indices point to is compared.
    "topk": Op(lambda m, x: pointed(x, 1, x.topk(2)), (3, 5), dtypes=ALL),
    "topk smallest": Op(lambda m, x: pointed(x, 0, m.topk(x, 2, 0, largest=False)), (4, 3), dtypes=ALL),
    "equal": Op(lambda m, x: m.tensor(m.equal(x, x.clone())), (3,), grad=False),
    "allclose": Op(lambda m, x: m.tensor(m.allclose(x, x + 1e-9)), (3,), grad=False, dtypes=("float64",)),
    "clamp": Op(lambda m, x: x.clamp(-0.5, 0.5), (3, 4)),
    "clamp one side": Op(lambda m, x: m.clamp(x, min=0.1), (3, 4)),
}


def pointed(x, dim, result):
    values, indices = result
    return values, x.gather(dim, indices)


def assign(x, index, value):
    x[index] = value
    return x


GROUPS = {
    "views": VIEWS,
    "joins": JOINS,
    "reduce": REDUCTIONS,
    "products": PRODUCTS,
    "index": INDEXING,
    "order": ORDER,
}
