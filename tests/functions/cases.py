"""What each composed function is tried on, as (name, list of argument makers); tests enumerate the registry against it.

A case is a function of `t`, a namespace of makers, giving (args, kwargs). Makers give torch tensors, the
test converts them for wengert. `t.f` floats that take gradients, `t.i` integers, `t.b` bools.
"""

import torch

NAN, INF = float("nan"), float("inf")


class Makers:
    """Deterministic inputs in float64 (or another dtype), floats requiring grad."""

    def __init__(self, dtype=torch.float64):
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(0)

    def f(self, *size, low=-2.0, high=2.0):
        x = torch.rand(size, generator=self.generator, dtype=torch.float64) * (high - low) + low
        return x.to(self.dtype).requires_grad_()

    def i(self, *size, low=-3, high=4):
        return torch.randint(low, high, size, generator=self.generator)

    def b(self, *size):
        return torch.rand(size, generator=self.generator) > 0.5

    def of(self, *values):
        return torch.tensor(values, dtype=self.dtype)

    def spd(self, n, *batch):
        a = torch.rand((*batch, n, n), generator=self.generator, dtype=torch.float64)
        return (a @ a.mT + n * torch.eye(n, dtype=torch.float64)).to(self.dtype).requires_grad_()


def _(*args, **kwargs):
    return args, kwargs


_BINARY = (
    "multiply",
    "subtract",
    "divide",
    "true_divide",
    "arctan2",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "not_equal",
)
_UNIT = ("arccos", "arcsin", "arctanh")

