"""Datasets side by side."""

from .dataset import Dataset


class StackDataset(Dataset):
    """Tuples of the samples of datasets of one length, or dicts where they are given by name.

    Raises:
        ValueError: for datasets by place and by name at once, for none, or for unequal lengths.

    Example:
        >>> import wengert as wg
        >>> wg.utils.data.StackDataset(number=range(3), letter="abc")[1]
        {'number': 1, 'letter': 'b'}
    """

    def __init__(self, *args, **kwargs):
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like input/output, "
                "but both types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets = args or kwargs
        sizes = {len(d) for d in self._parts()}
        if len(sizes) != 1:
            raise ValueError("Size mismatch between datasets")
        (self._length,) = sizes

    def _parts(self):
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def _together(self, samples):
        samples = tuple(samples)
        return dict(zip(self.datasets, samples, strict=True)) if isinstance(self.datasets, dict) else samples

    def __getitem__(self, index):
        return self._together(dataset[index] for dataset in self._parts())

    def __getitems__(self, indices):
        """The samples at several indices, read at once from the datasets that can."""
        columns = []
        for dataset in self._parts():
            read = getattr(dataset, "__getitems__", None)
            columns.append(read(indices) if callable(read) else [dataset[i] for i in indices])
            if len(columns[-1]) != len(indices):
                raise ValueError(
                    f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(columns[-1])}"
                )
        return [self._together(row) for row in zip(*columns, strict=True)]

    def __len__(self):
        return self._length
