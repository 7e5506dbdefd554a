"""Differentiation: `backward`, `grad`, grad modes, user-defined Functions, and checks of gradients."""

from .backward import backward, grad  # noqa: F401
from .grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled  # noqa: F401

_LATER = {
    "Function": "function",
    "once_differentiable": "function",
    "gradcheck": "checks",
    "gradgradcheck": "checks",
    "GradcheckError": "checks",
    "Variable": "variable",
    "detect_anomaly": "anomaly_mode",
    "set_detect_anomaly": "anomaly_mode",
}
_MODULES = ("anomaly_mode", "functional", "function", "variable")


def __getattr__(name):
    from importlib import import_module

    if name in _LATER:
        module = import_module("." + _LATER[name], __name__)
        value = globals()[name] = getattr(module, name)
        return value
    if name in _MODULES:
        return import_module("." + name, __name__)
    raise AttributeError(f"wengert has no autograd.{name} yet")


def __dir__():
    return sorted({*globals(), *_LATER, *_MODULES})
