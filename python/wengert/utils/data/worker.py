"""Worker threads that read batches ahead of the training loop, in a fixed order."""

import threading
from queue import Empty, SimpleQueue

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


def _serve(info, init, make_fetch, tasks, results):
    _local.info = info
    try:
        if init is not None:
            init(info.id)
        fetch = make_fetch()
    except BaseException as error:
        results.put(_Failure(error))
        return
    while (task := tasks.get()) is not _END:
        try:
            results.put(fetch(task))
        except StopIteration:
            results.put(_END)
            return
        except BaseException as error:
            results.put(_Failure(error))
            return


class WorkerIterator:
    """Hands batch i to worker i mod n and gives the results back in that order."""

    def __init__(self, loader, batches, base_seed, make_fetch, stream):
        count = loader.num_workers
        self._batches = batches
        self._results = [SimpleQueue() for _ in range(count)]
        self._tasks = [SimpleQueue() for _ in range(count)]
        # A stream's workers may end at different times; the others go on.
        self._alive = list(range(count))
        self._stream = stream
        self._turn = 0
        self._pending = [0] * count
        self._loader = loader
        self._timeout = loader.timeout or None
        for i in range(count):
            info = WorkerInfo(i, count, base_seed + i, loader.dataset)
            args = (info, loader.worker_init_fn, make_fetch, self._tasks[i], self._results[i])
            threading.Thread(target=_serve, args=args, name=f"wengert-data-{i}", daemon=True).start()
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
                self.close()
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
            if result is _END:
                self._pending[i] = 0
                self._alive.remove(i)
                continue
            if isinstance(result, _Failure):
                self.close()
                raise result.error
            self._pending[i] -= 1
            self._refill(i)
            return result
        self.close()
        raise StopIteration

    def _refill(self, i):
        task = next(self._batches, _END)
        if task is not _END:
            self._tasks[i].put(task)
            self._pending[i] += 1

    def close(self):
        """Let the workers end."""
        for tasks in self._tasks:
            tasks.put(_END)
        self._pending = [0] * len(self._pending)

    def __del__(self):
        if hasattr(self, "_tasks"):
            self.close()
