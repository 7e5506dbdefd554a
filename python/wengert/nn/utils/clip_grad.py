"""Limiting gradients."""

import warnings

from wengert import _core
from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad


def _with_grads(parameters):
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [p for p in parameters if p.grad is not None]


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale the gradients down, in place, so that their norm taken together is at most `max_norm`.

    Returns:
        The norm before clipping, a 0-d tensor.

    Raises:
        RuntimeError: if the norm is not finite and `error_if_nonfinite`; the gradients stay as they are.

    Example:
        >>> import wengert as wg
        >>> p = wg.nn.Parameter(wg.zeros(2))
        >>> p.grad = wg.tensor([3.0, 4.0])
        >>> wg.nn.utils.clip_grad_norm_([p], 1.0)
        tensor(5.)
        >>> p.grad
        tensor([0.6000, 0.8000])
    """
    chosen = _with_grads(parameters)
    if not chosen:
        return _core.tensor(0.0)
    if error_if_nonfinite:
        _require_finite(get_total_norm([p.grad for p in chosen], norm_type), norm_type)
    return _core._clip_grad_norm(chosen, float(max_norm), float(norm_type))


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The old name of `clip_grad_norm_`."""
    warnings.warn(
        "clip_grad_norm is now deprecated in favor of clip_grad_norm_.", FutureWarning, stacklevel=2
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def _require_finite(norm, norm_type):
    value = norm.item()
    if value != value or value in (float("inf"), float("-inf")):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Norm of order `norm_type` of all elements of `tensors` taken together."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return _core.tensor(0.0)
    norm = _core._total_norm(tensors, float(norm_type))
    if error_if_nonfinite:
        _require_finite(norm, norm_type)
    return norm


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale the gradients by max_norm / total_norm if that is below 1."""
    with no_grad():
        scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for p in _with_grads(parameters):
            p.grad.mul_(scale)


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Limit each gradient's elements to [−clip_value, clip_value], in place."""
    clip_value = float(clip_value)
    with no_grad():
        for p in _with_grads(parameters):
            p.grad.clamp_(min=-clip_value, max=clip_value)
