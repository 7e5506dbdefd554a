"""Further cases of `cases.py`: copies of views, histograms, memory."""

import torch
from cases import _


def indefinite(t, *size):
    """Symmetric matrices with zeros on their diagonals, for which D has blocks of two rows."""
    a = t.f(*size, size[-1]).detach()
    return (a + a.mT).tril(-1) + (a + a.mT).triu(1)


def lu_of(t, *size):
    """The factors of well-conditioned matrices, as a leaf, and their pivots."""
    lu, pivots = torch.linalg.lu_factor(t.f(*size, size[-1]).detach())
    return lu.requires_grad_(), pivots


MORE = {
    "blackman_window": [lambda t, n=n: _(n) for n in (0, 1, 2, 5)] + [lambda t: _(6, False)],
    "kaiser_window": [
        *(lambda t, n=n: _(n) for n in (0, 1, 2, 5)),
        lambda t: _(6, False, 3.0),
        lambda t: _(5, True, 0.0),
    ],
    "i0": [lambda t: _(t.f(2, 3)), lambda t: _(t.i(4))],
    **{n: [lambda t: _(t.f(3, low=0.1).detach(), t.f(2, 3, low=0.1))] for n in ("igamma", "igammac")},
    "alias_copy": [lambda t: _(t.f(2, 3))],
    "as_strided_copy": [lambda t: _(t.f(3, 4), (2, 2), (1, 4), 1), lambda t: _(t.f(3), (2, 3), (0, 1))],
    "diagonal_copy": [lambda t: _(t.f(3, 4)), lambda t: _(t.f(2, 3, 4), 1, dim1=0, dim2=2)],
    "expand_copy": [lambda t: _(t.f(3, 1), (2, 3, 4)), lambda t: _(t.f(3, 1), (-1, 4), implicit=True)],
    "permute_copy": [lambda t: _(t.f(2, 3, 4), (2, 0, 1))],
    "select_copy": [lambda t: _(t.f(2, 3), 1, -1), lambda t: _(t.f(2, 3), dim=0, index=1)],
    "slice_copy": [
        lambda t: _(t.f(5, 2)),
        lambda t: _(t.f(2, 5), 1, -4, 5, 2),
        lambda t: _(t.f(5), dim=0, end=2),
    ],
    "split_copy": [lambda t: _(t.f(5, 2), 2), lambda t: _(t.f(2, 5), split_size=3, dim=1)],
    "split_with_sizes_copy": [lambda t: _(t.f(5, 2), [1, 4]), lambda t: _(t.f(2, 5), [2, 0, 3], 1)],
    "squeeze_copy": [
        lambda t: _(t.f(1, 3, 1)),
        lambda t: _(t.f(1, 3, 1), 0),
        lambda t: _(t.f(1, 3, 1), dim=(0, 2)),
    ],
    "t_copy": [lambda t: _(t.f(2, 3)), lambda t: _(t.f(3))],
    "transpose_copy": [lambda t: _(t.f(2, 3, 4), 0, -1)],
    "unbind_copy": [lambda t: _(t.f(2, 3)), lambda t: _(t.f(2, 3), dim=1)],
    "unfold_copy": [lambda t: _(t.f(3, 5), 1, 3, 2)],
    "unsqueeze_copy": [lambda t: _(t.f(2, 3), 1)],
    "view_copy": [lambda t: _(t.f(2, 3), (3, 2)), lambda t: _(t.f(2, 3), (-1,))],
    "narrow_copy": [lambda t: _(t.f(3, 4), 1, 1, 2), lambda t: _(t.f(3, 4), dim=0, start=2, length=1)],
    "as_strided_scatter": [
        # PyTorch's gradient by the input is that of the elements which were overwritten.
        lambda t: _(t.f(3, 4).detach(), t.f(2, 2), (2, 2), (1, 4), 1),
        lambda t: _(t.f(5).detach(), t.f(2), (2,), (2,)),
    ],
    "unsafe_chunk": [lambda t: _(t.f(5, 2), 2), lambda t: _(t.f(2, 5), 3, 1)],
    "unsafe_split": [lambda t: _(t.f(5, 2), 2), lambda t: _(t.f(2, 5), split_size=3, dim=1)],
    "unsafe_split_with_sizes": [lambda t: _(t.f(5, 2), [1, 4])],
    "nonzero_static": [
        lambda t: _(t.f(2, 3), size=4),
        lambda t: _(t.i(4, 3), size=20, fill_value=7),
        lambda t: _(t.b(5), size=0),
    ],
    "histogram": [
        lambda t: _(t.f(20).detach(), 4),
        lambda t: _(t.f(4, 5).detach(), 5, range=(-1.0, 1.5), density=True),
        lambda t: _(t.f(20).detach(), bins=3, weight=t.f(20).detach(), density=True),
        lambda t: _(t.f(30).detach(), t.of(-1.5, -0.2, 0.0, 1.7)),
        lambda t: _(t.f(30).detach(), t.of(-1.5, -0.2, 0.0, 1.7), weight=t.f(30).detach(), density=True),
        lambda t: _(t.of(1.0, float("nan"), 3.0, 0.0), 3, range=(0, 3)),
        lambda t: _(t.of(2.0, 2.0), 4),
    ],
    "histogramdd": [
        lambda t: _(t.f(20, 2).detach(), [3, 4]),
        lambda t: _(t.f(4, 5, 3).detach(), [2, 3, 1], density=True),
        lambda t: _(t.f(20, 2).detach(), [3, 4], range=[-1.0, 1.0, 0.0, 2.0], weight=t.f(20).detach()),
        lambda t: _(t.f(20, 2).detach(), [t.of(-1.0, 0.5, 2.0), t.of(-2.0, 2.0)]),
    ],
    **{
        n: [
            lambda t: _(t.f(3, 3)),
            lambda t: _(t.f(2, 4, 3)),
            lambda t: _(t.f(3, 5)),
        ]
        for n in ("linalg.lu_factor", "linalg.lu_factor_ex", "linalg.lu")
    },
    "lu": [lambda t: _(t.f(3, 3)), lambda t: _(t.f(4, 3), get_infos=True), lambda t: _(t.f(2, 2, 3))],
    "linalg.lu_solve": [
        lambda t: _(*lu_of(t, 3), t.f(3, 2)),
        lambda t: _(*lu_of(t, 2, 3), t.f(3, 2), adjoint=True),
        lambda t: _(*lu_of(t, 3), t.f(2, 2, 3), left=False),
        lambda t: _(*lu_of(t, 3), t.f(2, 3), left=False, adjoint=True),
    ],
    "lu_solve": [lambda t: _(t.f(3, 2), *lu_of(t, 3))],
    "lu_unpack": [
        lambda t: _(*lu_of(t, 3)),
        lambda t: _(*(x.detach() for x in lu_of(t, 2, 3)), unpack_data=False),
        lambda t: _(*lu_of(t, 3), unpack_pivots=False),
    ],
    "triangular_solve": [
        lambda t: _(t.f(3, 2), t.spd(3)),
        lambda t: _(t.f(3, 2), t.spd(3), False, True, True),
        lambda t: _(t.f(2, 3, 2), t.spd(3), upper=False),
    ],
    "linalg.cholesky_ex": [lambda t: _(t.spd(3)), lambda t: _(t.spd(2, 3), upper=True)],
    "linalg.inv_ex": [lambda t: _(t.spd(3)), lambda t: _(t.spd(2, 3))],
    "linalg.solve_ex": [
        lambda t: _(t.spd(3), t.f(3)),
        lambda t: _(t.spd(3, 2), t.f(2, 3, 4)),
        lambda t: _(t.spd(3), t.f(2, 3), left=False),
    ],
    **{
        n: [
            lambda t: _(t.f(4, 3), t.f(3)),
            lambda t: _(t.f(2, 4, 4), t.f(2, 3)),
            lambda t: _(t.f(3, 2), t.f(0)),
        ]
        for n in ("linalg.householder_product", "orgqr")
    },
    "ormqr": [
        lambda t, left=left, turned=turned: _(
            t.f(4, 3), t.f(3), t.f(4, 2) if left else t.f(2, 4), left, turned
        )
        for left in (True, False)
        for turned in (True, False)
    ],
    **{
        n: [lambda t: _(t.spd(3).detach()), lambda t: _(indefinite(t, 2, 4)), lambda t: _(indefinite(t, 6))]
        for n in ("linalg.ldl_factor", "linalg.ldl_factor_ex")
    },
    "linalg.ldl_solve": [
        lambda t: _(*torch.linalg.ldl_factor(t.spd(3).detach()), t.f(3, 2).detach()),
        lambda t: _(*torch.linalg.ldl_factor(indefinite(t, 2, 4)), t.f(2, 4, 3).detach()),
    ],
    "geqrf": [
        lambda t: _(t.f(4, 3).detach()),
        lambda t: _(t.f(2, 3, 4).detach()),
        lambda t: _(t.f(3, 3).detach().triu()),
    ],
}

