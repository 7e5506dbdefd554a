"""Calls with other parameters, averages of parameters, recomputation, padded sequences, more datasets: as torch's."""

import pytest
import wengert as wg
from nn_compare import both, data

pytestmark = pytest.mark.devices(factories=True, sample=5)


def network(lib):
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Tanh(), lib.nn.Linear(4, 2))


def test_functional_call_replaces_parameters_and_buffers():
    def program(lib):
        model = network(lib)
        given = {name: (p * 2).detach().requires_grad_() for name, p in model.named_parameters()}
        buffers = {name: b.clone() for name, b in model.named_buffers()}
        x = data(lib, 5, 3)
        out = lib.func.functional_call(model, (given, buffers), (x,))
        out.pow(2).sum().backward()
        again = lib.nn.utils.stateless.functional_call(model, {"3.bias": lib.ones(2)}, x)
        grads = [g.grad for g in given.values()]
        return [out, again, *grads, dict(model.named_buffers()), buffers, model[0].weight.grad is None]

    both(program)


def test_functional_call_and_tied_weights():
    def program(lib):
        model = lib.nn.Sequential(lib.nn.Linear(3, 3), lib.nn.Linear(3, 3))
        model[1].weight = model[0].weight
        x, w = data(lib, 2, 3), data(lib, 3, 3, seed=4)
        call = lib.func.functional_call
        return [call(model, {"0.weight": w}, x), call(model, {"0.weight": w}, x, tie_weights=False), model(x)]

    both(program)


@pytest.mark.parametrize(
    "bad",
    [
        lambda lib, m: lib.func.functional_call(m, {"weight": 3.0}, lib.ones(3)),
        lambda lib, m: lib.func.functional_call(m, {"weight": lib.ones(2, 3)}, lib.ones(3), strict=True),
        lambda lib, m: lib.func.functional_call(m, {"weight": lib.ones(2, 5)}, lib.ones(3)),
    ],
)
def test_functional_call_leaves_the_module_as_it_was_when_it_fails(bad):
    def program(lib):
        model = lib.nn.Linear(3, 2)
        weight = model.weight
        try:
            bad(lib, model)
        except Exception:
            assert model.weight is weight
            raise

    _, theirs = both(program)
    assert isinstance(theirs, Exception)


def test_stacked_module_state():
    both(lambda lib: list(lib.func.stack_module_state([network(lib) for _ in range(3)])))


@pytest.mark.parametrize("kind", ["equal", "ema", "ema each", "own"])
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averaged_models(kind, use_buffers):
    def program(lib):
        swa = lib.optim.swa_utils
        options = {
            "equal": {},
            "ema": {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.7)},
            "ema each": {"avg_fn": swa.get_ema_avg_fn(0.7)},
            "own": {"avg_fn": lambda a, c, n: a * 0.5 + c * 0.5},
        }[kind]
        model = network(lib)
        averaged = swa.AveragedModel(model, use_buffers=use_buffers, **options)
        x = data(lib, 6, 3)
        with lib.no_grad():
            for i in range(3):
                model(x * (i + 1))
                for p in model.parameters():
                    p.add_(i + 1.0)
                averaged.update_parameters(model)
        before = averaged.state_dict()
        swa.update_bn([(x[:3], None), (x[3:], None)], averaged)
        return [before, averaged.eval()(x), averaged.state_dict(), averaged.training]

    both(program)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 3])
@pytest.mark.host("schedules are arithmetic of Python")
def test_swalr(strategy, epochs):
    def program(lib):
        groups = [{"params": [lib.ones(1, requires_grad=True)], "lr": lr} for lr in (1.0, 0.2)]
        optimizer = lib.optim.SGD(groups)
        schedule = lib.optim.swa_utils.SWALR(
            optimizer, [0.1, 0.05], anneal_epochs=epochs, anneal_strategy=strategy
        )
        seen = [schedule.get_last_lr()]
        for _ in range(5):
            optimizer.step()
            schedule.step()
            seen.append(schedule.get_last_lr())
        return seen

    both(program)


def test_refusals_of_averages():
    def decay(lib):
        lib.optim.swa_utils.get_ema_avg_fn(2.0)

    def strategy(lib):
        lib.optim.swa_utils.SWALR(lib.optim.SGD([lib.ones(1)], lr=1.0), 0.1, anneal_strategy="steps")

    for bad in (decay, strategy):
        assert isinstance(both(bad)[1], ValueError)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.host("each device draws its own random numbers")
