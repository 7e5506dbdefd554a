"""A tensor larger than what Mesa's software device shows to a kernel in one binding (128 MiB)."""

import pytest
import wengert as wg

COLS = 1024
ROWS = 48 * COLS
SIZE = ROWS * COLS
"""Elements of 4 bytes: 192 MiB."""
EDGES = [0, 1, 2**25 - 1, 2**25, 2**25 + 1, SIZE - 1]
"""First and last elements, and those on both sides of 128 MiB."""


@pytest.fixture(scope="module")
def numbers():
    """0, 1, 2… in int32."""
    yield wg.arange(SIZE, dtype=wg.int32, device="gpu")
    wg.gpu.empty_cache()


def at(x, places=EDGES):
    return x.view(-1)[wg.tensor(places, device="gpu")].tolist()


def test_it_does_not_fit_one_binding(numbers):
    info = wg.gpu.devices()[0]
    if info.max_binding >= numbers.nbytes:
        pytest.skip(f"{info.name} shows {info.max_binding} bytes at once")
    assert numbers.nbytes == 192 << 20 > info.max_binding


def test_elementwise(numbers):
    assert at(numbers) == EDGES
    y = numbers + 1
    assert at(y) == [e + 1 for e in EDGES]
    y.view(ROWS, COLS)[-1].mul_(2)
    assert at(y) == [*(e + 1 for e in EDGES[:-1]), 2 * SIZE]


def test_sums(numbers):
    assert numbers.sum().item() == SIZE * (SIZE - 1) // 2
    assert numbers.argmax().item() == SIZE - 1


def test_a_product(numbers):
    x = (numbers % 8).float().view(ROWS, COLS)
    row = wg.zeros(1, ROWS, device="gpu")
    row[0, 2**15] = 1.0
    row[0, -1] = 10.0
    assert (row @ x).view(-1).tolist() == [11.0 * (k % 8) for k in range(COLS)]


def test_gather(numbers):
    places = wg.tensor([EDGES], device="gpu").expand(2, -1)
    both = numbers.unsqueeze(0).expand(2, -1)
    assert both.gather(1, places).tolist() == [EDGES, EDGES]
    rows = numbers.view(ROWS, COLS).index_select(0, wg.tensor([2**15 - 1, 2**15, ROWS - 1], device="gpu"))
    assert rows[:, 0].tolist() == [(2**15 - 1) * COLS, 2**15 * COLS, (ROWS - 1) * COLS]


def test_copies(numbers):
    turned = numbers.view(ROWS, COLS).t().contiguous()
    assert at(turned, [e % COLS * ROWS + e // COLS for e in EDGES]) == EDGES
    here = numbers.cpu()
    assert here.equal(wg.arange(SIZE, dtype=wg.int32))
    assert at(here.to("gpu")) == EDGES


def test_cat(numbers):
    half = SIZE // 2 - 3
    joined = wg.cat([numbers[half:], numbers[:half]])
    assert at(joined) == [(e + half) % SIZE for e in EDGES]
