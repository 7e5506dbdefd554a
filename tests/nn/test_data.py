"""Datasets, samplers and the DataLoader: order, batches and refusals as torch's."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import wengert as wg
from nn_compare import both, data, same, torch

Pair = namedtuple("Pair", ["x", "y"])


def lib_data(lib):
    return lib.utils.data


def moons_like(lib, n=33):
    values = np.random.default_rng(0).normal(size=(n, 2)).astype("float32")
    y = np.random.default_rng(1).integers(0, 2, n)

    class Data(lib.utils.data.Dataset):
        def __init__(self):
            self.x = lib.from_numpy(values.copy())
            self.y = y

        def __len__(self):
            return len(self.x)

        def __getitem__(self, i):
            return self.x[i], self.y[i]

    return Data()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 16},
        {"batch_size": 16, "shuffle": True},
        {"batch_size": 16, "shuffle": True, "drop_last": True},
        {"batch_size": None},
        {"batch_size": 8, "shuffle": True, "num_workers": 2},
        {},
    ],
)
def test_batches_and_order(options):
    def program(lib):
        options_here = dict(options)
        if lib is torch:
            options_here.pop("num_workers", None)
        loader = lib_data(lib).DataLoader(moons_like(lib), **options_here)
        passes = [[list(batch) for batch in loader] for _ in range(2)]
        after = lib.rand(3)
        return [passes, len(loader), after]

    both(program)


def test_generators():
    def program(lib):
        generator = lib.Generator()
        generator.manual_seed(5)
        loader = lib_data(lib).DataLoader(moons_like(lib), batch_size=10, shuffle=True, generator=generator)
        return [[list(batch) for batch in loader] for _ in range(2)] + [lib.rand(2)]

    both(program)


def test_random_split():
    def program(lib):
        split = lib_data(lib).random_split
        parts = split(range(10), [3, 7]) + split(range(11), [0.5, 0.25, 0.25])
        return [list(part.indices) for part in parts] + [
            [part[i] for i in range(len(part))] for part in parts
        ]

    both(program)
    for lengths in ([3, 3], [0.5, 0.6], [-0.5, 1.5]):
        _, theirs = both(lambda lib, lengths=lengths: lib_data(lib).random_split(range(10), lengths))
        assert isinstance(theirs, ValueError)


def test_samplers():
    def program(lib):
        d = lib_data(lib)
        generator = lib.Generator()
        generator.manual_seed(1)
        return [
            list(d.SequentialSampler(range(4))),
            list(d.RandomSampler(range(10))),
            list(d.RandomSampler(range(10), num_samples=25)),
            list(d.RandomSampler(range(10), replacement=True, num_samples=40)),
            list(d.RandomSampler(range(5), generator=generator)),
            list(d.RandomSampler(range(5), generator=generator)),
            list(d.SubsetRandomSampler([3, 1, 7])),
            list(d.WeightedRandomSampler([0.1, 0.9, 0.4, 0.0, 3.0], 20)),
            list(d.WeightedRandomSampler([0.1, 0.9, 0.4, 0.2, 3.0], 5, replacement=False)),
            list(d.BatchSampler(range(7), 3, False)),
            list(d.BatchSampler(range(7), 3, True)),
            len(d.BatchSampler(range(7), 3, False)),
            len(d.BatchSampler(range(7), 3, True)),
        ]

    both(program)


def test_collate():
    def program(lib):
        collate = lib_data(lib).default_collate
        return [
            collate([(lib.ones(2), 1), (lib.zeros(2), 2)]),
            collate([1.5, 2.5]),
            collate([True, False]),
            collate(["a", "b"]),
            dict(collate([{"x": 1, "y": [1.0, 2.0]}, {"x": 2, "y": [3.0, 4.0]}])),
            collate([np.int64(3), np.int64(4)]),
            collate([np.float32(3), np.float32(4)]),
            collate([np.arange(3), np.arange(3)]),
            collate([[lib.ones(1), "s"], [lib.ones(1), "t"]]),
            list(collate([Pair(1, 2.0), Pair(3, 4.0)])),
            type(collate([Pair(1, 2.0)])).__name__,
            type(collate([OrderedDict(a=1)])).__name__,
            collate([np.bool_(True), np.bool_(False)]),
            collate([(b"x", (1, 2)), (b"y", (3, 4))]),
        ]

    both(program)
    for bad in ([[1, 2], [1]], [object()], [np.array(["a"]), np.array(["b"])]):
        _, theirs = both(lambda lib, bad=bad: lib_data(lib).default_collate(bad))
        assert isinstance(theirs, Exception)


def test_convert():
    def program(lib):
        convert = lib_data(lib).default_convert
        return [
            convert(np.arange(3)),
            convert([np.ones(2), "s"]),
            convert({"a": np.float64(2.0)}),
            convert(3),
        ]

    both(program)


def test_datasets():
    def program(lib):
        d = lib_data(lib)
        pairs = d.TensorDataset(data(lib, 5, 2), lib.arange(5))
        joined = pairs + d.TensorDataset(data(lib, 3, 2, seed=1), lib.arange(3))
        part = d.Subset(joined, [6, 0, -1])
        return [
            list(pairs[2]),
            len(joined),
            list(joined[6]),
            list(joined[-1]),
            list(part[0]),
            list(part[2]),
            len(part),
            [list(b) for b in d.DataLoader(part, batch_size=2)],
        ]

    both(program)
    for bad in (
        lambda lib: lib_data(lib).TensorDataset(lib.ones(2), lib.ones(3)),
        lambda lib: lib_data(lib).ConcatDataset([]),
        lambda lib: lib_data(lib).ConcatDataset([range(3), range(2)])[5],
        lambda lib: lib_data(lib).Dataset()[0],
    ):
        _, theirs = both(bad)
        assert isinstance(theirs, Exception)


class Count:
    """Numbers 0 … n−1 as a stream, shared between workers where there are any."""

    @staticmethod
    def make(lib, n):
        class Stream(lib.utils.data.IterableDataset):
            def __iter__(self):
                return iter(range(n))

        return Stream()


@pytest.mark.parametrize(
    "options", [{"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": None}]
)
def test_streams(options):
    def program(lib):
        loader = lib_data(lib).DataLoader(Count.make(lib, 10), **options)
        return list(loader)

    both(program)


def test_workers_keep_order_share_streams_and_pass_errors_on():
    seen = []
    loader = wg.utils.data.DataLoader(range(20), batch_size=3, num_workers=3, worker_init_fn=seen.append)
    assert [batch.tolist() for batch in loader] == [list(range(i, min(i + 3, 20))) for i in range(0, 20, 3)]
    assert sorted(seen) == [0, 1, 2]

    class Shared(wg.utils.data.IterableDataset):
        def __iter__(self):
            info = wg.utils.data.get_worker_info()
            return iter(range(info.id, 10, info.num_workers))

    batches = [batch.tolist() for batch in wg.utils.data.DataLoader(Shared(), batch_size=2, num_workers=2)]
    assert sorted(i for batch in batches for i in batch) == list(range(10))
    assert batches[0] == [0, 2] and batches[1] == [1, 3]
    assert wg.utils.data.get_worker_info() is None

    class Broken(wg.utils.data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, i):
            if i == 5:
                raise KeyError("sample 5")
            return i

    with pytest.raises(KeyError, match="sample 5"):
        list(wg.utils.data.DataLoader(Broken(), batch_size=2, num_workers=2))
    with pytest.raises(KeyError, match="sample 5"):
        list(wg.utils.data.DataLoader(Broken(), batch_size=2))


def test_a_slow_worker_times_out():
    import time

    class Slow(wg.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            time.sleep(0.5)
            return i

    with pytest.raises(RuntimeError, match="timed out"):
        list(wg.utils.data.DataLoader(Slow(), num_workers=1, timeout=0.05))


def test_getitems_is_used():
    class Together(wg.utils.data.Dataset):
        def __len__(self):
            return 5

        def __getitems__(self, indices):
            return [10 * i for i in indices]

    assert [b.tolist() for b in wg.utils.data.DataLoader(Together(), batch_size=2)] == [
        [0, 10],
        [20, 30],
        [40],
    ]


def test_batch_sampler_and_custom_collate():
    def program(lib):
        d = lib_data(lib)
        loader = d.DataLoader(range(6), batch_sampler=[[5, 1], [2]], collate_fn=lambda samples: samples)
        return [list(loader), len(loader), loader.batch_size]

    both(program)


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"shuffle": True, "sampler": [1]},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"persistent_workers": True},
    ],
)
def test_refused_options(options):
    _, theirs = both(lambda lib: lib_data(lib).DataLoader(range(4), **options))
    assert isinstance(theirs, ValueError)


def test_streams_refuse_orders():
    _, theirs = both(lambda lib: lib_data(lib).DataLoader(Count.make(lib, 3), shuffle=True))
    assert isinstance(theirs, ValueError)


def test_batches_are_plain_tensors():
    batch = next(iter(wg.utils.data.DataLoader(moons_like(wg), batch_size=4)))
    same(batch, next(iter(torch.utils.data.DataLoader(moons_like(torch), batch_size=4))))
    assert isinstance(batch, list) and all(type(t) is wg.Tensor for t in batch)
