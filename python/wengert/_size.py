"""The shape of a tensor: a tuple that prints as PyTorch's."""


def _integers(sizes):
    """The sizes as ints: what Python counts with, but no floats."""
    for i, size in enumerate(sizes):
        if not hasattr(size, "__index__"):
            raise TypeError(f"torch.Size() takes an iterable of 'int' (item {i} is '{type(size).__name__}')")
    return [size.__index__() for size in sizes]


class Size(tuple):
    """A tuple of sizes.

    Example:
        >>> wg.ones(2, 3).shape
        torch.Size([2, 3])
    """

    __slots__ = ()

    def __new__(cls, sizes=()):
        sizes = tuple(sizes)
        for size in sizes:
            if type(size) is not int:
                return tuple.__new__(cls, _integers(sizes))
        return tuple.__new__(cls, sizes)

    # For the core, which has checked its sizes: past `__new__`, whose Python would cost more than the rest.
    _of_checked = classmethod(tuple.__new__)

    def __repr__(self):
        return f"torch.Size([{', '.join(map(str, self))}])"

    def numel(self):
        """The number of elements of a tensor of this shape.

        Example:
            >>> wg.Size([2, 3]).numel()
            6
        """
        total = 1
        for size in self:
            total *= size
        return total

    def __getitem__(self, key):
        part = tuple.__getitem__(self, key)
        return Size(part) if isinstance(key, slice) else part

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self):
        return Size, (tuple(self),)
