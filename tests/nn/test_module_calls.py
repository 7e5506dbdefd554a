"""`module(…)`: every way that leads to `forward`, as torch's."""

import inspect
import pickle
import sys

import pytest
import wengert as wg
from nn_compare import both

pytestmark = pytest.mark.host("calls are Python's")


def echo(lib):
    class Echo(lib.nn.Module):
        def forward(self, *args, **kwargs):
            return args, kwargs

    return Echo()


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("names", [(), ("a",), ("a", "self_")])
@pytest.mark.parametrize("hooked", [False, True])
def test_arguments_arrive_as_they_were_given(count, names, hooked):
    def program(lib):
        module = echo(lib)
        if hooked:
            module.register_forward_hook(lambda m, args, out: (*out, "seen"))
        return module(*range(count), **dict.fromkeys(names, 7))

    both(program)


def test_forward_may_be_the_objects_own_or_put_into_the_class_later():
    def program(lib):
        one, two = echo(lib), echo(lib)
        one.forward = lambda x: ("own", x)
        type(two).forward = lambda self, x: ("later", x)
        return [one(1), two(2), one(x=3)]

    both(program)


def test_call_may_be_overridden_and_replaced(monkeypatch):
    def program(lib):
        class Counted(lib.nn.Module):
            calls = 0

            def __call__(self, *args, **kwargs):
                self.calls += 1
                return super().__call__(*args, **kwargs)

            def forward(self, x):
                return x + 1

        module = Counted()
        results = [module(1), module(2), module.calls, lib.nn.Module.__call__(module, 3), module.calls]
        before, log = lib.nn.Module.__call__, []
        with monkeypatch.context() as patch:
            patch.setattr(
                lib.nn.Module, "__call__", lambda self, *args: log.append(args) or before(self, *args)
            )
            lib.nn.Sequential(lib.nn.Identity(), lib.nn.Identity())(5)
        lib.nn.Identity()(6)
        return [*results, log]

    both(program)


def test_without_forward():
    def program(lib):
        class Nothing(lib.nn.Module):
            pass

        return Nothing()(1)

    both(program)


def test_beside_other_classes():
    def program(lib):
        class Table(lib.nn.Module, dict):
            def forward(self, key):
                return self[key]

        class Failure(lib.nn.Module, Exception):
            def forward(self, x):
                return x * 2

        table = Table()
        table["a"] = 3
        return [table("a"), Failure()(2), isinstance(Failure(), Exception)]

    both(program)


def test_a_module_that_calls_itself_for_ever_ends_in_an_error():
    def program(lib):
        class Endless(lib.nn.Module):
            def forward(self, x):
                return self(x)

        try:
            Endless()(1)
        except RecursionError:
            return "deep"

    assert both(program)[0] == "deep"


def doubled(module, args):
    return (args[0] * 2,)


def test_hooks_run_after_pickling_and_in_a_state_that_was_copied():
    layer = wg.nn.Identity()
    handle = layer.register_forward_pre_hook(doubled)
    again = pickle.loads(pickle.dumps(layer))
    other = wg.nn.Identity()
    other.__dict__.update(layer.__dict__)
    assert (layer(1), again(1), other(1)) == (2, 2, 2)
    handle.remove()
    assert layer(1) == 1


def test_calls_keep_nothing():
    class Fails(wg.nn.Module):
        def forward(self, x, y=None, z=None):
            raise ValueError("no")

    module, x = Fails(), object()
    before = sys.getrefcount(x), sys.getrefcount(module)
    for args, kwargs in [((x,), {}), ((x, x), {}), ((x, x, x), {}), ((x,), {"y": x}), ((x, x, x, x), {})]:
        for _ in range(10):
            with pytest.raises((ValueError, TypeError)):
                module(*args, **kwargs)
    del args, kwargs
    assert (sys.getrefcount(x), sys.getrefcount(module)) == before


def test_signatures():
    def program(lib):
        of = [lib.nn.Linear(1, 2), lib.nn.Linear(1, 2).forward, echo(lib), type(echo(lib))]
        return [[(n, str(p.kind)) for n, p in inspect.signature(f).parameters.items()] for f in of]

    both(program)
