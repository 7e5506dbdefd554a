"""Einstein summation: parse the equation, then contract pairs of operands by batched matmul."""

from .. import _core
from ._compose import composed
from ._dims import product

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _letter(index):
    if not 0 <= index < 52:
        raise RuntimeError(f"einsum(): subscripts must be within [0, 52), got {index}")
    return _LETTERS[index]


def _from_sublists(args):
    """einsum(a, [0, 1], b, [1, 2], [0, 2]) as equation and operands."""

    def text(sub):
        return "".join("..." if s is Ellipsis else _letter(s) for s in sub)

    operands, terms = list(args[0 : len(args) - len(args) % 2 : 2]), [text(s) for s in args[1::2]]
    equation = ",".join(terms)
    if len(args) % 2:
        equation += "->" + text(args[-1])
    return equation, operands


def _labels(term, count, ndim):
    """Labels of one operand's dims; dims under the ellipsis are negative ints, counted from the right."""
    head, dots, tail = term.partition("...")
    for part in (head, tail):
        for symbol in part:
            if symbol not in _LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {term.index(symbol)} in the equation "
                    f"string, subscripts must be in [a-zA-Z], got {symbol!r}"
                )
    hidden = ndim - len(head) - len(tail)
    if hidden < 0 or (hidden and not dots):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(head) + len(tail)}) "
            f"{'is more than' if hidden < 0 else 'does not match'} the number of dimensions ({ndim}) "
            f"for operand {count}{'' if dots else ' and no ellipsis was given'}"
        )
    return [*head, *range(-hidden, 0), *tail]


def parse(equation, ndims):
    """(labels of each operand, labels of the output)."""
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        few = "fewer" if len(ndims) > len(terms) else "more"
        raise RuntimeError(
            f"einsum(): {few} subscripts than operands: {len(terms)} terms in {equation!r} for "
            f"{len(ndims)} operands"
        )
    inputs = [_labels(t, i, n) for i, (t, n) in enumerate(zip(terms, ndims, strict=True))]
    used = [label for labels in inputs for label in labels]
    hidden = sorted({label for label in used if isinstance(label, int)})
    if not arrow:
        letters = sorted({s for s in used if isinstance(s, str) and used.count(s) == 1}, key=_LETTERS.index)
        return inputs, hidden + letters
    head, dots, tail = right.partition("...")
    output = [*head, *(hidden if dots else ()), *tail]
    for symbol in head + tail:
        if output.count(symbol) > 1:
            raise RuntimeError(f"einsum(): output subscript {symbol} appears more than once in the output")
        if symbol not in used:
            raise RuntimeError(
                f"einsum(): output subscript {symbol} does not appear in the equation for any input operand"
            )
    return inputs, output


def _diagonals(x, labels):
    """Repeated labels of one operand become one dim: its diagonal."""
    labels = list(labels)
    i = 0
    while i < len(labels):
        if labels[i] in labels[i + 1 :]:
            j = labels.index(labels[i], i + 1)
            if x.shape[i] != x.shape[j]:
                raise RuntimeError(
                    f"einsum(): subscript {labels[i]} is repeated for operand but the sizes don't match, "
                    f"{x.shape[j]} != {x.shape[i]}"
                )
            x = x.diagonal(0, i, j)
            label = labels[i]
            labels = [s for k, s in enumerate(labels) if k not in (i, j)] + [label]
        else:
            i += 1
    return x, labels


def _drop(x, labels, keep):
    """Sums out the labels that nobody else wants."""
    gone = [i for i, label in enumerate(labels) if label not in keep]
    return (x.sum(gone), [s for s in labels if s in keep]) if gone else (x, labels)


def _contract(a, la, b, lb, keep):
    """One pair: shared labels in `keep` are the batch, other shared ones the contraction."""
    alike = a.dtype == b.dtype
    a, la = _drop(a, la, set(keep) | set(lb))
    b, lb = _drop(b, lb, set(keep) | set(la))
    sizes = dict(zip(lb, b.shape, strict=True))
    # A size-1 dim broadcasts against the other operand's: it leaves its operand by summing.
    for label in [s for s in la if s in sizes]:
        m, n = a.shape[la.index(label)], b.shape[lb.index(label)]
        if m != n and m == 1:
            a, la = a.squeeze(la.index(label)), [s for s in la if s != label]
        elif m != n and n == 1:
            b, lb = b.squeeze(lb.index(label)), [s for s in lb if s != label]
    a, la = _drop(a, la, set(keep) | set(lb))
    b, lb = _drop(b, lb, set(keep) | set(la))
    if alike and a.dtype != b.dtype:
        # Summing labels out has widened the integers of one side.
        dtype = _core.promote_types(a.dtype, b.dtype)
        a, b = a.to(dtype), b.to(dtype)
    shared = [s for s in la if s in lb]
    batch, inside = [s for s in shared if s in keep], [s for s in shared if s not in keep]
    rows, columns = [s for s in la if s not in lb], [s for s in lb if s not in la]
    out = batch + rows + columns
    shape = [a.shape[la.index(s)] for s in batch + rows] + [b.shape[lb.index(s)] for s in columns]
    if not inside:
        # Nothing is summed: a broadcast product does it.
        x = a.permute([la.index(s) for s in batch + rows]).reshape(
            shape[: len(batch + rows)] + [1] * len(columns)
        )
        y = b.permute([lb.index(s) for s in batch + columns])
        y = y.reshape(shape[: len(batch)] + [1] * len(rows) + shape[len(batch + rows) :])
        return x * y, out
    extent = dict(zip(la, a.shape, strict=True)) | dict(zip(lb, b.shape, strict=True))
    n, m, k, q = (product(extent[s] for s in group) for group in (batch, rows, inside, columns))
    x = a.permute([la.index(s) for s in batch + rows + inside])
    y = b.permute([lb.index(s) for s in batch + inside + columns])
    if batch:
        return _core.bmm(x.reshape(n, m, k), y.reshape(n, k, q)).reshape(shape), out
    return _core.mm(x.reshape(m, k), y.reshape(k, q)).reshape(shape), out


@composed(method=False)
def einsum(equation, *operands):
    """Products of tensors summed over the labels that the output lacks, as `"ij,jk->ik"`.

    Labels are letters; `...` stands for further dims that broadcast; without `->` the output has the
    labels that occur once, in alphabetical order; a label repeated in one operand takes its diagonal.
    Contractions go through matrix products, from left to right.

    Example:
        >>> wg.einsum("ij,j->i", wg.tensor([[1., 2.], [3., 4.]]), wg.tensor([1., 1.]))
        tensor([3., 7.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    operands = list(operands)
    if not operands:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand "
            "and its subscripts list"
        )
    inputs, output = parse(equation, [x.ndim for x in operands])
    sizes = {}
    for x, labels in zip(operands, inputs, strict=True):
        for label, size in zip(labels, x.shape, strict=True):
            if sizes.setdefault(label, size) == 1:
                sizes[label] = size
            elif size not in (1, sizes[label]):
                raise RuntimeError(
                    f"einsum(): operands do not broadcast: subscript {label} has sizes {sizes[label]} and "
                    f"{size} (shapes {[list(t.shape) for t in operands]})"
                )
    work = [_diagonals(x, labels) for x, labels in zip(operands, inputs, strict=True)]
    value, labels = work[0]
    for position, (other, other_labels) in enumerate(work[1:], 1):
        later = {s for _, rest in work[position + 1 :] for s in rest}
        value, labels = _contract(value, labels, other, other_labels, set(output) | later)
    value, labels = _drop(value, labels, set(output))
    return value.permute([labels.index(s) for s in output]) if labels != output else value
