"""`assert_close`: equality within a tolerance that depends on the dtype."""

import warnings

from .. import _core
from .._core import Tensor

_TOLERANCES = {
    _core.float16: (1e-3, 1e-5),
    _core.bfloat16: (1.6e-2, 1e-5),
    _core.float32: (1.3e-6, 1e-5),
    _core.float64: (1e-7, 1e-7),
}


def assert_close(
    actual,
    expected,
    *,
    allow_subclasses=True,
    rtol=None,
    atol=None,
    equal_nan=False,
    check_device=True,
    check_dtype=True,
    check_layout=True,
    check_stride=False,
    msg=None,
):
    """Raises AssertionError unless |actual - expected| ≤ atol + rtol·|expected| everywhere.

    Tensors, arrays, numbers, and sequences and mappings of them. The tolerances default to the dtype's;
    shapes, dtypes and devices must agree unless a check is switched off.

    Example:
        >>> wg.testing.assert_close(wg.tensor([1., 2.]), wg.tensor([1., 2.]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            "rtol and atol must both be specified or both be unspecified, but got "
            f"rtol={rtol} and atol={atol}"
        )
    options = (rtol, atol, equal_nan, check_device, check_dtype, check_stride)
    try:
        _compare(actual, expected, options, "")
    except AssertionError as error:
        if msg is None:
            raise
        raise AssertionError(msg(str(error)) if callable(msg) else msg) from None


_OLD_TOLERANCES = {
    _core.float16: (1e-3, 1e-3),
    _core.float32: (1e-4, 1e-5),
    _core.float64: (1e-5, 1e-8),
}


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """:func:`assert_close` with wider tolerances, NaNs that are equal, and dtypes that need not be; deprecated.

    Example:
        >>> import warnings; warnings.simplefilter("ignore")
        >>> wg.testing.assert_allclose(wg.tensor([1., 2.]), [1., 2.00001])
    """
    warnings.warn(
        "assert_allclose() is deprecated; use assert_close() instead", category=FutureWarning, stacklevel=2
    )
    if not isinstance(actual, Tensor):
        actual = _core.tensor(actual)
    if not isinstance(expected, Tensor):
        expected = _core.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        found = [_OLD_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (actual, expected)]
        rtol, atol = (max(pair) for pair in zip(*found, strict=True))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None
    )


def _compare(actual, expected, options, where):
    if isinstance(expected, dict) and isinstance(actual, dict):
        if actual.keys() != expected.keys():
            raise AssertionError(
                f"The keys of the mappings do not match:\nMissing keys in the actual mapping: "
                f"{sorted(expected.keys() - actual.keys(), key=str)}\nAdditional keys in the actual "
                f"mapping: {sorted(actual.keys() - expected.keys(), key=str)}{where}"
            )
        for key in expected:
            _compare(
                actual[key], expected[key], options, f"\n\nThe failure occurred for item [{key!r}]{where}"
            )
        return
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        if len(actual) != len(expected):
            raise AssertionError(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{where}"
            )
        for i, pair in enumerate(zip(actual, expected, strict=True)):
            _compare(*pair, options, f"\n\nThe failure occurred for item [{i}]{where}")
        return
    if expected is None or actual is None:
        if expected is not actual:
            raise AssertionError(f"None mismatch: {actual} is not {expected}{where}")
        return
    numbers = isinstance(actual, (int, float)) and isinstance(expected, (int, float))
    if numbers and isinstance(actual, bool) and isinstance(expected, bool):
        if actual != expected:
            raise AssertionError(f"Booleans mismatch: {actual} is not {expected}{where}")
        return
    if not numbers and not isinstance(actual, Tensor) and type(actual) is not type(expected):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.{where}"
        )
    pair = [
        x
        if isinstance(x, Tensor)
        else _core.tensor(x, dtype=_core.float64)
        if numbers and isinstance(x, float)
        else _core.as_tensor(x)
        for x in (actual, expected)
    ]
    _compare_tensors(*pair, options, where, numbers)


def _compare_tensors(actual, expected, options, where, numbers):
    rtol, atol, equal_nan, check_device, check_dtype, check_stride = options
    if actual.shape != expected.shape:
        raise AssertionError(
            f"The values for attribute 'shape' do not match: {actual.shape} != {expected.shape}.{where}"
        )
    if check_device and actual.device != expected.device:
        raise AssertionError(
            f"The values for attribute 'device' do not match: {actual.device} != {expected.device}.{where}"
        )
    if check_dtype and not numbers and actual.dtype != expected.dtype:
        raise AssertionError(
            f"The values for attribute 'dtype' do not match: {actual.dtype} != {expected.dtype}.{where}"
        )
    if check_stride and actual.stride() != expected.stride():
        raise AssertionError(
            f"The values for attribute 'stride()' do not match: {actual.stride()} != "
            f"{expected.stride()}.{where}"
        )
    if rtol is None:
        found = [_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (actual, expected)]
        rtol, atol = (max(pair) for pair in zip(*found, strict=True))
    dtype = _core.promote_types(actual.dtype, expected.dtype)
    wide = _core.float64 if dtype.is_floating_point else _core.int64
    # On the host, as not every GPU has float64.
    a, e = actual.detach().cpu().to(wide), expected.detach().cpu().to(wide)
    error = (a - e).abs()
    close = (a == e) | (error <= atol + rtol * e.abs())
    if dtype.is_floating_point:
        close = close & ((a == e) | (a.isfinite() & e.isfinite()))
        if equal_nan:
            close = close | (a.isnan() & e.isnan())
    if not bool(close.all()):
        raise AssertionError(_report(a, e, error, close, rtol, atol) + where)


def _report(a, e, error, close, rtol, atol):
    exact = rtol == 0 and atol == 0
    if a.ndim == 0:
        verdict = "Scalars are not equal!" if exact else "Scalars are not close!"
        text = f"{verdict}\n\nExpected {e.item()} but got {a.item()}.\nAbsolute difference: {error.item()}"
        text += "" if exact else f" (up to {atol} allowed)"
        relative = error.item() / abs(e.item()) if e.item() else float("inf")
        return text + f"\nRelative difference: {relative}" + ("" if exact else f" (up to {rtol} allowed)")
    bad = int((~close).sum())
    total = close.numel()
    verdict = "Tensor-likes are not equal!" if exact else "Tensor-likes are not close!"
    text = f"{verdict}\n\nMismatched elements: {bad} / {total} ({100.0 * bad / total:.1f}%)\n"
    for name, values, allowed in (("absolute", error, atol), ("relative", error / e.abs(), rtol)):
        values = values.masked_fill(close, 0)
        place = int(values.reshape(-1).argmax())
        index = []
        for size in reversed(a.shape):
            index.insert(0, place % size)
            place //= size
        worst = values.reshape(-1)[int(values.reshape(-1).argmax())].item()
        text += f"Greatest {name} difference: {worst} at index {tuple(index)}"
        text += "\n" if exact else f" (up to {allowed} allowed)\n"
    return text.rstrip("\n")
