"""Views, in-place writes and gradients: the cases that broke models of these semantics (1/2)."""

import numpy as np
import pytest
import wengert as wg
from support import close

pytestmark = pytest.mark.devices(factories=True, sample=15)

only_wengert = pytest.mark.only_wengert


def leaf(*values, **kw):
    return wg.tensor(values, dtype=wg.float64, requires_grad=True, **kw)


def test_a_sibling_view_sees_a_write():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = x * 1
    left, right = y[:3], y[1:]
    left.mul_(10)
    assert right.tolist() == [20.0, 30.0, 4.0]
    right.sum().backward()
    close(x.grad, [0, 10, 10, 1])


def test_a_view_of_a_view():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = (x * 1).reshape(2, 2)
    y.t()[0].mul_(wg.tensor([5.0, 7.0], dtype=wg.float64))
    (y**2).sum().backward()
    close(x.grad, [2 * 1 * 25, 2 * 2, 2 * 3 * 49, 2 * 4])


def test_a_stale_view_is_derived_again_from_a_written_base():
    x = leaf(1.0, 2.0)
    y = x * 1
    v = y[0]
    y.mul_(3)
    assert v.item() == 3.0
    v.backward()
    close(x.grad, [3, 0])
    assert v.grad_fn is not None


def test_a_base_starts_to_need_gradients_through_its_view():
    base = wg.zeros(3, dtype=wg.float64)
    x = leaf(5.0)
    other = base[:2]
    base[1:2] = x * 2
    assert base.requires_grad and other.requires_grad and not base.is_leaf
    (other * wg.tensor([1.0, 3.0])).sum().backward()
    close(x.grad, [6])


def test_setting_an_item_of_a_leaf_is_refused_and_changes_nothing():
    x = leaf(1.0, 2.0)
    with pytest.raises(
        RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place"
    ):
        x[0] = 3.0
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        x.mul_(2)
    assert x.tolist() == [1.0, 2.0] and x._version == 0


def test_setting_an_item_of_an_expanded_row_is_refused():
    y = wg.zeros(1, 3).expand(2, 3)
    with pytest.raises(
        RuntimeError, match="more than one element of the written-to tensor refers to a single"
    ):
        y[:, 0] = wg.tensor([1.0, 2.0])
    assert y.tolist() == [[0.0] * 3] * 2
    row = wg.zeros(2, 1).expand(2, 3)[0]
    with pytest.raises(
        RuntimeError, match="more than one element of the written-to tensor refers to a single"
    ):
        row.add_(1)


def test_zero_of_an_expanded_tensor_is_allowed():
    y = wg.ones(1).expand(3)
    y.zero_()
    assert y.tolist() == [0.0] * 3


@only_wengert
def test_zero_of_an_expanded_tensor_differentiates():
    x = leaf(2.0)
    y = (x * 1).expand(3)
    y.zero_()
    y.sum().backward()
    close(x.grad, [0])


def test_a_view_of_a_detached_slice_writes_without_recording():
    x = leaf(1.0, 2.0, 3.0)
    y = x * 2
    d = y[1:].detach()
    d[:1] = 10.0
    assert y.tolist() == [2.0, 10.0, 6.0]
    y.sum().backward()
    close(x.grad, [2, 2, 2])  # the write through detach() is not part of the function


def test_a_view_made_without_gradients_refuses_a_recorded_write():
    x = leaf(1.0, 2.0)
    y = x * 1
    with wg.no_grad():
        v = y[:1]
    with pytest.raises(RuntimeError, match="no_grad mode"):
        v.mul_(2)
    assert y.tolist() == [1.0, 2.0]
    y.mul_(2)  # indirectly: the base changes, then the view is asked for its history
    with pytest.raises(RuntimeError, match="no_grad mode"):
        v.grad_fn


def test_a_no_grad_view_of_a_leaf_requires_gradients_but_is_a_constant_history():
    x = leaf(1.0, 2.0)
    with wg.no_grad():
        v = x[:1]
    assert v.requires_grad
    y = (v * 3).sum()
    assert wg.autograd.grad(y, x, allow_unused=True) == (None,)


@pytest.mark.parametrize(
    "split",
    [lambda y: y.unbind(0), lambda y: y.split(1), lambda y: y.chunk(2)],
    ids=["unbind", "split", "chunk"],
)
def test_outputs_of_a_split_refuse_recorded_writes(split):
    x = leaf(1.0, 2.0)
    y = x * 1
    parts = split(y)
    with pytest.raises(RuntimeError, match="multiple views"):
        parts[0].mul_(2)
    assert y.tolist() == [1.0, 2.0]
    y.mul_(2)
    with pytest.raises(RuntimeError, match="multiple views"):
        parts[1].grad_fn


