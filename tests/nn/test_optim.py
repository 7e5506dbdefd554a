"""Optimizers and schedules: trajectories, state dicts and refusals as torch's."""

import copy
import pickle
import warnings

import pytest
import wengert as wg
from nn_compare import both, data

pytestmark = pytest.mark.devices(factories=True, sample=10)


def descend(lib, make, steps=8, dtype="float64", after=None):
    """A small quadratic with coupled terms; every third step one parameter has no gradient."""
    params = [data(lib, 3, 2, seed=1, dtype=dtype, grad=True), data(lib, 2, seed=2, dtype=dtype, grad=True)]
    optimizer = make(lib, params)
    trace = []
    for step in range(steps):
        optimizer.zero_grad()
        w, b = params
        loss = (w * w).sum() + (w.sum() - 1) ** 2
        if step % 3 != 1:
            loss = loss + (b * b * b * b).sum() + (b.sum() * w.sum())
        loss.backward()
        optimizer.step()
        if after is not None:
            after(optimizer, step)
        trace += [w.detach().clone(), b.detach().clone()]
    return trace, optimizer


OPTIMIZERS = [
    ("SGD", {"lr": 0.01}),
    ("SGD", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.01, "momentum": 0.9}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.1, "alpha": 0.9}),
    ("RMSprop", {"lr": 0.01, "centered": True, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.1}),
    ("Adamax", {"betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"weight_decay": 0.1, "betas": (0.5, 0.9), "maximize": True}),
    ("RAdam", {"lr": 0.1, "betas": (0.9, 0.5)}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-4, 1e-2), "d": 2.0, "weight_decay": 0.1}),
    ("Adafactor", {"lr": 0.1, "maximize": True}),
    ("ASGD", {"lr": 0.01, "t0": 3.0}),
    ("ASGD", {"lr": 0.01, "lambd": 0.1, "alpha": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.05, 0.2), "maximize": True}),
]
IDS = [f"{i}-{name}" for i, (name, _) in enumerate(OPTIMIZERS)]


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_trajectory_and_state(name, options, dtype):
    def program(lib):
        trace, optimizer = descend(lib, lambda lib, p: getattr(lib.optim, name)(p, **options), dtype=dtype)
        return [trace, optimizer.state_dict(), repr(optimizer)]

    both(program, tol=1e-10 if dtype == "float64" else 2e-5)


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
def test_resuming_from_a_state_dict(name, options):
    def make(lib, params):
        return getattr(lib.optim, name)(params, **options)

    full, _ = descend(wg, make, steps=4)
    _, first = descend(wg, make, steps=2)
    params = [p.detach().clone().requires_grad_(True) for p in full[2:4]]
    second = make(wg, params)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.state[params[0]].keys() == first.state[first.param_groups[0]["params"][0]].keys()
    # Steps 2 and 3 of the same problem, from the saved state.
    for step in (2, 3):
        second.zero_grad()
        w, b = params
        loss = (w * w).sum() + (w.sum() - 1) ** 2 + (b * b * b * b).sum() + (b.sum() * w.sum())
        loss.backward()
        second.step()
        assert wg.allclose(w, full[2 * step]) and wg.allclose(b, full[2 * step + 1])


BOWL = {"lr": 0.7, "max_iter": 6, "history_size": 3}


@pytest.mark.parametrize(
    "options",
    [{}, BOWL, {**BOWL, "maximize": True}, {"max_iter": 1}, {"max_eval": 3}, {"tolerance_change": 1e-2}],
    ids=str,
)
def test_lbfgs_takes_torchs_steps(options):
    def program(lib):
        x = data(lib, 5, seed=1, dtype="float64", grad=True)
        y = data(lib, 2, seed=2, dtype="float64", grad=True)
        optimizer = lib.optim.LBFGS([x, y], **options)
        scale = lib.tensor([1.0, 2.0, 5.0, 0.5, 3.0], dtype=lib.float64)
        sign = -1.0 if options.get("maximize") else 1.0

        def closure():
            optimizer.zero_grad()
            loss = sign * ((scale * (x - 1) ** 2).sum() + (x[:2] * y).sum() ** 2 + (y**4 + y * y).sum())
            loss.backward()
            return loss

        trace = []
        for _ in range(3):
            trace += [optimizer.step(closure).detach(), x.detach().clone(), y.detach().clone()]
        state = optimizer.state[x]
        return [trace, state["func_evals"], state["n_iter"]]

    both(program, tol=1e-8)