def test_recomputation_gives_the_same_gradients(reentrant):
    def program(lib):
        checkpoint = lib.utils.checkpoint.checkpoint
        model = lib.nn.Sequential(lib.nn.Linear(3, 8), lib.nn.Dropout(0.5), lib.nn.Linear(8, 2))
        x = data(lib, 5, 3, grad=True)
        y = checkpoint(model, x, use_reentrant=reentrant)
        drawn = lib.rand(2)
        a, b = checkpoint(lambda s, t: (s * t, s + t), y, y.detach(), use_reentrant=reentrant)
        (a.sum() + b.pow(2).sum()).backward()
        return [y, a, b, drawn, lib.rand(2), x.grad, *(p.grad for p in model.parameters())]

    both(program)


def test_recomputation_runs_twice_and_keeps_nothing_between():
    calls = []

    def part(x, scale=None):
        calls.append(wg.is_grad_enabled())
        return (x * scale).tanh()

    layer = wg.nn.Parameter(wg.ones(2))
    wg.utils.checkpoint.checkpoint(part, wg.ones(2), scale=layer, use_reentrant=False).sum().backward()
    assert calls == [False, True] and layer.grad is not None
    with wg.no_grad():
        assert not wg.utils.checkpoint.checkpoint(part, wg.ones(2), scale=layer).requires_grad
    with pytest.raises(TypeError, match="tensor or a tuple"):
        wg.utils.checkpoint.checkpoint(lambda x: [x], wg.ones(2))


@pytest.mark.parametrize("segments", [1, 2, 3])
def test_recomputation_in_segments(segments):
    def program(lib):
        model = lib.nn.Sequential(*(lib.nn.Linear(3, 3) for _ in range(5)))
        x = data(lib, 2, 3, grad=True)
        y = lib.utils.checkpoint.checkpoint_sequential(model, segments, x, use_reentrant=False)
        y.sum().backward()
        return [y, x.grad, *(p.grad for p in model.parameters())]

    both(program)


@pytest.mark.parametrize("side", ["right", "left", "middle"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_of_sequences(side, batch_first):
    def program(lib):
        rnn = lib.nn.utils.rnn
        sequences = [data(lib, n, 2, seed=n, grad=True) for n in (3, 1, 4)]
        padded = rnn.pad_sequence(sequences, batch_first, -1.0, side)
        padded.pow(2).sum().backward()
        back = (
            rnn.unpad_sequence(padded.clone(), lib.tensor([3, 1, 4]), batch_first) if side == "right" else []
        )
        return [padded, back, *(s.grad for s in sequences)]

    _, theirs = both(program)
    assert isinstance(theirs, Exception) == (side == "middle")


@pytest.mark.parametrize("bad", [[], 3, "shapes"])
def test_sequences_that_cannot_be_padded(bad):
    def program(lib):
        return lib.nn.utils.rnn.pad_sequence([lib.ones(2, 3), lib.ones(2, 4)] if bad == "shapes" else bad)

    assert isinstance(both(program)[1], Exception)


def test_stacked_datasets():
    def program(lib):
        D = lib.utils.data
        pairs = D.StackDataset(range(5), lib.arange(5) * 2)
        named = D.StackDataset(x=range(5), y="abcde")
        loaded = [list(D.DataLoader(d, batch_size=2)) for d in (pairs, named)]
        return [len(pairs), pairs[3], named[4], loaded, named.__getitems__([1, 2])]

    both(program)
    for args, kwargs in (((), {}), ((range(2), range(3)), {}), ((range(2),), {"x": range(2)})):
        assert isinstance(
            both(lambda lib, a=args, k=kwargs: lib.utils.data.StackDataset(*a, **k))[1], ValueError
        )


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("count", [1, 10, 11])
def test_distributed_samplers(shuffle, drop_last, count):
    def program(lib):
        seen = []
        for rank in range(3):
            sampler = lib.utils.data.DistributedSampler(range(count), 3, rank, shuffle, 7, drop_last)
            for epoch in range(2):
                sampler.set_epoch(epoch)
                seen.append([len(sampler), *sampler])
        return seen

    both(program)
    assert isinstance(both(lambda lib: lib.utils.data.DistributedSampler(range(3), 2, 2))[1], ValueError)