def test_a_split_is_written_through_detach():
    x = leaf(1.0, 2.0)
    y = x * 1
    a, b = y.split(1)
    a.detach().mul_(5)
    assert y.tolist() == [5.0, 2.0]
    with pytest.raises(RuntimeError, match="multiple views"):
        a + b
    y.sum().backward()  # the base itself is still fine
    close(x.grad, [1, 1])


def test_leaves_that_are_views_of_one_flat_buffer_train():
    flat = wg.tensor([1.0, 2.0, 3.0, 4.0])
    w = flat[:2].requires_grad_()
    b = flat[2:].requires_grad_()
    opt = wg.optim.SGD([w, b], lr=0.5)
    (w * b).sum().backward()
    opt.step()
    assert w.tolist() == [-0.5, 0.0] and b.tolist() == [2.5, 3.0]
    assert flat.tolist() == [-0.5, 0.0, 2.5, 3.0]


def test_a_leaf_view_whose_base_gets_a_history_later():
    flat = wg.zeros(3, dtype=wg.float64)
    w = flat[:1].requires_grad_()
    x = leaf(7.0)
    flat[2:] = x
    assert w.requires_grad
    flat.sum().backward()
    close(x.grad, [1])


@only_wengert
def test_a_parameter_step_between_forward_and_backward_gives_the_gradient_of_the_forward():
    w = leaf(2.0)
    x = leaf(5.0)
    y = w * x
    with wg.no_grad():
        w.mul_(100)
    y.backward()
    close(x.grad, [2])
    close(w.grad, [5])


@only_wengert
def test_exp_then_a_data_write():
    x = leaf(1.0)
    y = x.exp()
    y.data.mul_(0)
    y.backward()
    close(x.grad, [np.e])


@only_wengert
@pytest.mark.parametrize("write", ["mul_", "data", "no_grad", "view"])
def test_saved_values_are_snapshots(write):
    x = leaf(1.0, 2.0)
    h = x * 1
    y = h**2 + h.exp()
    if write == "mul_":
        h.mul_(3)
    elif write == "data":
        h.data[0] = 50.0
    elif write == "view":
        h[:1].add_(4)
    else:
        with wg.no_grad():
            h.zero_()
    y.sum().backward()
    close(x.grad, [2 + np.e, 4 + np.e**2])


@pytest.mark.host("numpy sees the host's memory alone")
def test_numpy_pinned_before_a_save():
    h = wg.tensor([1.0, 2.0], dtype=wg.float64)
    a = h.numpy()
    x = leaf(3.0, 4.0)
    y = (h * x).sum()
    h.mul_(2)
    assert a.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_numpy_written_by_numpy_itself_shows_in_the_tensor():
    a = np.array([1.0, 2.0])
    h = wg.from_numpy(a)
    a[0] = 9.0
    assert h.tolist() == [9.0, 2.0]
    h[1] = 8.0
    assert a.tolist() == [9.0, 8.0]


@only_wengert
@pytest.mark.host("numpy sees the host's memory alone")
def test_numpy_pinned_after_a_save_does_not_disturb_the_save():
    h = wg.tensor([1.0, 2.0], dtype=wg.float64)
    x = leaf(3.0, 4.0)
    y = (h * x).sum()
    a = h.numpy()  # copies first: the tape holds the old buffer
    a[:] = 7.0
    assert h.tolist() == [7.0, 7.0]
    y.backward()
    close(x.grad, [1, 2])


def test_two_leaves_that_receive_one_gradient_do_not_share_it():
    a, b = leaf(1.0), leaf(2.0)
    (a + b).backward()
    a.grad.zero_()
    assert a.grad.item() == 0.0 and b.grad.item() == 1.0


def test_gradients_accumulate_in_the_same_handle():
    a = leaf(1.0)
    (a * 2).backward()
    g = a.grad
    (a * 3).backward()
    assert g.item() == 5.0 and a.grad is g


@only_wengert
def test_a_saved_gradient_is_not_changed_by_accumulation():
    a = leaf(3.0)
    (a * 2).backward()
    z = leaf(1.0)
    y = z * a.grad
    (a * 3).backward()
    y.backward()
    close(z.grad, [2])
