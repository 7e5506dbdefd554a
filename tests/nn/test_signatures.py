"""Every public class and function of nn, optim and data takes torch's arguments with torch's defaults."""

import importlib
import inspect

import pytest
import wengert as wg
from nn_compare import torch

if tuple(int(n) for n in torch.__version__.split(".")[:2]) < (2, 15):
    pytest.skip("the signatures are those of torch 2.15", allow_module_level=True)

MODULES = ["nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler", "utils.data"]
# torch accepts these two only for names it used before.
OLD_NAMES = {"Hardtanh": {"min_value", "max_value"}}


# Functions that torch dispatches by an argument, and classes whose signatures it leaves to a base.
UNTOLD = ("max_pool", "adaptive_max_pool", "fractional_max_pool")
UNTOLD += ("BatchSampler", "Dataset", "IterableDataset", "Sampler")


def arguments(thing, name):
    if name.startswith(UNTOLD):
        return None
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    return [(p.name, default(p)) for p in found if p.name not in OLD_NAMES.get(name, ())]


def default(parameter):
    # torch's default generator is a default argument there, and None here.
    if parameter.name == "generator":
        return None
    # A function is known by its name, which here may be a private one.
    given = parameter.default
    return given.__name__.lstrip("_") if inspect.isroutine(given) else given


@pytest.mark.parametrize("module", MODULES)
def test_arguments_and_defaults(module):
    ours = importlib.import_module("wengert." + module)
    theirs = importlib.import_module("torch." + module)
    names = getattr(ours, "__all__", None) or [n for n in dir(ours) if n.endswith("_") and n[0] != "_"]
    compared = 0
    for name in names:
        mine, other = getattr(ours, name), getattr(theirs, name, None)
        assert other is not None, f"torch.{module} has no {name}"
        if not callable(mine):
            continue
        a, b = arguments(mine, name), arguments(other, name)
        if a is None or b is None:
            continue
        assert [n for n, _ in a] == [n for n, _ in b], name
        assert [str(d) for _, d in a] == [str(d) for _, d in b], name
        compared += 1
    assert compared > 3


def test_module_methods():
    names = [n for n, f in vars(wg.nn.Module).items() if callable(f) and n[0] != "_"]
    for name in names:
        theirs = getattr(torch.nn.Module, name)
        mine = list(inspect.signature(getattr(wg.nn.Module, name)).parameters)
        assert mine == list(inspect.signature(theirs).parameters) or "args" in mine, name
    assert len(names) > 25
