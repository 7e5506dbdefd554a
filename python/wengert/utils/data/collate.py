"""Making a batch out of samples."""

from collections.abc import Mapping, Sequence

from wengert import _core
from wengert._core import Tensor, stack

_STRINGS = (str, bytes)


def default_collate(batch):
    """Stack a list of samples: tensors, numpy arrays and numbers become tensors, in tuples and dicts each by itself.

    Example:
        >>> import wengert as wg
        >>> wg.utils.data.default_collate([(wg.tensor([1.0]), 0), (wg.tensor([2.0]), 1)])
        [tensor([[1.],
                [2.]]), tensor([0, 1])]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch, 0)
    kind = type(first)
    if kind is tuple or kind is list:
        return _collate_fields(batch, first)
    if kind.__module__ == "numpy":
        return _collate_numpy(batch, first)
    if isinstance(first, float):
        return _core.tensor(batch, dtype=_core.float64)
    if isinstance(first, int):
        return _core.tensor(batch)
    if isinstance(first, _STRINGS):
        return batch
    if isinstance(first, Mapping):
        fields = {key: default_collate([sample[key] for sample in batch]) for key in first}
        try:
            made = kind(fields)
        except TypeError:
            return fields
        return made
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(default_collate(list(values)) for values in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        return _collate_fields(batch, first)
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}"
    )


def _collate_fields(batch, first):
    length = len(first)
    for sample in batch:
        if len(sample) != length:
            raise RuntimeError("each element in list of batch should be of equal size")
    return [default_collate(values) for values in zip(*batch, strict=True)]


def _collate_numpy(batch, first):
    if not hasattr(first, "shape"):
        raise TypeError(f"default_collate: cannot make a tensor of {type(first)}")
    if first.shape == ():
        return _core.as_tensor(list(batch))
    if first.dtype.kind in "SUO":
        raise TypeError(
            "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
            f"found {first.dtype}"
        )
    return stack([_core.as_tensor(array) for array in batch], 0)


def default_convert(data):
    """Turn numpy arrays into tensors, in tuples and dicts too; used where nothing is batched."""
    kind = type(data)
    if isinstance(data, (Tensor, *_STRINGS)):
        return data
    if kind.__module__ == "numpy" and hasattr(data, "dtype"):
        return data if data.dtype.kind in "SUO" else _core.as_tensor(data)
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*(default_convert(value) for value in data))
    if isinstance(data, Sequence):
        return [default_convert(value) for value in data]
    return data
