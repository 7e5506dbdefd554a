"""A dataset's indices dealt out to several processes."""

import math

from wengert import _core

from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler):
    """Every `num_replicas`-th index from `rank` on, in an order that all replicas share.

    Args:
        num_replicas, rank: how many processes there are, and which this is; both must be given here.
        shuffle: a new order each epoch (see `set_epoch`), drawn from `seed`.
        drop_last: leave out the tail that does not go round, instead of repeating some indices.

    Raises:
        RuntimeError: without `num_replicas` or `rank`, as no process group can tell them.
        ValueError: if `rank` is not below `num_replicas`.

    Example:
        >>> import wengert as wg
        >>> list(wg.utils.data.DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
        [1, 3, 0]
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            raise RuntimeError("DistributedSampler: give num_replicas and rank, as there is no process group")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        count = len(dataset)
        self.num_samples = count // num_replicas if drop_last else math.ceil(count / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self):
        if self.shuffle:
            generator = _core.Generator().manual_seed(self.seed + self.epoch)
            indices = _core.randperm(len(self.dataset), generator=generator, device="cpu").tolist()
        else:
            indices = list(range(len(self.dataset)))
        if indices:
            # Round again from the start where the dataset does not go round.
            indices = (indices * math.ceil(self.total_size / len(indices)))[: self.total_size]
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Choose the order of this epoch."""
        self.epoch = epoch