def rosenbrock(lib, resume, search="strong_wolfe"):
    """Losses of eight searched steps down Rosenbrock's valley, where they end, and how often they looked."""
    w = lib.tensor([-1.5, 2.0], dtype=lib.float64, requires_grad=True)
    options = {"line_search_fn": search, "max_iter": 10}
    optimizer, count = lib.optim.LBFGS([w], **options), 0

    def closure():
        nonlocal count
        count += 1
        optimizer.zero_grad()
        loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
        loss.backward()
        return loss

    losses = []
    for _ in range(8):
        losses.append(float(optimizer.step(closure).detach()))
        if resume:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = lib.optim.LBFGS([w], **options)
            optimizer.load_state_dict(saved)
    return losses, w.tolist(), count, optimizer.state[w]["func_evals"]


@pytest.mark.host("every number it reads is one that a GPU waits for")
def test_lbfgs_searches_along_lines_as_torch():
    ours, theirs = both(lambda lib: rosenbrock(lib, False), tol=1e-7)
    losses, end, count, told = ours
    assert end == pytest.approx([1.0, 1.0], abs=1e-5) and told == count
    assert losses == sorted(losses, reverse=True) and losses[-1] < 1e-9
    assert rosenbrock(wg, True) == ours


def test_groups_names_and_closures():
    def program(lib):
        net = lib.nn.Linear(2, 2)
        optimizer = lib.optim.SGD(
            [{"params": [net.weight], "lr": 0.5}, {"params": net.bias, "momentum": 0.9}], lr=0.1
        )
        x = data(lib, 3, 2)

        def closure():
            optimizer.zero_grad()
            loss = (net(x) ** 2).sum()
            loss.backward()
            return loss

        losses = [optimizer.step(closure).detach() for _ in range(3)]
        named = lib.optim.Adam(net.named_parameters())
        return [losses, repr(optimizer), named.state_dict()]

    both(program)


def test_lr_changes_and_reset_state_are_followed():
    def program(lib):
        def after(optimizer, step):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            if step == 2:
                optimizer.state.clear()

        return descend(lib, lambda lib, p: lib.optim.Adam(p, lr=0.1), after=after)[0]

    both(program, tol=1e-10)


def test_hooks_and_pickle():
    def program(lib):
        log = []

        def make(lib, params):
            optimizer = lib.optim.SGD(params, lr=0.1)
            optimizer.register_step_pre_hook(lambda o, args, kwargs: log.append("pre"))
            optimizer.register_step_post_hook(lambda o, args, kwargs: log.append("post"))
            return optimizer

        trace, optimizer = descend(lib, make, steps=2)
        return [trace, log]

    both(program)
    twin = pickle.loads(pickle.dumps(wg.optim.SGD([wg.ones(1, requires_grad=True)], lr=0.3)))
    assert twin.param_groups[0]["lr"] == 0.3


