"""Optimizers that users write: their own `step` has hooks, and schedules know of it, as in PyTorch."""

import types
import warnings

import pytest
import wengert as wg

torch = pytest.importorskip("torch")


def heard(act):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return [str(w.message)[:40] for w in caught]


def kinds(m, log):
    class Own(m.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        def step(self, closure=None):
            """Own step."""
            log.append("own")
            with m.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        p.add_(p.grad, alpha=-group["lr"])
            return 5 if closure is None else closure()

    class Further(m.optim.SGD):
        def step(self, closure=None):
            log.append("further")
            return super().step(closure)

    return {"own": Own, "further": Further, "inherited": m.optim.SGD}


def hooks(m, kind):
    log = []
    w = m.nn.Parameter(m.ones(1))
    w.grad = m.ones(1)
    cls = kinds(m, log)[kind]
    optimizer = cls([w])
    optimizer.register_step_pre_hook(
        lambda o, args, kwargs: log.append(("pre", args[0] is o, len(args), kwargs))
    )
    optimizer.register_step_post_hook(
        lambda o, args, kwargs: log.append(("post", args[0] is o, len(args), kwargs))
    )
    log.append(optimizer.step())
    log.append(optimizer.step(lambda: 7))
    if kind != "inherited":
        log.append(optimizer.step(closure=lambda: 8))
    log[:] = [(*e[:3], list(e[3])) if isinstance(e, tuple) else e for e in log]
    return log, w.tolist()


def hook_that_changes(m):
    w = m.nn.Parameter(m.ones(1))
    w.grad = m.ones(1)
    optimizer = kinds(m, [])["own"]([w])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o,), {"closure": lambda: 9}))
    return optimizer.step()


def hook_that_errs(m):
    w = m.nn.Parameter(m.ones(1))
    w.grad = m.ones(1)
    optimizer = kinds(m, [])["own"]([w])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    try:
        optimizer.step()
    except RuntimeError:
        return "refused"


def schedule(m, kind, order):
    w = m.nn.Parameter(m.ones(1))
    w.grad = m.ones(1)
    optimizer = kinds(m, [])[kind]([w])
    if order == "replaced before":
        optimizer.step = types.MethodType(lambda self: None, optimizer)
    scheduler = m.optim.lr_scheduler.StepLR(optimizer, 1)
    if order == "replaced after":
        optimizer.step = lambda: None

    def act():
        if order != "reversed":
            optimizer.step()
        scheduler.step()

    return heard(act)


@pytest.mark.parametrize("kind", ["own", "further", "inherited"])
def test_step_hooks(kind, monkeypatch):
    # PyTorch hooks a class when it is first used: a class that was runs hooks in `super().step()`, too.
    step = torch.optim.SGD.step
    while hasattr(step, "hooked"):
        step = step.__wrapped__
    monkeypatch.setattr(torch.optim.SGD, "step", step)
    assert hooks(wg, kind) == hooks(torch, kind)


@pytest.mark.parametrize("program", [hook_that_changes, hook_that_errs])
def test_what_pre_hooks_return(program):
    assert program(wg) == program(torch)


@pytest.mark.parametrize("order", ["right", "reversed", "replaced before", "replaced after"])
@pytest.mark.parametrize("kind", ["own", "further", "inherited"])
def test_schedules_know_of_steps(kind, order):
    assert schedule(wg, kind, order) == schedule(torch, kind, order)


def test_own_step_keeps_its_name():
    step = kinds(wg, [])["own"].step
    assert (step.__name__, step.__doc__) == ("step", "Own step.")
