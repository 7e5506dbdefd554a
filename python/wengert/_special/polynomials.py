"""Orthogonal polynomials by their three-term recurrences (Abramowitz and Stegun, 22.7).

Degrees may differ from element to element; negative ones give 0, fractions are cut off. Each step is a
differentiable operation, so that derivatives by x are exact to any order.
"""

from .. import _core
from .._functions._dims import broadcast_sizes
from ._define import numbers_too, with_out


def _polynomial(name, first, step, summary, formula, example, shifted=False):
    """Defines a function (x, n); `first(x)` is the polynomial of degree 1, `step(k, x, last, before)` the next."""

    def polynomial(input, n):
        x, degree = numbers_too(name, input, n)
        shape = broadcast_sizes(x.shape, degree.shape)
        x, degree = x.expand(shape), degree.detach().expand(shape).trunc()
        u = 2 * x - 1 if shifted else x
        before, last = _core.ones_like(u), first(u)
        value = _core.where(degree < 0, 0.0, _core.where(degree == 0, before, last))
        for k in range(1, int(degree.max()) if degree.numel() else 0):
            before, last = last, step(k, u, last, before)
            value = _core.where(degree == k + 1, last, value)
        return value

    polynomial.__name__ = polynomial.__qualname__ = name
    polynomial.__doc__ = f"""{summary}: {formula}.

    Args:
        input, n: x and the degree, which broadcast; one of them may be a number.

    Example:
        >>> wg.special.{name}(wg.tensor([0., 0.5, 2.]), 2)
        {example}
    """
    return with_out(polynomial)


def _chebyshev_step(k, x, last, before):
    return 2 * x * last - before


_KINDS = (
    (
        "t",
        lambda x: x,
        "first",
        "cos(n·acos x)",
        "tensor([-1.0000, -0.5000,  7.0000])",
        "tensor([ 1., -1., 17.])",
    ),
    (
        "u",
        lambda x: 2 * x,
        "second",
        "sin((n + 1)·acos x) / sin(acos x)",
        "tensor([-1.,  0., 15.])",
        "tensor([ 3., -1., 35.])",
    ),
    (
        "v",
        lambda x: 2 * x - 1,
        "third",
        "cos((n + ½)·acos x) / cos(½·acos x)",
        "tensor([-1., -1., 11.])",
        "tensor([ 5., -1., 29.])",
    ),
    (
        "w",
        lambda x: 2 * x + 1,
        "fourth",
        "sin((n + ½)·acos x) / sin(½·acos x)",
        "tensor([-1.,  1., 19.])",
        "tensor([ 1., -1., 41.])",
    ),
)
for _kind, _first, _word, _formula, _plain, _moved in _KINDS:
    for _prefix, _shown in (("", _plain), ("shifted_", _moved)):
        _name = f"{_prefix}chebyshev_polynomial_{_kind}"
        _at = f"{_formula}, at 2x − 1 for x" if _prefix else _formula
        _summary = f"Chebyshev's polynomial of the {_word} kind"
        globals()[_name] = _polynomial(
            _name, _first, _chebyshev_step, _summary, _at, _shown, shifted=bool(_prefix)
        )

hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h",
    lambda x: 2 * x,
    lambda k, x, last, before: 2 * (x * last - k * before),
    "Hermite's polynomial of physics",
    "orthogonal under e^(−x²)",
    "tensor([-2., -1., 14.])",
)
hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he",
    lambda x: x,
    lambda k, x, last, before: x * last - k * before,
    "Hermite's polynomial of probability",
    "orthogonal under e^(−x² / 2)",
    "tensor([-1.0000, -0.7500,  3.0000])",
)
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l",
    lambda x: 1 - x,
    lambda k, x, last, before: ((2 * k + 1 - x) * last - k * before) / (k + 1),
    "Laguerre's polynomial",
    "orthogonal under e⁻ˣ from 0 on",
    "tensor([ 1.0000,  0.1250, -1.0000])",
)
legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p",
    lambda x: x,
    lambda k, x, last, before: ((2 * k + 1) * x * last - k * before) / (k + 1),
    "Legendre's polynomial",
    "orthogonal on [−1, 1]",
    "tensor([-0.5000, -0.1250,  5.5000])",
)