def test_custom_optimizers_work():
    def program(lib):
        class Plain(lib.optim.Optimizer):
            def __init__(self, params, lr):
                super().__init__(params, {"lr": lr})

            @lib.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            self.state[p]["seen"] = self.state[p].get("seen", 0) + 1
                            p.add_(p.grad, alpha=-group["lr"])

        trace, optimizer = descend(lib, lambda lib, p: Plain(p, lr=0.01))
        return [trace, optimizer.state_dict()]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib: lib.optim.SGD([], lr=0.1),
        lambda lib: lib.optim.SGD(lib.ones(1), lr=0.1),
        lambda lib: lib.optim.SGD([3], lr=0.1),
        lambda lib: lib.optim.SGD([lib.ones(1, requires_grad=True) * 2], lr=0.1),
        lambda lib: lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=-1.0),
        lambda lib: lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=0.1, momentum=-1),
        lambda lib: lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=0.1, nesterov=True),
        lambda lib: lib.optim.Adam([lib.ones(1, requires_grad=True)], lr=-0.1),
        lambda lib: lib.optim.Adam([lib.ones(1, requires_grad=True)], betas=(1.0, 0.9)),
        lambda lib: lib.optim.Adam([lib.ones(1, requires_grad=True)], eps=-1.0),
        lambda lib: lib.optim.AdamW([lib.ones(1, requires_grad=True)], weight_decay=-1.0),
        lambda lib: lib.optim.SGD([lib.ones(1, requires_grad=True)]).load_state_dict(
            {"state": {}, "param_groups": []}
        ),
        lambda lib: lib.optim.SGD([lib.ones(1, requires_grad=True)]).add_param_group(
            {"params": {lib.ones(1)}}
        ),
        lambda lib: lib.optim.RMSprop([lib.ones(1)], alpha=-1),
        lambda lib: lib.optim.RMSprop([lib.ones(1)], momentum=-1),
        lambda lib: lib.optim.Adagrad([lib.ones(1)], lr_decay=-1),
        lambda lib: lib.optim.Adagrad([lib.ones(1)], initial_accumulator_value=-1),
        lambda lib: lib.optim.Adadelta([lib.ones(1)], rho=2),
        lambda lib: lib.optim.Adamax([lib.ones(1)], betas=(1, 0.9)),
        lambda lib: lib.optim.NAdam([lib.ones(1)], momentum_decay=-1),
        lambda lib: lib.optim.RAdam([lib.ones(1)], lr=-1),
        lambda lib: lib.optim.Adafactor([lib.ones(1)], lr=-1),
        lambda lib: lib.optim.Adafactor([lib.ones(1)], beta2_decay=0.5),
        lambda lib: lib.optim.Adafactor([lib.ones(1)], eps=(-1.0, 1.0)),
        lambda lib: lib.optim.Adafactor([lib.ones(1)], eps=(None, -1.0)),
        lambda lib: lib.optim.Adafactor([lib.ones(1)], d=0.5),
        lambda lib: lib.optim.Adafactor([lib.ones(1)], weight_decay=-1.0),
        lambda lib: lib.optim.Muon([lib.ones(1)]),
        lambda lib: lib.optim.Muon([lib.ones(1, 1)], lr=-1),
        lambda lib: lib.optim.Muon([lib.ones(1, 1)], lr=lib.ones(2)),
        lambda lib: lib.optim.Muon([lib.ones(1, 1)], momentum=-1),
        lambda lib: lib.optim.Muon([lib.ones(1, 1)], weight_decay=-1),
        lambda lib: lib.optim.Muon([lib.ones(1, 1)], adjust_lr_fn="x"),
        lambda lib: lib.optim.SparseAdam([lib.ones(1)], lr=0.0),
        lambda lib: lib.optim.SparseAdam([lib.ones(1)], eps=0.0),
        lambda lib: lib.optim.SparseAdam([lib.ones(1)], betas=(1.0, 0.9)),
        lambda lib: lib.optim.ASGD([lib.ones(1)], weight_decay=-1),
        lambda lib: lib.optim.Rprop([lib.ones(1)], etas=(1.2, 0.5)),
        lambda lib: lib.optim.LBFGS([lib.ones(1)], lr=-1),
        lambda lib: lib.optim.LBFGS([{"params": [lib.ones(1)]}, {"params": [lib.ones(1)]}]),
        lambda lib: rosenbrock(lib, False, "other"),
        lambda lib: lib.optim.lr_scheduler.StepLR(3, 1),
        lambda lib: lib.optim.lr_scheduler.CyclicLR(lib.optim.SGD([lib.ones(1)]), 0.1, 1.0, mode="square"),
        lambda lib: lib.optim.lr_scheduler.CyclicLR(lib.optim.Rprop([lib.ones(1)]), 0.1, 1.0),
        lambda lib: lib.optim.lr_scheduler.CyclicLR(lib.optim.SGD([lib.ones(1)]), [0.1, 0.2], 1.0),
        lambda lib: lib.optim.lr_scheduler.OneCycleLR(lib.optim.SGD([lib.ones(1)]), 1.0),
        lambda lib: lib.optim.lr_scheduler.LambdaLR(lib.optim.SGD([lib.ones(1)]), [abs, abs]),
    ],
)
def test_refusals(bad):
    _, theirs = both(bad)
    assert isinstance(theirs, Exception), "torch accepts this"


