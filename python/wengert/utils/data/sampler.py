"""Samplers: in which order a dataset's indices are read.

Random ones draw as torch's do, on the CPU, so that the order is the same whichever device is the default one.
"""

from bisect import bisect_left
from itertools import accumulate, islice

from wengert import _core


class Sampler:
    """Base of samplers: define `__iter__`, which gives indices, and `__len__`."""

    def __init__(self, data_source=None):
        del data_source

    def __class_getitem__(cls, item):
        return cls

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler):
    """0, 1, 2, …"""

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """Indices in random order.

    Args:
        replacement: draw each anew, so that some come several times.
        num_samples: how many; the dataset's length if left out.
        generator: if left out, a fresh one seeded from the default generator.

    Example:
        >>> import wengert as wg
        >>> sorted(wg.utils.data.RandomSampler(range(4)))
        [0, 1, 2, 3]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={self.num_samples}"
            )

    @property
    def num_samples(self):
        """How many indices one pass gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        n = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = _core.Generator()
            generator.manual_seed(random_seed())
        if self.replacement:
            left = self.num_samples
            # Batches of 32 and a last one, even an empty one: that is how the generator is used up.
            for size in [32] * (left // 32) + [left % 32]:
                yield from _core.randint(0, n, (size,), generator=generator, device="cpu").tolist()
            return
        whole, rest = divmod(self.num_samples, n)
        for _ in range(whole):
            yield from _core.randperm(n, generator=generator, device="cpu").tolist()
        yield from _core.randperm(n, generator=generator, device="cpu").tolist()[:rest]

    def __len__(self):
        return self.num_samples


def random_seed(generator=None):
    """A seed drawn as an int64 from the default generator, or from `generator`."""
    return _core.empty((), dtype=_core.int64, device="cpu").random_(generator=generator).item()


class SubsetRandomSampler(Sampler):
    """Given indices in random order."""

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for i in _core.randperm(len(self.indices), generator=self.generator, device="cpu").tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices 0 … n−1 drawn with probabilities proportional to n weights."""

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={num_samples}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = _core.as_tensor(weights, dtype=_core.float64)
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self):
        weights = self.weights
        values = weights.tolist()
        if not all(0 <= w < float("inf") for w in values) or sum(values) <= 0:
            raise RuntimeError(
                "invalid multinomial distribution: weights must be finite, not negative, and not all 0"
            )
        if self.replacement and self.num_samples > 1:
            total = sum(values)
            # The last bound is infinite, so that rounding never leaves a draw without its place.
            bounds = [*(end / total for end in accumulate(values[:-1])), float("inf")]
            draws = _core.rand(
                self.num_samples, dtype=_core.float64, generator=self.generator, device="cpu"
            ).tolist()
            return iter([bisect_left(bounds, draw) for draw in draws])
        if not self.replacement and self.num_samples > len(values):
            raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
        # The smallest of exponential waiting times of these rates: draws without replacement.
        waits = _core.empty_like(weights).exponential_(1, generator=self.generator)
        return iter((weights / waits).topk(self.num_samples)[1].tolist())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of `batch_size` indices of another sampler.

    Example:
        >>> import wengert as wg
        >>> list(wg.utils.data.BatchSampler(range(5), 2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        least = self.batch_size if self.drop_last else 1
        while len(batch := list(islice(indices, self.batch_size))) >= least:
            yield batch

    def __len__(self):
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)
