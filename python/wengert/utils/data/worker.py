"""Worker threads that read batches ahead of the training loop, in a fixed order."""

import threading
from copy import copy
from queue import Empty, SimpleQueue

from .dataset import Dataset

_local = threading.local()
_END = object()


class WorkerInfo:
    """Who the calling worker is: id, num_workers, seed and dataset."""

    __slots__ = ("dataset", "id", "num_workers", "seed")

    def __init__(self, id, num_workers, seed, dataset):
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset

    def __repr__(self):
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed}, dataset={self.dataset!r})"


def get_worker_info():
    """In a DataLoader's worker, its WorkerInfo; elsewhere None."""
    return getattr(_local, "info", None)


class _Failure:
    __slots__ = ("error",)

    def __init__(self, error):
        self.error = error


class _Pass:
    """The task of beginning a pass over the data, whose batches go into `results`."""

    __slots__ = ("results",)

    def __init__(self, results):
        self.results = results


def _serve(info, init, make_fetch, tasks):
    """What a worker does until it is told to end."""
    _local.info = info
    failure = fetch = results = None
    try:
        if init is not None:
            init(info.id)
    except BaseException as error:
        failure = _Failure(error)
    while (task := tasks.get()) is not _END:
        try:
            if isinstance(task, _Pass):
                results, fetch = task.results, None
                if failure is not None:
                    results.put(failure)
                else:
                    fetch = make_fetch(info.dataset)
            elif fetch is not None:
                results.put(fetch(task))
        except StopIteration:
            # A stream that is over; what was asked of it beyond is passed over.
            fetch = None
            results.put(_END)
        except BaseException as error:
            fetch = None
            results.put(_Failure(error))


class Workers:
    """A loader's threads. They hold neither it nor its iterators, and end when this is let go."""

    def __init__(self, loader, base_seed):
        count = loader.num_workers
        self.tasks = [SimpleQueue() for _ in range(count)]
        for i, tasks in enumerate(self.tasks):
            dataset = loader.dataset
            # Each has a dataset of its own, as in a process of its own: worker_init_fn may change its attributes.
            dataset = copy(dataset) if isinstance(dataset, Dataset) else dataset
            info = WorkerInfo(i, count, base_seed + i, dataset)
            args = (info, loader.worker_init_fn, loader._fetcher(), tasks)
            threading.Thread(target=_serve, args=args, name=f"wengert-data-{i}", daemon=True).start()

    def begin(self):
        """A new pass over the data; its results, a queue for each worker."""
        results = [SimpleQueue() for _ in self.tasks]
        for tasks, queue in zip(self.tasks, results, strict=True):
            tasks.put(_Pass(queue))
        return results

    def close(self):
        """Let the workers end."""
        for tasks in self.tasks:
            tasks.put(_END)

    def __del__(self):
        if hasattr(self, "tasks"):
            self.close()


class WorkerIterator:
    """Hands batch i to worker i mod n and gives the results back in that order."""

    def __init__(self, loader, workers, batches):
        count = loader.num_workers
        self._batches = batches
        self._workers = workers
        self._tasks = workers.tasks
        self._results = workers.begin()
        # A stream's workers may end at different times; the others go on.
        self._alive = list(range(count))
        self._turn = 0
        self._pending = [0] * count
        self._loader = loader
        self._timeout = loader.timeout or None
        ahead = 2 if loader.prefetch_factor is None else loader.prefetch_factor
        self._next_worker = 0
        for _ in range(ahead * count):
            self._send()

    def _send(self):
        task = next(self._batches, _END)
        if task is _END or not self._alive:
            return
        i = self._alive[self._next_worker % len(self._alive)]
        self._next_worker += 1
        self._tasks[i].put(task)
        self._pending[i] += 1

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._loader)

    def __next__(self):
        while any(self._pending):
            i = self._turn % len(self._pending)
            self._turn += 1
            if not self._pending[i]:
                continue
            try:
                result = self._results[i].get(timeout=self._timeout)
            except Empty:
                self._fail()
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
            if result is _END:
                self._pending[i] = 0
                self._alive.remove(i)
                continue
            if isinstance(result, _Failure):
                self._fail()
                raise result.error
            self._pending[i] -= 1
            self._refill(i)
            return result
        self._workers = None
        raise StopIteration

    def _refill(self, i):
        task = next(self._batches, _END)
        if task is not _END:
            self._tasks[i].put(task)
            self._pending[i] += 1

    def _fail(self):
        """Read no further; a later pass gets new workers."""
        self._pending = [0] * len(self._pending)
        self._loader._workers = self._workers = None