def test_a_parameter_stands_in_one_group_only():
    def program(lib):
        p = lib.ones(1, requires_grad=True)
        return lib.optim.SGD([{"params": [p]}, {"params": [p]}])

    ours, theirs = both(program)
    assert str(ours) == str(theirs)


def test_what_would_change_results_is_refused():
    p = wg.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="differentiable"):
        wg.optim.Adam([p], differentiable=True)
    assert wg.optim.Adam([p], fused=True, capturable=True).param_groups[0]["fused"]


SCHEDULES = [
    ("StepLR", (3,), {"gamma": 0.5}),
    ("MultiStepLR", ([2, 5, 5],), {}),
    ("ConstantLR", (), {"factor": 0.4, "total_iters": 4}),
    ("LinearLR", (), {"total_iters": 6}),
    ("ExponentialLR", (0.9,), {}),
    ("PolynomialLR", (), {"total_iters": 7, "power": 2.0}),
    ("CosineAnnealingLR", (5,), {"eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", (3,), {"T_mult": 2}),
    ("LambdaLR", (lambda epoch: 0.9**epoch,), {}),
    ("MultiplicativeLR", (lambda epoch: 0.95,), {}),
    ("OneCycleLR", (1.0,), {"total_steps": 16}),
    (
        "OneCycleLR",
        ([1.0, 0.5],),
        {"epochs": 4, "steps_per_epoch": 4, "three_phase": True, "anneal_strategy": "linear"},
    ),
    ("OneCycleLR", (1.0,), {"total_steps": 16, "cycle_momentum": False}),
    ("CyclicLR", (0.1, 1.0), {"step_size_up": 3}),
    ("CyclicLR", ([0.1, 0.2], [1.0, 0.5]), {"step_size_up": 3, "step_size_down": 2, "mode": "triangular2"}),
    ("CyclicLR", (0.1, 1.0), {"step_size_up": 2, "mode": "exp_range", "gamma": 0.9, "cycle_momentum": False}),
    ("CyclicLR", (0.1, 1.0), {"step_size_up": 3, "scale_fn": lambda n: 1 / (1 + n), "base_momentum": 0.5}),
]


def two_groups(lib, kind="SGD"):
    options = {"momentum": 0.9} if kind == "SGD" else {}
    groups = [
        {"params": [lib.ones(1, requires_grad=True)]},
        {"params": [lib.ones(1, requires_grad=True)], "lr": 0.3},
    ]
    return getattr(lib.optim, kind)(groups, lr=0.1, **options)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(
    "name, args, options", SCHEDULES, ids=[f"{i}-{s[0]}" for i, s in enumerate(SCHEDULES)]
)
def test_schedule(name, args, options, kind):
    def program(lib):
        optimizer = two_groups(lib, kind)
        schedule = getattr(lib.optim.lr_scheduler, name)(optimizer, *args, **options)
        rates = [schedule.get_last_lr()]
        for _ in range(15):
            optimizer.step()
            schedule.step()
            group = optimizer.param_groups[0]
            rates.append([*schedule.get_last_lr(), group.get("momentum", 0.0), *group.get("betas", ())])
        return [rates, schedule.last_epoch]

    both(program, tol=1e-12)


@pytest.mark.parametrize(
    "name, args, options", SCHEDULES, ids=[f"{i}-{s[0]}" for i, s in enumerate(SCHEDULES)]
)
def test_schedule_resumes(name, args, options):
    optimizer = two_groups(wg)
    schedule = getattr(wg.optim.lr_scheduler, name)(optimizer, *args, **options)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    other = two_groups(wg)
    twin = getattr(wg.optim.lr_scheduler, name)(other, *args, **options)
    other.load_state_dict(optimizer.state_dict())
    twin.load_state_dict(copy.deepcopy(schedule.state_dict()))
    for _ in range(6):
        for o, s in ((optimizer, schedule), (other, twin)):
            o.step()
            s.step()
        assert twin.get_last_lr() == schedule.get_last_lr()


def test_sequential_chained_and_explicit_epochs():
    def program(lib):
        sched = lib.optim.lr_scheduler
        optimizer = two_groups(lib)
        first = sched.LinearLR(optimizer, total_iters=3)
        second = sched.ExponentialLR(optimizer, 0.8)
        both_in_turn = sched.SequentialLR(optimizer, [first, second], milestones=[4])
        rates = [both_in_turn.get_last_lr()]
        for _ in range(8):
            optimizer.step()
            both_in_turn.step()
            rates.append(both_in_turn.get_last_lr())
        other = two_groups(lib)
        chained = sched.ChainedScheduler([sched.ExponentialLR(other, 0.9), sched.StepLR(other, 2)])
        for _ in range(5):
            other.step()
            chained.step()
            rates.append(chained.get_last_lr())
        jumping = two_groups(lib)
        schedule = sched.CosineAnnealingLR(jumping, 6)
        jumping.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schedule.step(4)
        rates.append(schedule.get_last_lr())
        return rates

    both(program, tol=1e-12)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateau(mode, threshold_mode):
    metrics = [1.0, 0.9, 0.9, 0.91, 0.9, 0.95, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7]

    def program(lib):
        optimizer = two_groups(lib)
        schedule = lib.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode, patience=2, cooldown=1, threshold_mode=threshold_mode, min_lr=[0.0, 0.02]
        )
        rates = []
        for metric in metrics:
            optimizer.step()
            schedule.step(metric)
            rates.append(schedule.get_last_lr())
        return [rates, schedule.best, schedule.num_bad_epochs]

    both(program, tol=1e-12)


