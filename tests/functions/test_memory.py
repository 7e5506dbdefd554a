"""Refusals of the further functions, and what tensors say of their memory, as in PyTorch."""

import warnings

import pytest
import torch
import wengert as wg
from cases import Makers
from cases_more import REFUSED
from test_composed import find
from torch_parity import check_same, to_wengert

PLACES = [pytest.param(n, i, id=f"{n}-{i}") for n, cases in REFUSED.items() for i in range(len(cases))]


@pytest.mark.parametrize(("name", "index"), PLACES)
def test_refusals(name, index):
    args, kwargs = REFUSED[name][index](Makers())
    with pytest.raises(Exception) as theirs:
        find(torch, name)(*args, **kwargs)
    with pytest.raises(Exception) as ours:
        find(wg, name)(*to_wengert(list(args)), **{k: to_wengert(v) for k, v in kwargs.items()})
    kind = wg.linalg.LinAlgError if theirs.type is torch.linalg.LinAlgError else theirs.type
    assert isinstance(ours.value, kind) and str(ours.value), (ours.value, theirs.value)


def both(program):
    """What a program gives with each library, or the type of what it raises."""
    results = []
    for lib in (torch, wg):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                results.append((program(lib), [w.category for w in caught]))
            except Exception as error:  # noqa: BLE001 - the subject of the comparison
                results.append((error, []))
    (want, told), (got, ours_told) = results
    if isinstance(want, Exception):
        assert isinstance(got, type(want)), f"PyTorch raises {want!r}, wengert gives {got!r}"
        return
    assert not isinstance(got, Exception), got
    assert told == ours_told
    check_same(got, want)


@pytest.mark.parametrize(
    "program",
    [
        lambda lib: lib.arange(6.0).resize(2, 3),
        lambda lib: lib.arange(6.0).resize(5),
        lambda lib: lib.arange(6.0).resize_as(lib.ones(3, 2)),
        lambda lib: lib.arange(6.0).resize_as(lib.ones(7)),
        lambda lib: lib.resize_as_(lib.arange(6.0), lib.ones(2, 2)),
        lambda lib: lib.ones(1, dtype=lib.float64).new_empty_strided((2, 3), (1, 2)).fill_(2.0),
        lambda lib: lib.ones(1).new_empty_strided((2, 3), (1, 2), dtype=lib.int64).stride(),
        lambda lib: lib.ones(2, 3, 4).permute(2, 0, 1).dim_order(),
        lambda lib: lib.ones(()).dim_order(),
        lambda lib: lib.ones(3).expand(2, 3).dim_order(),
        lambda lib: lib.ones(3).expand(2, 3, 3)[:, :2].dim_order(),
        lambda lib: lib.ones(4, 3, 2).permute(2, 0, 1)[..., :1].dim_order(),
        lambda lib: lib.ones(4, 3, 2).permute(1, 2, 0).unsqueeze(1).dim_order(),
        lambda lib: lib.ones(4, 3).T[:, None].expand(3, 2, 4).dim_order(),
        lambda lib: lib.ones(1, 1, 2).dim_order(ambiguity_check=True),
        lambda lib: lib.ones(3, 2).dim_order(ambiguity_check=True),
        lambda lib: lib.ones(3, 1, 2).dim_order(ambiguity_check=[lib.contiguous_format]),
        lambda lib: lib.ones(3).dim_order(ambiguity_check=3),
        lambda lib: lib.ones(3).share_memory_().is_shared(),
        lambda lib: lib.ones(3).pin_memory(),
        lambda lib: lib.ones(3).is_pinned(),
        lambda lib: type(lib.ones(3).as_subclass(lib.nn.Parameter)).__name__,
        lambda lib: lib.ones(3).as_subclass(int),
        lambda lib: lib.ones(2, 3).to_dense(lib.float64),
        lambda lib: [lib.ones(2, 3).dense_dim(), lib.ones(2, 3).sparse_dim()],
        lambda lib: [
            getattr(lib.ones(1), "is_" + n) for n in ("ipu", "mkldnn", "nested", "sparse_csr", "xla")
        ],
        lambda lib: lib.empty_permuted((2, 3, 4), (0, 2, 1)).stride(),
        lambda lib: lib.empty_permuted((2, 0, 4), (1, 2, 0), dtype=lib.int64).stride(),
        lambda lib: lib.detach_copy(lib.arange(3.0)),
        lambda lib: lib.as_strided_scatter(
            lib.arange(12.0).reshape(3, 4)[1:], lib.zeros(2, 2), (2, 2), (1, 2)
        ),
        lambda lib: lib.as_strided_scatter(lib.arange(12.0).reshape(3, 4).T, lib.zeros(3), (3,), (1,), 2),
        lambda lib: lib.arange(12.0).reshape(3, 4).renorm_(2, 0, 1.5),
        lambda lib: lib.histogramdd(lib.arange(12.0).reshape(6, 2) ** 2, 3, density=True),
        lambda lib: lib.histogramdd(lib.tensor(1.0), 3),
        lambda lib: lib.kaiser_window(6, False, 3.0, dtype=lib.float64),
        lambda lib: lib.blackman_window(6, dtype=lib.float64, requires_grad=True).requires_grad,
        lambda lib: lib.blackman_window(3, dtype=lib.int64),
        lambda lib: lib.histogram(lib.tensor([1.0, 2.0]), 2).bin_edges,
    ],
)
def test_memory_as_torch_tells_it(program):
    both(program)


def test_copies_share_nothing():
    x = wg.arange(6.0).reshape(2, 3)
    copies = [wg.alias_copy(x), wg.view_copy(x, (6,)), wg.t_copy(x), *wg.unbind_copy(x), *wg.split_copy(x, 1)]
    for copy in copies:
        copy.fill_(9)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    x.to_dense().fill_(1)
    assert x.sum() == 6


def test_a_histogram_takes_no_gradient():
    x = wg.tensor([0.2, 0.7], requires_grad=True)
    assert not wg.histogram(x, 2, weight=x).hist.requires_grad


def test_the_gradient_of_a_strided_scatter():
    x = wg.arange(12.0, dtype=wg.float64).reshape(3, 4).requires_grad_()
    src = wg.ones(2, 2, dtype=wg.float64, requires_grad=True)
    assert wg.autograd.gradcheck(
        lambda x, src: wg.as_strided_scatter(x, src, (2, 2), (1, 4), 1) ** 2, (x, src)
    )
    wg.narrow_copy(x, 0, -1, 1).sum().backward()
    assert x.grad[2].tolist() == [1, 1, 1, 1]
