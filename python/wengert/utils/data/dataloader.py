"""DataLoader: batches of a dataset's samples."""

from functools import partial
from itertools import islice, repeat

from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, random_seed


class _Endless:
    """The sampler of a stream, which decides itself how long it is."""

    def __iter__(self):
        return repeat(None)


def _fetcher(collate, batched, dataset):
    """The function from an index (or a list of them, `batched`) to a batch."""
    if not batched:
        return lambda index: collate(dataset[index])
    together = getattr(dataset, "__getitems__", None)
    if together is not None:
        return lambda indices: collate(together(indices))
    return lambda indices: collate([dataset[i] for i in indices])


def _stream_fetcher(collate, batched, least, dataset):
    """The function from a sampler's word to the stream's next sample, or (`batched`) its next few, `least` or more."""
    samples = iter(dataset)
    if not batched:
        return lambda _: collate(next(samples))

    def fetch(indices):
        batch = list(islice(samples, len(indices)))
        if len(batch) < least:
            raise StopIteration
        return collate(batch)

    return fetch


class DataLoader:
    """Reads a dataset batch by batch.

    Args:
        dataset: with `__getitem__` and `__len__`, or an IterableDataset.
        batch_size: samples a batch; None for single samples.
        shuffle: read in a new random order each time.
        sampler, batch_sampler: give the indices, or lists of them, instead.
        num_workers: threads that read ahead; 0 reads when asked.
        collate_fn: makes a batch of a list of samples.
        drop_last: leave out a last batch that is not full.
        worker_init_fn: called with its number in each worker.
        generator: draws the order and the workers' seeds.
        prefetch_factor: batches each worker reads ahead (2).
        persistent_workers: keep the workers, and with them their datasets and seeds, from pass to pass.
        pin_memory, multiprocessing_context, in_order: accepted; without effect here.

    Example:
        >>> import wengert as wg
        >>> from wengert.utils.data import DataLoader, TensorDataset
        >>> for x, y in DataLoader(TensorDataset(wg.ones(3, 2), wg.arange(3)), batch_size=2):
        ...     print(tuple(x.shape), y)
        (2, 2) tensor([0, 1])
        (1, 2) tensor([2])
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self._stream = isinstance(dataset, IterableDataset)
        if self._stream:
            if shuffle not in (False, None):
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}"
                )
            for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
                if given is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={given}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._stream:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        # Kept from pass to pass only if they are persistent.
        self._workers = None

    def __getstate__(self):
        return {**self.__dict__, "_workers": None}

    def __class_getitem__(cls, item):
        return cls

    @property
    def _index_sampler(self):
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def _fetcher(self):
        """The function from a dataset to the function that reads a batch of it; it does not hold the loader."""
        if self._stream:
            least = self.batch_size if self.drop_last else 1
            return partial(_stream_fetcher, self.collate_fn, self.batch_sampler is not None, least)
        return partial(_fetcher, self.collate_fn, self.batch_sampler is not None)

    def __iter__(self):
        batches = iter(self._index_sampler)
        # A seed is drawn even if no worker needs it, before the order is: torch's numbers depend on it.
        if not self.num_workers:
            random_seed(self.generator)
            return _Iterator(self, batches)
        from .worker import WorkerIterator, Workers

        workers = self._workers
        if workers is None:
            workers = Workers(self, random_seed(self.generator))
            self._workers = workers if self.persistent_workers else None
        return WorkerIterator(self, workers, batches)

    def __len__(self):
        if not self._stream:
            return len(self._index_sampler)
        length = len(self.dataset)
        if self.batch_size is None:
            return length
        whole, rest = divmod(length, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


class _Iterator:
    """One pass over the batches, each read when asked for."""

    __slots__ = ("_batches", "_fetch", "_loader")

    def __init__(self, loader, batches):
        self._batches = batches
        self._loader = loader
        self._fetch = loader._fetcher()(loader.dataset)

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._loader)

    def __next__(self):
        return self._fetch(next(self._batches))