CASES = {
    **{n: [lambda t: _(t.f(2, 3), t.f(3, low=0.5)), lambda t: _(t.f(4), t.f(4, low=0.5))] for n in _BINARY},
    **{n: [lambda t: _(t.f(2, 3, low=-0.9, high=0.9))] for n in _UNIT},
    **{
        n: [lambda t: _(t.f(2, 3)), lambda t: _(t.f())]
        for n in (
            "absolute",
            "arcsinh",
            "arctan",
            "fix",
            "negative",
            "sgn",
            "ravel",
            "isreal",
            "nansum",
            "nanmean",
            "count_nonzero",
            "argwhere",
            "frexp",
            "aminmax",
            "nanmedian",
            "median",
        )
    },
    **{
        n: [lambda t: _(t.f(3)), lambda t: _(t.i(2))]
        for n in (
            "conj",
            "conj_physical",
            "resolve_conj",
            "resolve_neg",
            "is_conj",
            "is_neg",
            "is_distributed",
            "is_storage",
            "get_device",
            "real",
        )
    },
    "angle": [
        lambda t: _(t.f(5)),
        lambda t: _(t.of(NAN, -0.0, INF, -INF)),
        lambda t: _(t.i(5)),
        lambda t: _(t.b(3)),
    ],
    "range": [lambda t: _(1, 4), lambda t: _(0, 1, 0.3), lambda t: _(4, 1, -1)],
    "fill": [lambda t: _(t.f(3), 2.5), lambda t: _(t.f(2, 2), t.f()), lambda t: _(t.i(3), 2)],
    "unravel_index": [
        lambda t: _(t.i(2, 3, low=0, high=24), (2, 3, 4)),
        lambda t: _(torch.tensor(7), (2, 3)),
        lambda t: _(torch.tensor([3]), 6),
    ],
    "arccosh": [lambda t: _(t.f(3, low=1.1, high=3))],
    "round": [lambda t: _(t.f(3)), lambda t: _(t.f(3), decimals=2), lambda t: _(t.i(3))],
    "logit": [lambda t: _(t.f(3, low=0.1, high=0.9)), lambda t: _(t.f(3), 0.2), lambda t: _(t.i(3), eps=0.2)],
    "ldexp": [lambda t: _(t.f(3), t.i(3))],
    "float_power": [lambda t: _(t.f(3, low=0.5), 2.5), lambda t: _(t.i(3, low=1), t.f(3))],
    "clip": [lambda t: _(t.f(5), -1, 1), lambda t: _(t.f(5), max=0.5), lambda t: _(t.i(5), 0)],
    "rsub": [lambda t: _(t.f(3), t.f(3), alpha=2), lambda t: _(t.i(3), 5)],
    "mvlgamma": [lambda t: _(t.f(3, low=2, high=4), 3)],
    **{
        n: [
            lambda t: _(t.f(3, 4)),
            lambda t: _(t.f(3, 4), 1),
            lambda t: _(t.f(3, 4, 2), (0, 2), keepdim=True),
            lambda t: _(t.f(3, 4), -1, correction=0),
            lambda t: _(t.f(3, 4), False),
            lambda t: _(t.f(3, 4), 0, False, True),
            lambda t: _(torch.ones(4, dtype=t.dtype).requires_grad_()),
            lambda t: _(t.f(1)),
        ]
        for n in ("var", "std", "var_mean", "std_mean")
    },
    "logsumexp": [
        lambda t: _(t.f(3, 4), 1),
        lambda t: _(t.f(3, 4), (0, 1), True),
        lambda t: _(t.of(1000.0, 1000.0), 0),
        lambda t: _(t.of(-INF, -INF), 0),
        lambda t: _(t.i(3, 2), 0),
    ],
    "sum_to_size": [lambda t: _(t.f(3, 4), 1, 4), lambda t: _(t.f(2, 3, 4), (3, 1))],
    "norm": [
        lambda t: _(t.f(3, 4)),
        lambda t: _(t.f(3, 4), 1, 1),
        lambda t: _(t.f(3, 4), 3, 0, True),
        lambda t: _(t.f(3, 4), INF),
        lambda t: _(t.f(3, 4), 0.5, 1),
        lambda t: _(t.f(3, 3), "nuc"),
        lambda t: _(torch.zeros(3, dtype=t.dtype).requires_grad_()),
    ],
    "renorm": [lambda t: _(t.f(3, 4), 2, 0, 1.0)],
    "kthvalue": [lambda t: _(t.f(3, 4), 2), lambda t: _(t.f(3, 4), 3, 0, True)],
    "mode": [lambda t: _(t.i(3, 6)), lambda t: _(t.i(5, 2), 0, True)],
    "quantile": [
        lambda t: _(t.f(3, 4), 0.3),
        lambda t: _(t.f(3, 4), t.of(0.1, 0.5), 1),
        lambda t: _(t.f(3, 4), t.of(0.1, 0.5), 0, True),
        lambda t: _(t.of(1.0, NAN, 2.0), 0.5),
        *[
            lambda t, k=k: _(t.f(7), 0.37, interpolation=k)
            for k in ("lower", "higher", "midpoint", "nearest")
        ],
    ],
    "nanquantile": [lambda t: _(t.of(1.0, NAN, 2.0, 5.0), 0.5), lambda t: _(t.f(3, 4), 0.2, 1, True)],
    "msort": [lambda t: _(t.f(4, 2))],
    "cummax": [lambda t: _(t.f(3, 7), 1), lambda t: _(t.i(9), 0), lambda t: _(t.of(1.0, NAN, 2.0), 0)],
    "cummin": [lambda t: _(t.f(3, 7), 0), lambda t: _(t.i(9), 0)],
    "logcumsumexp": [lambda t: _(t.f(3, 7), 1)],
    "unique": [
        lambda t: _(t.i(3, 4), return_inverse=True, return_counts=True),
        lambda t: _(t.i(6, 1, high=0), dim=0),
    ],
    "unique_consecutive": [
        lambda t: _(t.i(9), return_inverse=True, return_counts=True),
        lambda t: _(t.i(9, 1, high=0), dim=0),
    ],
    "bincount": [lambda t: _(t.i(9, low=0)), lambda t: _(t.i(4, low=0), t.f(4).detach(), 7)],
    "histc": [lambda t: _(t.f(50).detach(), 5), lambda t: _(t.f(50).detach(), 4, -1, 1)],
    "searchsorted": [
        lambda t: _(t.of(1.0, 3.0, 3.0, 5.0), t.of(0.0, 3.0, 6.0)),
        lambda t: _(t.of(1.0, 3.0, 3.0, 5.0), t.of(0.0, 3.0, 6.0), right=True),
        lambda t: _(torch.arange(8).reshape(2, 4), t.i(2, 3, low=0, high=9), out_int32=True),
    ],
    "bucketize": [lambda t: _(t.f(3, 4).detach(), t.of(-1.0, 0.0, 1.0))],
    "isclose": [
        lambda t: _(t.of(1.0, 2.0, INF, NAN), t.of(1.0, 2.1, INF, NAN)),
        lambda t: _(t.of(1.0, NAN), t.of(1.0, NAN), equal_nan=True),
        lambda t: _(t.i(4), t.i(4)),
    ],
    "allclose": [lambda t: _(t.of(1.0), t.of(1.0)), lambda t: _(t.of(1.0), t.of(1.1))],
    "equal": [lambda t: _(t.of(1.0), t.of(1.0)), lambda t: _(t.of(1.0), t.of(1.0, 2.0))],
    "isin": [
        lambda t: _(t.i(3, 4), t.i(2)),
        lambda t: _(t.i(3, 4), t.i(2), invert=True),
        lambda t: _(t.i(3), t.i(0)),
    ],
    "is_same_size": [lambda t: _(t.f(2), t.f(2)), lambda t: _(t.f(2), t.f(3))],
    "is_tensor": [lambda t: _(t.f(2)), lambda t: _([1])],
    "is_nonzero": [lambda t: _(t.of(2.0)), lambda t: _(t.of(0.0))],
    "flip": [lambda t: _(t.f(2, 3), (0, 1)), lambda t: _(t.f(2, 3), (-1,))],
    "fliplr": [lambda t: _(t.f(2, 3))],
    "flipud": [lambda t: _(t.f(2, 3))],
    "rot90": [lambda t, k=k: _(t.f(2, 3), k) for k in (-1, 0, 1, 2, 3)],
    "roll": [lambda t: _(t.f(2, 3), 1), lambda t: _(t.f(2, 3), (-1, 2), (0, 1)), lambda t: _(t.f(4), 9, 0)],
    "repeat": [lambda t: _(t.f(2, 3), 2, 1, 2), lambda t: _(t.f(2), (3,)), lambda t: _(t.f(2), 0)],
    "tile": [lambda t: _(t.f(2, 3), (2,)), lambda t: _(t.f(2), (2, 2))],
    "repeat_interleave": [
        lambda t: _(t.f(2, 3), 2),
        lambda t: _(t.f(2, 3), t.i(3, low=0), 1),
        lambda t: _(t.i(3, low=0)),
    ],
    "swapaxes": [lambda t: _(t.f(2, 3), 0, 1)],
    "swapdims": [lambda t: _(t.f(2, 3), 0, -1)],
    "moveaxis": [lambda t: _(t.f(2, 3, 4), 0, -1), lambda t: _(t.f(2, 3, 4), (0, 1), (2, 0))],
    "adjoint": [lambda t: _(t.f(2, 3))],
    **{
        n: [
            lambda t: _(t.f()),
            lambda t: _(t.f(2)),
            lambda t: _(t.f(2), t.f(2, 2)),
            lambda t: _([t.f(2), t.f()]),
        ]
        for n in ("atleast_1d", "atleast_2d", "atleast_3d")
    },
    **{
        n: [lambda t: _([t.f(3), t.f(3)]), lambda t: _((t.f(2, 3), t.f(2, 3)))]
        for n in ("hstack", "vstack", "row_stack", "dstack", "column_stack", "concat", "concatenate")
    },
    "block_diag": [lambda t: _(t.f(2, 3), t.f(2), t.f())],
    "broadcast_to": [lambda t: _(t.f(3), (2, 3))],
    "broadcast_shapes": [lambda t: _((2, 1), (3,), ())],
    "broadcast_tensors": [lambda t: _(t.f(2, 1), t.f(3))],
    "meshgrid": [lambda t: _(t.f(2), t.f(3), indexing="ij"), lambda t: _(t.f(2), t.f(3), indexing="xy")],
    "cartesian_prod": [lambda t: _(t.f(2), t.f(3))],
    "combinations": [lambda t: _(t.f(4)), lambda t: _(t.f(3), 2, True), lambda t: _(t.f(2), 3)],
    "tensor_split": [lambda t: _(t.f(7), 3), lambda t: _(t.f(7, 2), (1, 4), 0), lambda t: _(t.f(7), (5, 2))],
    "hsplit": [lambda t: _(t.f(4), 2), lambda t: _(t.f(2, 4), [1, 2])],
    "vsplit": [lambda t: _(t.f(4, 2), 2)],
    "dsplit": [lambda t: _(t.f(2, 2, 4), 2)],
    "reshape_as": [lambda t: _(t.f(6), t.f(2, 3))],
    **{
        n: [
            lambda t: _(t.f(3, 4)),
            lambda t: _(t.f(2, 4, 3), 1),
            lambda t: _(t.f(3, 3), -1),
            lambda t: _(t.b(3, 3)),
        ]
        for n in ("tril", "triu")
    },
    **{
        n: [lambda t: _(3, 4), lambda t: _(4, 3, 1), lambda t: _(2, 2, -1)]
        for n in ("tril_indices", "triu_indices")
    },
    "diag_embed": [
        lambda t: _(t.f(3)),
        lambda t: _(t.f(2, 3), 1),
        lambda t: _(t.f(2, 3), -2, 0, 2),
        lambda t: _(t.f(2, 3), 1, 2, 0),
    ],
    "diag": [lambda t: _(t.f(3)), lambda t: _(t.f(3, 4), 1), lambda t: _(t.f(3), -1)],
    "diagflat": [lambda t: _(t.f(2, 2)), lambda t: _(t.f(2), 1)],
    "trace": [lambda t: _(t.f(3, 4)), lambda t: _(t.i(2, 2))],
    "logspace": [lambda t: _(0, 2, 5), lambda t: _(-1, 1, 3, 2.0)],
    "vander": [lambda t: _(t.f(3).detach()), lambda t: _(t.i(3), 4, True)],
    "scalar_tensor": [lambda t: _(2)],
    **{
        n: [
            lambda t: _(5),
            lambda t: _(6, False),
            lambda t: _(1),
            lambda t: _(0),
        ]
        for n in ("bartlett_window", "hann_window", "hamming_window")
    },
    "take": [lambda t: _(t.f(2, 3), torch.tensor([[0, -1], [2, 2]]))],
    "take_along_dim": [
        lambda t: _(t.f(2, 3), t.i(2, 2, low=0, high=3), 1),
        lambda t: _(t.f(2, 3), t.i(1, 3, low=0, high=2), 0),
        lambda t: _(t.f(2, 3), t.i(4, low=0, high=6)),
    ],
    "put": [
        lambda t: _(t.f(2, 3), torch.tensor([1, -1]), t.f(2)),
        lambda t: _(t.f(4), torch.tensor([1, 1]), t.f(2), True),
    ],
    "index_add": [
        lambda t: _(t.f(3, 4), 0, torch.tensor([0, 2, 0]), t.f(3, 4), alpha=2),
        lambda t: _(t.f(3, 4), 1, torch.tensor([1]), t.f(3, 1)),
    ],
    "index_copy": [lambda t: _(t.f(3, 4), 1, torch.tensor([0, 2]), t.f(3, 2))],
    "index_fill": [
        lambda t: _(t.f(3, 4), 1, torch.tensor([0, 2]), 5.0),
        lambda t: _(t.f(3), 0, torch.tensor([1]), t.f()),
    ],
    "masked_scatter": [lambda t: _(t.f(5), torch.tensor([True, False, True, True, False]), t.f(6))],
    "select_scatter": [lambda t: _(t.f(3, 4), t.f(3), 1, -1)],
    "slice_scatter": [lambda t: _(t.f(6, 2), t.f(2, 2), 0, 1, 5, 2)],
    "diagonal_scatter": [lambda t: _(t.f(3, 4), t.f(3), 1)],
    "diff": [
        lambda t: _(t.f(3, 5)),
        lambda t: _(t.f(3, 5), 2, 0),
        lambda t: _(t.b(5)),
        lambda t: _(t.f(4), prepend=t.f(1)),
    ],
    "trapezoid": [
        lambda t: _(t.f(3, 5)),
        lambda t: _(t.f(3, 5), t.f(5)),
        lambda t: _(t.f(3, 5), dx=0.5, dim=0),
    ],
    "trapz": [lambda t: _(t.f(3, 5))],
    "cumulative_trapezoid": [lambda t: _(t.f(3, 5)), lambda t: _(t.f(3, 5), t.f(3, 5))],
    "cov": [
        lambda t: _(t.f(3, 5)),
        lambda t: _(t.f(5), correction=0),
        lambda t: _(t.f(3, 5), fweights=torch.tensor([1, 2, 3, 1, 1]), aweights=t.f(5, low=0.1).detach()),
    ],
    "corrcoef": [lambda t: _(t.f(3, 5)), lambda t: _(t.f(5))],
    "gradient": [
        lambda t: _(t.f(5)),
        lambda t: _(t.f(5, 4), dim=0, spacing=2.0),
        lambda t: _(t.f(5), edge_order=2),
        lambda t: _(t.f(5), spacing=(t.of(0.0, 1.0, 3.0, 4.0, 7.0),)),
    ],
    "outer": [lambda t: _(t.f(2), t.f(3))],
    "ger": [lambda t: _(t.f(2), t.f(3))],
    "inner": [lambda t: _(t.f(3), t.f(3)), lambda t: _(t.f(2, 3), t.f(4, 3)), lambda t: _(t.f(2, 3), t.f())],
    "vdot": [lambda t: _(t.f(3), t.f(3))],
    "tensordot": [
        lambda t: _(t.f(2, 3, 4), t.f(3, 4, 5)),
        lambda t: _(t.f(2, 3), t.f(3, 2), ([0], [1])),
        lambda t: _(t.f(2), t.f(3), 0),
    ],
    "einsum": [
        lambda t, e=e, s=s: _(e, *[t.f(*x) for x in s])
        for e, s in (
            ("ij,jk->ik", [(2, 3), (3, 4)]),
            ("ij,jk", [(2, 3), (3, 4)]),
            ("ii", [(3, 3)]),
            ("ii->i", [(3, 3)]),
            ("ij->ji", [(2, 3)]),
            ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
            ("...ij,...jk->...ik", [(5, 1, 2, 3), (6, 3, 4)]),
            ("i,j->ij", [(2,), (3,)]),
            ("i,i", [(3,), (3,)]),
            ("ijk->", [(2, 3, 4)]),
            ("ij,j,i->", [(2, 3), (3,), (2,)]),
            ("bhqd,bhkd->bhqk", [(2, 2, 3, 4)] * 2),
            ("ij,ij->ij", [(2, 3)] * 2),
            ("...,...", [(2, 3), (3,)]),
            ("iij,jk->ik", [(2, 2, 3), (3, 4)]),
            ("ba", [(2, 3)]),
            ("ij,kj->ik", [(2, 1), (3, 4)]),
            ("...j->...", [(2, 3)]),
            ("ab,bc,cd->da", [(2, 3), (3, 4), (4, 5)]),
            ("i,j->", [(2,), (3,)]),
            ("iii->i", [(3, 3, 3)]),
        )
    ],
    "addmm": [lambda t: _(t.f(4), t.f(2, 3), t.f(3, 4), beta=2, alpha=0.5)],
    "addmv": [lambda t: _(t.f(2), t.f(2, 3), t.f(3), alpha=2)],
    "addr": [lambda t: _(t.f(2, 3), t.f(2), t.f(3), beta=0.5)],
    "baddbmm": [lambda t: _(t.f(5, 2, 4), t.f(5, 2, 3), t.f(5, 3, 4), beta=0)],
    "addbmm": [lambda t: _(t.f(2, 4), t.f(5, 2, 3), t.f(5, 3, 4))],
    "chain_matmul": [lambda t: _(t.f(2, 3), t.f(3, 4), t.f(4, 1))],
    "kron": [lambda t: _(t.f(2, 3), t.f(4)), lambda t: _(t.f(2, 2), t.f(2, 2))],
    "dist": [lambda t: _(t.f(3), t.f(3)), lambda t: _(t.f(3), t.f(3), 1)],
    "cdist": [
        lambda t: _(t.f(3, 4), t.f(5, 4)),
        lambda t: _(t.f(2, 3, 4), t.f(2, 5, 4), 1.0),
        lambda t: _(t.f(3, 4), t.f(5, 4), INF),
    ],
    "cross": [lambda t: _(t.f(3, 2), t.f(3, 2), dim=0), lambda t: _(t.f(2, 3), t.f(2, 3), dim=1)],
    "linalg.cross": [lambda t: _(t.f(2, 3), t.f(1, 3))],
    "linalg.vecdot": [lambda t: _(t.f(2, 3), t.f(3))],
    "linalg.diagonal": [lambda t: _(t.f(2, 3, 3), offset=1)],
    "linalg.vander": [lambda t: _(t.f(3)), lambda t: _(t.f(3), N=5)],
    **{
        n: [lambda t: _(t.spd(3)), lambda t: _(t.spd(2, 4))]
        for n in (
            "inverse",
            "det",
            "logdet",
            "cholesky",
            "matrix_exp",
            "pinverse",
            "linalg.inv",
            "linalg.det",
            "linalg.cholesky",
            "linalg.eigvalsh",
            "linalg.svdvals",
            "linalg.pinv",
            "linalg.matrix_rank",
            "linalg.matrix_exp",
            "linalg.slogdet",
            "slogdet",
            "linalg.cond",
        )
    },
    "cholesky_solve": [lambda t: _(t.f(3, 2), torch.linalg.cholesky(t.spd(3)).detach())],
    "cholesky_inverse": [lambda t: _(torch.linalg.cholesky(t.spd(3)).detach())],
    "matrix_power": [lambda t: _(t.f(3, 3), 3), lambda t: _(t.spd(3), -2), lambda t: _(t.f(3, 3), 0)],
    "linalg.matrix_power": [lambda t: _(t.f(3, 3), 5)],
    "linalg.solve": [
        lambda t: _(t.spd(3), t.f(3)),
        lambda t: _(t.spd(3, 2), t.f(2, 3, 4)),
        lambda t: _(t.spd(3), t.f(2, 3), left=False),
    ],
    "linalg.solve_triangular": [
        lambda t: _(t.spd(3).detach().triu().requires_grad_(), t.f(3, 2), upper=True),
        lambda t: _(t.spd(3).detach().tril().requires_grad_(), t.f(2, 3), upper=False, left=False),
    ],
    "linalg.lstsq": [lambda t: _(t.f(5, 3), t.f(5, 2))],
    "linalg.vector_norm": [
        lambda t: _(t.f(3, 4)),
        lambda t: _(t.f(3, 4), 1, 0),
        lambda t: _(t.f(3, 4), INF, (0, 1)),
        lambda t: _(t.f(3, 4), 0),
        lambda t: _(t.f(3, 4), 2.5, 1, True),
    ],
    "linalg.matrix_norm": [lambda t, o=o: _(t.f(3, 4), o) for o in ("fro", "nuc", 1, -1, 2, -2, INF, -INF)],
    "linalg.norm": [
        lambda t: _(t.f(3, 4)),
        lambda t: _(t.f(3, 4), 1),
        lambda t: _(t.f(4), 3),
        lambda t: _(t.f(3, 4), 2, 1),
        lambda t: _(t.f(3, 4), "fro"),
        lambda t: _(t.f(3, 4), dim=(0, 1)),
    ],
    "linalg.multi_dot": [
        lambda t: _([t.f(2), t.f(2, 3), t.f(3, 4)]),
        lambda t: _([t.f(2, 3), t.f(3, 4), t.f(4, 2), t.f(2, 6)]),
    ],
    "scatter_reduce": [
        lambda t, r=r, own=own: _(
            # An equal element that does not count takes a share of the gradient in PyTorch.
            t.of(1.0 if own else 0.9, 2.0, -1.0, 0.5 if own else 0.7).reshape(2, 2).requires_grad_(),
            1,
            torch.tensor([[0, 0, 1], [1, 1, 1]]),
            t.of(1.0, 1.5, -2.0, 3.0, 3.0, 0.5).reshape(2, 3).requires_grad_(),
            r,
            include_self=own,
        )
        for r in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    ],
    "index_reduce": [
        lambda t, r=r, own=own: _(
            t.of(1.0, 2.0, -1.0, 0.5, 3.0, 1.0).reshape(3, 2).requires_grad_(),
            0,
            torch.tensor([0, 2, 0, 0]),
            t.f(4, 2),
            r,
            include_self=own,
        )
        for r in ("prod", "mean", "amax", "amin")
        for own in (True, False)
    ],
    "linalg.tensorinv": [lambda t: _(torch.eye(4, dtype=t.dtype).reshape(2, 2, 2, 2).requires_grad_())],
    "linalg.tensorsolve": [lambda t: _((torch.eye(4, dtype=t.dtype) * 2).reshape(2, 2, 2, 2), t.f(2, 2))],
}

# Factors are unique only up to signs: the tests look at what they multiply to.
FACTORS = {
    "svd": lambda t: t.f(4, 3),
    "qr": lambda t: t.f(4, 3),
    "linalg.svd": lambda t: t.f(4, 3),
    "linalg.qr": lambda t: t.f(4, 3),
    "linalg.eigh": lambda t: t.spd(3),
}

from cases_more import MORE  # noqa: E402 - it takes the maker of cases from here

CASES.update(MORE)
