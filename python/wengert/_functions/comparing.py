"""Comparisons of whole tensors and membership."""

from .. import _core
from ._compose import composed
from ._dims import wide_float


@composed()
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Where |input - other| ≤ atol + rtol·|other|; infinities only equal themselves.

    Example:
        >>> wg.isclose(wg.tensor([1., 2.]), wg.tensor([1., 2.1]))
        tensor([ True, False])
    """
    if input.dtype != other.dtype:
        raise RuntimeError(f"{_name(input)} did not match {_name(other)}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    input, other = input.detach(), other.detach()
    close = input == other
    floating = input.is_floating_point()
    if floating and equal_nan:
        close = close | (input.isnan() & other.isnan())
    if rtol == 0 and atol == 0:
        return close
    if not floating:
        wide = wide_float(input)
        input, other = input.to(wide), other.to(wide)
    error = (input - other).abs()
    return close | ((error <= atol + (rtol * other).abs()) & error.isfinite())


def _name(x):
    return x.type().removeprefix("torch.").removesuffix("Tensor")


@composed()
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether :func:`isclose` holds everywhere.

    Example:
        >>> wg.allclose(wg.tensor([1.]), wg.tensor([1.00000001]))
        True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@composed()
def equal(input, other):
    """Whether both have the same shape and the same elements.

    Example:
        >>> wg.equal(wg.tensor([1, 2]), wg.tensor([1, 2]))
        True
    """
    if not isinstance(other, _core.Tensor):
        raise TypeError(f"equal(): argument 'other' must be Tensor, not {type(other).__name__}")
    return input.shape == other.shape and bool((input.detach() == other.detach()).all())


@composed(keywords={"element": "elements", "test_element": "test_elements"}, method=False, out=True)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Which elements occur in `test_elements`.

    Example:
        >>> wg.isin(wg.tensor([1, 2, 3]), wg.tensor([2]))
        tensor([False,  True, False])
    """
    from .ordering import searchsorted

    if not isinstance(elements, _core.Tensor) and not isinstance(test_elements, _core.Tensor):
        raise TypeError("isin(): elements or test_elements must be a Tensor")
    if not isinstance(elements, _core.Tensor):
        elements = _core.tensor(elements, device=test_elements.device)
    if not isinstance(test_elements, _core.Tensor):
        test_elements = _core.tensor(test_elements, device=elements.device)
    dtype = _core.promote_types(elements.dtype, test_elements.dtype)
    elements, ordered = elements.to(dtype), _core.sort(test_elements.to(dtype).reshape(-1))[0]
    if ordered.numel() == 0:
        found = _core.zeros_like(elements, dtype=_core.bool)
    else:
        place = searchsorted(ordered, elements).clamp(max=ordered.numel() - 1)
        found = ordered.index_select(0, place.reshape(-1)).reshape(elements.shape) == elements
    return ~found if invert else found


@composed()
def isreal(input):
    """True everywhere: there are no complex numbers here.

    Example:
        >>> wg.isreal(wg.tensor([1.]))
        tensor([True])
    """
    return _core.ones_like(input, dtype=_core.bool)


@composed()
def is_same_size(input, other):
    """Whether both shapes are equal.

    Example:
        >>> wg.ones(2).is_same_size(wg.ones(3))
        False
    """
    return input.shape == other.shape


@composed(method=False)
def is_tensor(obj):
    """Whether `obj` is a Tensor.

    Example:
        >>> wg.is_tensor([1])
        False
    """
    return isinstance(obj, _core.Tensor)


@composed()
def is_nonzero(input):
    """Whether the one element of `input` is not 0.

    Example:
        >>> wg.is_nonzero(wg.tensor(2))
        True
    """
    if input.numel() != 1:
        raise RuntimeError(
            "Boolean value of Tensor with more than one value is ambiguous"
            if input.numel()
            else "Boolean value of Tensor with no values is ambiguous"
        )
    return bool(input.item())
