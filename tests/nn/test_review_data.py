"""Workers: their seeds, their own datasets and their lives, against PyTorch's processes."""

import gc
import threading
import time

import pytest
import wengert as wg
from wengert.utils import data as wg_data

torch = pytest.importorskip("torch")


class Seeds(torch.utils.data.Dataset):
    """Says which worker read each sample, and with which seed."""

    lib = torch

    def __len__(self):
        return 6

    def __getitem__(self, i):
        info = self.lib.utils.data.get_worker_info()
        return i, info.id, info.seed, info.num_workers


class OurSeeds(wg_data.Dataset):
    lib = wg
    __len__, __getitem__ = Seeds.__len__, Seeds.__getitem__


def seeds(m, **options):
    m.manual_seed(7)
    dataset = Seeds() if m is torch else OurSeeds()
    loader = m.utils.data.DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=list, **options)
    passes = [list(loader) for _ in range(3)]
    return passes, m.rand(2).tolist()


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_seeds_and_what_the_loader_draws(persistent, shuffle):
    options = {"persistent_workers": persistent, "shuffle": shuffle}
    assert seeds(wg, **options) == seeds(torch, **options)


def test_initial_seed_of_a_worker_is_its_own():
    seen = {}

    def init(worker):
        info = wg_data.get_worker_info()
        seen[worker] = (info.seed, wg.initial_seed(), wg.random.initial_seed())

    wg.manual_seed(3)
    list(wg_data.DataLoader(range(4), num_workers=2, worker_init_fn=init))
    assert sorted(seen) == [0, 1]
    assert all(len(set(found)) == 1 for found in seen.values())
    assert seen[1][0] == seen[0][0] + 1
    assert wg.initial_seed() == 3


def streams(m):
    """The example of PyTorch's documentation: each worker narrows its own dataset."""

    class Range(m.utils.data.IterableDataset):
        def __init__(self):
            super().__init__()
            self.start, self.end = 0, 7

        def __iter__(self):
            return iter(range(self.start, self.end))

    def init(worker):
        dataset = m.utils.data.get_worker_info().dataset
        dataset.start, dataset.end = worker * 4, min(worker * 4 + 4, 7)

    dataset = Range()
    loader = m.utils.data.DataLoader(dataset, num_workers=2, worker_init_fn=init)
    return sorted(int(x) for x in loader), dataset.start, dataset.end


def test_worker_init_fn_changes_its_own_dataset():
    assert streams(wg) == streams(torch) == ([0, 1, 2, 3, 4, 5, 6], 0, 7)


class Stream(wg_data.IterableDataset):
    def __iter__(self):
        info = wg_data.get_worker_info()
        return iter(range(info.id, 9, info.num_workers))


@pytest.mark.parametrize("dataset", [range(9), Stream()], ids=["map", "stream"])
def test_persistent_workers_serve_pass_after_pass(dataset):
    born = []
    loader = wg_data.DataLoader(
        dataset, batch_size=2, num_workers=2, worker_init_fn=born.append, persistent_workers=True
    )
    first = [b.tolist() for b in loader]
    for _ in range(3):
        # A pass that is left early does not leak into the next.
        next(iter(loader))
        assert [b.tolist() for b in loader] == first
    assert sorted(born) == [0, 1]
    assert sorted(i for b in first for i in b) == list(range(9))


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("wengert-data")]


@pytest.mark.parametrize("persistent", [False, True])
def test_threads_end_with_their_loader(persistent):
    loader = wg_data.DataLoader(range(9), num_workers=2, persistent_workers=persistent)
    iterator = iter(loader)
    next(iterator)
    assert len(workers()) >= 2
    del loader, iterator
    gc.collect()
    deadline = time.monotonic() + 10
    while workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workers() == []


def test_after_an_error_persistent_workers_are_new():
    class Broken(wg_data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            if i == 2:
                raise KeyError("sample 2")
            return i

    loader = wg_data.DataLoader(Broken(), num_workers=2, persistent_workers=True)
    for _ in range(2):
        with pytest.raises(KeyError, match="sample 2"):
            list(loader)

    def failing(worker):
        raise ValueError("no start")

    loader = wg_data.DataLoader(range(4), num_workers=1, worker_init_fn=failing)
    with pytest.raises(ValueError, match="no start"):
        list(loader)


def test_a_loader_with_workers_is_pickled_without_them():
    import pickle

    loader = wg_data.DataLoader(range(4), num_workers=1, persistent_workers=True)
    list(loader)
    again = pickle.loads(pickle.dumps(loader))
    assert [b.tolist() for b in again] == [[0], [1], [2], [3]]
