"""Special functions that are Tensor's methods, too. What computes them loads on first use."""

from ._compose import composed


@composed(inplace=True, out="cast")
def i0(input):
    """The modified Bessel function of the first kind; see :func:`wengert.special.i0`.

    Example:
        >>> wg.i0(wg.tensor([0., 1.]))
        tensor([1.0000, 1.2661])
    """
    from .. import special

    return special.i0(input)


@composed(inplace=True, out="cast")
def igamma(input, other):
    """The regularized lower incomplete gamma function; see :func:`wengert.special.gammainc`.

    Example:
        >>> wg.igamma(wg.tensor([1.]), wg.tensor([1.]))
        tensor([0.6321])
    """
    from .. import special

    return special.gammainc(input, other)


@composed(inplace=True, out="cast")
def igammac(input, other):
    """The regularized upper incomplete gamma function; see :func:`wengert.special.gammaincc`.

    Example:
        >>> wg.igammac(wg.tensor([1.]), wg.tensor([1.]))
        tensor([0.3679])
    """
    from .. import special

    return special.gammaincc(input, other)
