"""What complex numbers, storages and devices add to the interface, for tensors that have none of them."""

import math

from .. import _core
from ._compose import composed


@composed()
def is_conj(input):
    """False: there are no complex numbers here, and so no conjugates.

    Example:
        >>> wg.is_conj(wg.ones(1))
        False
    """
    return False


@composed()
def is_neg(input):
    """False: no tensor is kept as the negative of another.

    Example:
        >>> wg.is_neg(wg.ones(1))
        False
    """
    return False


@composed()
def is_distributed(input):
    """False: all memory is this process's.

    Example:
        >>> wg.is_distributed(wg.ones(1))
        False
    """
    return False


@composed(method=False)
def is_storage(obj):
    """False: storages are no objects here.

    Example:
        >>> wg.is_storage(wg.ones(1))
        False
    """
    return False


@composed(method=False)
def get_device(input):
    """The number of the device, -1 for the CPU.

    Example:
        >>> wg.get_device(wg.ones(1))
        -1
    """
    return input.get_device()


@composed(aliases=("conj_physical", "resolve_conj", "resolve_neg"))
def conj(input):
    """The tensor itself: it is real.

    Example:
        >>> wg.conj(wg.tensor([2.]))
        tensor([2.])
    """
    return input


@composed(method=False)
def real(input):
    """The tensor itself: it is real.

    Example:
        >>> wg.real(wg.tensor([2.]))
        tensor([2.])
    """
    return input


@composed(out="cast")
def angle(input):
    """0 where the number is not negative, π where it is: a float tensor.

    Example:
        >>> wg.angle(wg.tensor([1., -1.]))
        tensor([0.0000, 3.1416])
    """
    if not input.is_floating_point():
        input = input.to(_core.get_default_dtype())
    return _core.where(input.isnan(), input, (input < 0).to(input.dtype) * math.pi)
