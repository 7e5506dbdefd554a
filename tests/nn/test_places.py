"""Images read at places, maxima put back, and sequence alignments: as torch's."""

import pytest
import wengert as wg
from nn_compare import both, data, torch  # noqa: F401

pytestmark = pytest.mark.devices(factories=True, sample=5)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 1, 3), (2, 1, 3, 2, 4)])
def test_affine_grids(size, align):
    def program(lib):
        n = len(size) - 2
        theta = data(lib, 2, n, n + 1, dtype="float64", grad=True)
        grid = lib.nn.functional.affine_grid(theta, size, align_corners=align)
        (grid * data(lib, *grid.shape, seed=3, dtype="float64")).sum().backward()
        return [grid, theta.grad]

    both(program)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 1, 3), (2, 1, 3, 2, 4)])
def test_grid_samples(shape, mode, padding, align):
    n = len(shape) - 2

    def program(lib):
        x = data(lib, *shape, dtype="float64", grad=True)
        grid = data(lib, shape[0], *(3, 4, 2)[:n], n, seed=1, dtype="float64", low=-1.9, high=1.9, grad=True)
        y = lib.nn.functional.grid_sample(x, grid, mode, padding, align)
        (y * data(lib, *y.shape, seed=3, dtype="float64")).sum().backward()
        return [y, x.grad, grid.grad if mode != "nearest" else None]

    both(program, 1e-7)


def test_grid_samples_have_second_derivatives():
    x = data(wg, 1, 2, 3, 3, dtype="float64", grad=True)
    grid = data(wg, 1, 2, 2, 2, seed=1, dtype="float64", low=-0.6, high=0.6, grad=True)
    assert wg.autograd.gradgradcheck(
        lambda a, b: wg.nn.functional.grid_sample(a, b, align_corners=True), (x, grid)
    )


@pytest.mark.parametrize(
    "bad",
    [
        lambda F, x, g: F.grid_sample(x, g, mode="cubic", align_corners=True),
        lambda F, x, g: F.grid_sample(x, g, padding_mode="wrap", align_corners=True),
        lambda F, x, g: F.grid_sample(x, g[0], align_corners=True),
        lambda F, x, g: F.grid_sample(x, g[..., :1], align_corners=True),
        lambda F, x, g: F.grid_sample(x, g.double(), align_corners=True),
        lambda F, x, g: F.grid_sample(x[:, :, :0], g, align_corners=True),
        lambda F, x, g: F.affine_grid(g[0], (1, 1, 2, 2), align_corners=True),
        lambda F, x, g: F.affine_grid(x[:, 0, :2, :3], (1, 1, 2), align_corners=True),
        lambda F, x, g: F.affine_grid(x[:, 0, :2, :3], (2, 1, 0, 2), align_corners=True),
        lambda F, x, g: F.affine_grid(x[:, 0, :2, :3].long(), (2, 1, 2, 2), align_corners=True),
    ],
)
def test_refusals_of_places(bad):
    _, theirs = both(lambda lib: bad(lib.nn.functional, data(lib, 2, 3, 4, 4), data(lib, 2, 3, 4, 2)))
    assert isinstance(theirs, Exception), "torch accepts this"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_maxima_put_back(n):
    def program(lib):
        x = data(lib, 2, 3, *(5, 6, 4)[:n], grad=True)
        pool = getattr(lib.nn, f"MaxPool{n}d")(2, stride=2, return_indices=True)
        unpool = getattr(lib.nn, f"MaxUnpool{n}d")(2, stride=2)
        top, places = pool(x)
        y, sized = unpool(top, places), unpool(top, places, output_size=x.shape)
        (y.pow(2).sum() + (sized * x.detach()).sum()).backward()
        alone = getattr(lib.nn.functional, f"max_unpool{n}d")(top[0], places[0], 2)
        return [y, sized, x.grad, alone, repr(unpool)]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda F, x, i: F.max_unpool2d(x, i[:1], 2),
        lambda F, x, i: F.max_unpool2d(x, i, 2, output_size=(9, 9)),
        lambda F, x, i: F.max_unpool2d(x, i, 2, output_size=(4,)),
        lambda F, x, i: F.max_unpool2d(x, i + 99, 2),
        lambda F, x, i: F.max_unpool2d(x[0, 0], i[0, 0], 2),
    ],
)
def test_refusals_of_unpooling(bad):
    def program(lib):
        return bad(
            lib.nn.functional, *lib.nn.functional.max_pool2d(data(lib, 2, 3, 4, 4), 2, return_indices=True)
        )

    _, theirs = both(program)
    assert isinstance(theirs, Exception), "torch accepts this"


LABELS = [[1, 2, 2, 3], [3, 1, 0, 0], [4, 4, 4, 4], [0, 0, 0, 0]]
LENGTHS = [4, 2, 4, 0]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("form", ["rows", "in a row", "tuples", "blank last", "one"])
def test_ctc(form, zero_infinity, reduction):
    def program(lib):
        x = data(lib, 8, 4, 6, dtype="float64", grad=True)
        log_probs = x.log_softmax(2)
        targets, frames, lengths = (
            lib.tensor(LABELS),
            lib.tensor([8, 5, 5 if zero_infinity else 8, 6]),
            LENGTHS,
        )
        if form == "in a row":
            targets = lib.tensor([k for row, n in zip(LABELS, LENGTHS, strict=True) for k in row[:n]])
        frames, lengths = (
            (tuple(frames.tolist()), tuple(lengths)) if form == "tuples" else (frames, lib.tensor(lengths))
        )
        if form == "one":
            log_probs, targets, frames, lengths = log_probs[:, 0], targets[0], lib.tensor(8), lib.tensor(4)
        blank = 5 if form == "blank last" else 0
        loss = lib.nn.CTCLoss(blank, reduction, zero_infinity)(log_probs, targets, frames, lengths)
        loss.sum().backward()
        return [loss, x.grad]

    both(program, 1e-7)


def test_ctc_of_labels_that_do_not_fit():
    def program(lib):
        log_probs = data(lib, 3, 1, 4).log_softmax(2)
        return lib.nn.functional.ctc_loss(log_probs, lib.tensor([[2, 2, 2]]), (3,), (3,))

    ours, _ = both(program)
    assert ours.item() == float("inf")


@pytest.mark.parametrize(
    "bad",
    [
        lambda F, x, t: F.ctc_loss(x, t, (9, 3), (2, 2)),
        lambda F, x, t: F.ctc_loss(x, t, (3,), (2, 2)),
        lambda F, x, t: F.ctc_loss(x, t, (3, 3), (2, 9)),
        lambda F, x, t: F.ctc_loss(x, t, (3, 3), (2, 2), blank=9),
        lambda F, x, t: F.ctc_loss(x, t, (3, 3), (2, 2), reduction="median"),
    ],
)
def test_refusals_of_ctc(bad):
    def program(lib):
        return bad(lib.nn.functional, data(lib, 3, 2, 4).log_softmax(2), lib.tensor([[1, 2], [3, 1]]))

    _, theirs = both(program)
    assert isinstance(theirs, Exception), "torch accepts this"