# What both refuse, with the same kind of exception.
REFUSED = {
    "linalg.ldl_factor": [lambda t: _(t.f(2, 3)), lambda t: _(t.i(3, 3))],
    "linalg.ldl_solve": [
        lambda t: _(torch.eye(2), torch.ones(2), torch.ones(2, 2)),
        lambda t: _(torch.eye(2), torch.ones(3, dtype=torch.int32), torch.ones(2, 2)),
        lambda t: _(torch.eye(2), torch.ones(2, dtype=torch.int32), torch.ones(3, 2)),
        lambda t: _(torch.eye(2), torch.ones(2, dtype=torch.int32), torch.ones(2, 2).double()),
    ],
    **{
        f"{n}_window": [
            lambda t: _(-1),
            lambda t: _("x"),
            lambda t: _(2.5),
        ]
        for n in ("bartlett", "blackman", "hamming", "hann", "kaiser")
    },
    "pca_lowrank": [lambda t: _(t.f(4, 3), 4), lambda t: _(t.f(4, 3), niter=-1), lambda t: _(t.i(4, 3))],
    "linalg.lu_factor": [
        lambda t: _(torch.zeros(2, 2)),
        lambda t: _(t.f(3)),
        lambda t: _(t.i(3, 3)),
        lambda t: _(t.f(3, 3), pivot=False),
    ],
    "linalg.lu_factor_ex": [lambda t: _(torch.ones(2, 2), check_errors=True)],
    "linalg.lu_solve": [
        lambda t: _(*lu_of(t, 3), t.f(3)),
        lambda t: _(*lu_of(t, 3), t.f(4, 3)),
        lambda t: _(lu_of(t, 3)[0], torch.arange(3), t.f(3, 2)),
        lambda t: _(*lu_of(t, 3), t.f(3, 2).detach().float()),
    ],
    "lu_unpack": [lambda t: _(t.f(3, 3), torch.arange(3))],
    "triangular_solve": [lambda t: _(t.f(4, 3), t.f(3, 3))],
    "linalg.cholesky_ex": [
        lambda t: _(-t.spd(3), check_errors=True),
        lambda t: _(t.f(3, 4)),
        lambda t: _(t.i(3, 3)),
    ],
    "linalg.inv_ex": [lambda t: _(torch.ones(2, 2), check_errors=True), lambda t: _(t.f(3, 4))],
    "linalg.solve_ex": [lambda t: _(torch.ones(2, 2), torch.ones(2), check_errors=True)],
    "linalg.householder_product": [
        lambda t: _(t.f(3, 4), t.f(2)),
        lambda t: _(t.f(4, 3), t.f(4)),
        lambda t: _(t.f(4, 3), t.f(3).detach().float()),
    ],
    "ormqr": [lambda t: _(t.f(4, 3), t.f(3), t.f(3, 3))],
    "slice_copy": [
        lambda t: _(t.f(5), step=0),
    ],
    "as_strided_scatter": [
        lambda t: _(t.f(5), t.f(3), (2,), (2,)),
        lambda t: _(t.f(5), t.f(2), (2,), (9,)),
    ],
    "nonzero_static": [
        lambda t: _(t.f(5), size=-1),
    ],
    "histogram": [
        lambda t: _(t.of(2.0), 0),
        lambda t: _(t.of(2.0), 2.5),
        lambda t: _(t.of(2.0, float("inf")), 3),
        lambda t: _(t.of(2.0), 3, range=(1.0, 0.0)),
        lambda t: _(t.of(2.0), 3, range=(1.0,)),
        lambda t: _(t.of(2.0, 1.0), 3, weight=t.of(2.0)),
        lambda t: _(t.of(2.0, 1.0), 3, weight=torch.ones(2, dtype=torch.int64)),
        lambda t: _(t.of(2.0, 1.0), t.of(1.0, 2.0), range=(0.0, 1.0)),
        lambda t: _(t.of(2.0, 1.0), t.of(1.0, 2.0).reshape(1, 2)),
        lambda t: _(t.of(2.0, 1.0), t.of(1.0)),
        lambda t: _(t.i(5), 3),
    ],
    "histogramdd": [
        lambda t: _(t.f(20, 2).detach(), [3]),
        lambda t: _(t.f(20).detach(), [3]),
        lambda t: _(t.f(20, 2).detach(), [3, 4], range=[-1.0, 1.0]),
    ],
    "unsafe_split": [
        lambda t: _(t.f(5), [2, 3]),
    ],
    "narrow_copy": [
        lambda t: _(t.f(5), 0, 4, 3),
    ],
    "select_copy": [
        lambda t: _(t.f(5), 0, 7),
    ],
    "view_copy": [
        lambda t: _(t.f(5), (2, 2)),
    ],
    "empty_permuted": [
        lambda t: _((2, 3), (0, 0)),
        lambda t: _((2, 3), (0,)),
        lambda t: _((2, 3), (0, 2)),
    ],
}
