"""Printing tensors exactly as PyTorch prints them, in plain Python over nested lists."""

from math import ceil, isfinite

from . import _core
from ._printoptions import OPTIONS

_WHOLE_DTYPES = (_core.int64, _core.bool)


def tensor_repr(x):
    """The text of a tensor: its values, summarised if there are many, and what is not default about it."""
    prefix = "tensor(" if _is_plain(type(x)) else type(x).__name__ + "("
    indent = len(prefix)
    default = _core.get_default_dtype()
    value = x.detach()
    kind = _device_type(x)
    suffixes = [] if kind == "cpu" else [f"device='{x.device}'"]
    if kind == "meta":
        suffixes.append(f"size={tuple(x.shape)}")
        if x.dtype != default:
            suffixes.append(f"dtype={x.dtype}")
        body = "..."
    elif x.numel() == 0:
        if x.ndim != 1:
            suffixes.append(f"size={tuple(x.shape)}")
        if x.dtype != default:
            suffixes.append(f"dtype={x.dtype}")
        body = "[]"
    else:
        if not OPTIONS.edgeitems:
            suffixes.append(f"size={tuple(x.shape)}")
        if x.dtype != default and x.dtype not in _WHOLE_DTYPES:
            suffixes.append(f"dtype={x.dtype}")
        body = _body(value, indent)
    node = x.grad_fn
    if node is not None:
        suffixes.append(f"grad_fn=<{node.name().rpartition('::')[2]}>")
    elif x.requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + body, suffixes, indent)


def _is_plain(cls):
    return cls is _core.Tensor or cls.__name__ == "Parameter"


def _device_type(x):
    return x.device.type


def _with_suffixes(text, suffixes, indent):
    # The length of the last line as PyTorch reckons it: one or two more than it is.
    room = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if room + len(suffix) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + suffix
            room = indent + len(suffix)
        else:
            text += ", " + suffix
            room += len(suffix) + 2
    return text + ")"


def _body(x, indent):
    summarise = x.numel() > OPTIONS.threshold
    nested = _summary(x) if summarise else x.tolist()
    sample = []
    _flatten(nested, sample)
    width, write = _formatter(sample, x.is_floating_point())
    if x.ndim == 0:
        return write(nested).rjust(width)
    return _block(nested, x.ndim, indent, width, write)


def _summary(x):
    """Nested lists of the leading and trailing items, with Ellipsis for those left out."""
    edge, count = OPTIONS.edgeitems, x.shape[0]
    if edge == 0:
        return [...]
    if x.ndim == 1:
        if count <= 2 * edge:
            return x.tolist()
        return [*x.narrow(0, 0, edge).tolist(), ..., *x.narrow(0, count - edge, edge).tolist()]
    if count <= 2 * edge:
        return [_summary(x.select(0, i)) for i in range(count)]
    return [
        *(_summary(x.select(0, i)) for i in range(edge)),
        ...,
        *(_summary(x.select(0, i)) for i in range(count - edge, count)),
    ]


def _flatten(nested, out):
    if isinstance(nested, list):
        for item in nested:
            _flatten(item, out)
    elif nested is not ...:
        out.append(nested)


def _formatter(sample, floating):
    """(column width, function from value to text) for a sample of what is shown."""
    if not floating:
        return max((len(str(v)) for v in sample), default=1), str
    numbers = [v for v in sample if v != 0 and isfinite(v)]
    precision = OPTIONS.precision
    if not numbers:
        return 1, _chosen(False, True, precision)
    sizes = [abs(v) for v in numbers]
    low, high = min(sizes), max(sizes)
    whole = all(v == ceil(v) for v in numbers)
    scientific = OPTIONS.sci_mode
    if scientific is None:
        scientific = high / low > 1000.0 or high > 1e8 or (not whole and low < 1e-4)
    if scientific:
        width = max(len(f"{v:.{precision}e}") for v in numbers)
    elif whole:
        # The point that follows a whole number counts.
        width = max(len(f"{v:.0f}") + 1 for v in numbers)
    else:
        width = max(len(f"{v:.{precision}f}") for v in numbers)
    return width, _chosen(scientific, whole, precision)


def _chosen(scientific, whole, precision):
    if scientific:
        return lambda v: f"{v:.{precision}e}"
    if whole:
        return lambda v: f"{v:.0f}." if isfinite(v) else f"{v:.0f}"
    return lambda v: f"{v:.{precision}f}"


def _block(nested, ndim, indent, width, write):
    if ndim == 1:
        return _row(nested, indent, width, write)
    parts = ["..." if item is ... else _block(item, ndim - 1, indent + 1, width, write) for item in nested]
    return "[" + ("," + "\n" * (ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _row(items, indent, width, write):
    if items == [...]:
        return "[...]"
    per_line = max(1, int((OPTIONS.linewidth - indent) // (width + 2)))
    texts = [" ..." if item is ... else write(item).rjust(width) for item in items]
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