def test_warnings():
    schedule = wg.optim.lr_scheduler.StepLR(two_groups(wg), 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()


@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.1, "nesterov": False}, {"lr": 0.1, "weight_decay": 0.5, "adjust_lr_fn": "match_rms_adamw"}],
    ids=str,
)
def test_muon_takes_torchs_steps(options):
    """To bfloat16's rounding, in which both iterate."""

    def program(lib):
        params = [data(lib, *shape, seed=i, grad=True) for i, shape in enumerate(((3, 2), (2, 5)))]
        optimizer, trace = lib.optim.Muon(params, **options), []
        for _ in range(4):
            optimizer.zero_grad()
            sum(((p - 1) ** 2 * (p + 2)).sum() for p in params).backward()
            optimizer.step()
            trace += [p.detach().clone() for p in params]
        return [trace, optimizer.state_dict(), repr(optimizer)]

    both(program, tol=2e-2)


def test_muon_makes_steps_of_equal_size_in_all_directions():
    w = data(wg, 4, 6, grad=True)
    before = w.detach().clone()
    (w * data(wg, 4, 6, seed=1)).sum().backward()
    wg.optim.Muon([w], lr=1.0, weight_decay=0.0).step()
    sizes = wg.linalg.svdvals(w.detach() - before)
    assert bool(((sizes > 0.6) & (sizes < 1.3)).all())


def test_sparse_adam_refuses_dense_gradients():
    def program(lib):
        w = data(lib, 3, grad=True)
        optimizer = lib.optim.SparseAdam([w])
        assert "betas: (0.9, 0.999)" in repr(optimizer)
        optimizer.step()
        (w * w).sum().backward()
        optimizer.step()

    ours, _ = both(program)
    assert "Adam" in str(ours)
