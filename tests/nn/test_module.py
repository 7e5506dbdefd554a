"""Module: registries, attributes, walking, state dicts, hooks, casts, printing and refusals."""

import copy
import gc
import pickle
import weakref

import pytest
import wengert as wg
from nn_compare import both, data, labels, torch


def make_net(lib):
    nn = lib.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3))
            self.head = nn.Linear(3, 2)
            self.scale = nn.Parameter(lib.ones(1))
            self.tied = self.head
            self.register_buffer("offset", lib.zeros(2))
            self.register_buffer("cache", lib.ones(1), persistent=False)
            self.register_parameter("absent", None)

        def forward(self, x):
            return self.head(self.body(x)) * self.scale + self.offset

    return Net()


def test_walks():
    def program(lib):
        net = make_net(lib)
        return [
            [name for name, _ in net.named_parameters()],
            [name for name, _ in net.named_parameters(prefix="p", remove_duplicate=False)],
            [name for name, _ in net.named_parameters(recurse=False)],
            [name for name, _ in net.named_buffers()],
            [name for name, _ in net.named_modules()],
            [name for name, _ in net.named_modules(remove_duplicate=False)],
            [name for name, _ in net.named_children()],
            [type(m).__name__ for m in net.modules()],
            [type(m).__name__ for m in net.children()],
            list(net.state_dict()),
            list(net.state_dict(prefix="n.", keep_vars=True)),
            [m.training for m in net.eval().modules()],
            [p.requires_grad for p in net.requires_grad_(False).parameters()],
            repr(net),
            repr(net.set_submodule("body.1", lib.nn.Tanh()) or net.body),
            net.get_submodule("body.1") is net.body[1],
            net.get_parameter("body.0.weight") is net.body[0].weight,
            net.get_buffer("body.2.running_mean") is net.body[2].running_mean,
            all(name in dir(net) for name in ("body", "scale", "offset", "forward", "_modules")),
        ]

    both(program)


def test_attributes_follow_registries():
    net = make_net(wg)
    fresh = wg.nn.Parameter(wg.zeros(1))
    net._parameters["scale"] = fresh
    assert net.scale is fresh
    net.scale = None
    assert net._parameters["scale"] is None and net.scale is None
    net.scale = fresh
    del net.scale
    assert not hasattr(net, "scale") and "scale" not in net._parameters
    net.offset = wg.ones(2)
    assert net._buffers["offset"] is net.offset
    net.scale = wg.nn.Linear(1, 1)
    assert list(net._modules)[-1] == "scale"
    net.scale = wg.nn.Parameter(wg.zeros(1))
    assert "scale" not in net._modules and "scale" in net._parameters
    net._modules.pop("tied")
    assert not hasattr(net, "tied")
    net._parameters.update(extra=fresh)
    assert net.extra is fresh
    net._parameters.clear()
    assert not hasattr(net, "extra")


def test_modules_free_at_once():
    net = make_net(wg)
    gone = weakref.ref(net)
    weight = weakref.ref(net.head.weight)
    gc.disable()
    try:
        del net
        assert gone() is None and weight() is None
    finally:
        gc.enable()


REFUSALS = [
    lambda lib, net: setattr(net, "scale", 3),
    lambda lib, net: setattr(net, "scale", lib.ones(1)),
    lambda lib, net: setattr(net, "head", 3),
    lambda lib, net: setattr(net, "offset", "x"),
    lambda lib, net: net.register_parameter("a.b", None),
    lambda lib, net: net.register_parameter("", None),
    lambda lib, net: net.register_parameter(3, None),
    lambda lib, net: net.register_parameter("forward", None),
    lambda lib, net: net.register_parameter("w", lib.ones(1)),
    lambda lib, net: setattr(net, "fresh", net.scale * 2) or net.register_parameter("w", net.fresh),
    lambda lib, net: net.register_buffer("a.b", lib.ones(1)),
    lambda lib, net: net.register_buffer("forward", lib.ones(1)),
    lambda lib, net: net.register_buffer("b", 3),
    lambda lib, net: net.add_module("a.b", lib.nn.ReLU()),
    lambda lib, net: net.add_module("", lib.nn.ReLU()),
    lambda lib, net: net.add_module("m", 3),
    lambda lib, net: net.add_module("forward", lib.nn.ReLU()),
    lambda lib, net: net.missing,
    lambda lib, net: delattr(net, "missing"),
    lambda lib, net: net.get_submodule("body.7"),
    lambda lib, net: net.get_submodule("scale"),
    lambda lib, net: net.get_parameter("head.nothing"),
    lambda lib, net: net.get_parameter("head"),
    lambda lib, net: net.get_buffer("scale"),
    lambda lib, net: net.to(lib.int64),
    lambda lib, net: net.set_submodule("", lib.nn.ReLU()),
    lambda lib, net: net.set_submodule("body.9", lib.nn.ReLU(), strict=True),
    lambda lib, net: net.set_submodule("scale", lib.nn.ReLU()),
    lambda lib, net: net.set_submodule("head", 3),
    lambda lib, net: net.train("yes"),
    lambda lib, net: net.load_state_dict([1, 2]),
    lambda lib, net: lib.nn.Module(3),
    lambda lib, net: lib.nn.Module(depth=3),
]


@pytest.mark.parametrize("index", range(len(REFUSALS)))
def test_refusals_with_torchs_words(index):
    ours, theirs = both(lambda lib: REFUSALS[index](lib, make_net(lib)))
    assert isinstance(theirs, Exception), "torch accepts this"
    assert type(ours) is type(theirs)


@pytest.mark.parametrize("index", [0, 2, 4, 5, 6, 7, 10, 13, 15, 17, 20, 24, 25, 26, 27])
def test_messages_equal_torchs(index):
    ours, theirs = both(lambda lib: REFUSALS[index](lib, make_net(lib)))
    assert str(ours) == str(theirs)


def test_init_must_come_first():
    def program(lib, value):
        class Early(lib.nn.Module):
            def __init__(self):
                self.thing = value(lib)

        return Early()

    for value in (
        lambda lib: lib.nn.Parameter(lib.ones(1)),
        lambda lib: lib.nn.ReLU(),
    ):
        ours, theirs = both(lambda lib, value=value: program(lib, value))
        assert str(ours) == str(theirs) and type(ours) is AttributeError


# -- state dicts ------------------------------------------------------------------------------


def test_load_state_dict_errors_are_torchs():
    def program(lib):
        net = make_net(lib)
        state = net.state_dict()
        state["head.weight"] = lib.ones(5, 5)
        state["surprise"] = lib.ones(1)
        state["body.9.weight"] = lib.ones(1)
        del state["body.0.bias"], state["scale"]
        state["offset"] = "text"
        return net.load_state_dict(state)

    ours, theirs = both(program)
    assert type(ours) is RuntimeError
    assert str(ours).replace("wengert", "torch") == str(theirs)


def test_strict_false_and_assign():
    def program(lib):
        source, net = make_net(lib), make_net(lib)
        state = source.state_dict()
        state["surprise"] = lib.ones(1)
        del state["scale"]
        result = net.load_state_dict(state, strict=False)
        again = net.load_state_dict(source.state_dict(), assign=True)
        return [
            list(result.missing_keys),
            list(result.unexpected_keys),
            repr(again),
            dict(net.state_dict()),
            net.head.weight.data_ptr() == source.head.weight.data_ptr(),
            net.tied.weight is net.head.weight,
        ]

    both(program)


def test_state_dict_shares_memory_and_has_metadata():
    net = make_net(wg)
    state = net.state_dict()
    assert not state["scale"].requires_grad
    with wg.no_grad():
        net.scale.fill_(7.0)
    assert state["scale"].item() == 7.0
    both(lambda lib: {k: dict(v) for k, v in make_net(lib).state_dict()._metadata.items()})


def test_extra_state_and_hooks_of_state_dicts():
    def program(lib):
        log = []

        class Counter(lib.nn.Module):
            def __init__(self):
                super().__init__()
                self.count = 3

            def get_extra_state(self):
                return {"count": self.count}

            def set_extra_state(self, state):
                self.count = state["count"]

        counter = Counter()
        counter.register_state_dict_pre_hook(lambda module, prefix, keep: log.append("pre"))
        counter.register_state_dict_post_hook(lambda module, state, prefix, meta: log.append("post") or None)
        counter.register_load_state_dict_pre_hook(lambda module, *args: log.append("load pre"))
        counter.register_load_state_dict_post_hook(lambda module, keys: log.append("load post"))
        state = counter.state_dict()
        other = Counter()
        other.count = 0
        other.load_state_dict(state)
        counter.load_state_dict(state)
        return [list(state), other.count, log]

    both(program)


# -- hooks ------------------------------------------------------------------------------------


def test_forward_hooks():
    def program(lib):
        net, log = lib.nn.Linear(2, 2), []
        first = net.register_forward_pre_hook(lambda m, args: log.append("pre") or (args[0] * 2,))
        net.register_forward_pre_hook(lambda m, args: log.append("earlier"), prepend=True)
        net.register_forward_hook(lambda m, args, out: log.append(tuple(args[0].tolist())) or out + 1)
        net.register_forward_hook(
            lambda m, args, kwargs, out: log.append(sorted(kwargs)) or None, with_kwargs=True
        )
        x = lib.tensor([1.0, 2.0])
        outputs = [net(x)]
        first.remove()
        first.remove()
        outputs.append(net(x))
        outputs.append(net(input=x) if not net._forward_pre_hooks else net(x))
        return [outputs, log]

    both(program)


def test_kwargs_pre_hook_and_always_call():
    def program(lib):
        class Scaled(lib.nn.Module):
            def forward(self, x, factor=1.0):
                if factor < 0:
                    raise ValueError("negative")
                return x * factor

        net, log = Scaled(), []
        net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": -1.0}), with_kwargs=True)
        net.register_forward_hook(lambda m, args, out: log.append(out), always_call=True)
        try:
            net(lib.ones(1), factor=3.0)
        except ValueError:
            return log
        return None

    both(program)


def test_calls_by_keyword_and_without_arguments():
    class Odd(wg.nn.Module):
        def forward(self, x=None, *, y=2):
            return (x, y)

    assert Odd()() == (None, 2)
    assert Odd()(1) == (1, 2)
    assert Odd()(x=1, y=3) == (1, 3)
    with pytest.raises(TypeError):
        Odd()(1, 2)


def test_full_backward_hooks():
    def program(lib):
        net, log = lib.nn.Linear(2, 1, bias=False), []
        net.register_full_backward_hook(
            lambda m, gin, gout: log.append([list(g.shape) for g in (*gin, *gout)]) or (gin[0] * 2,)
        )
        net.register_full_backward_pre_hook(lambda m, gout: (gout[0] * 3,))
        x = data(lib, 4, 2, grad=True)
        net(x).sum().backward()
        return [log, x.grad, net.weight.grad]

    both(program)


# -- casts, copies, freedom -------------------------------------------------------------------


def test_casts_keep_parameters_and_grads():
    def program(lib):
        net = make_net(lib)
        net(data(lib, 4, 2)).sum().backward()
        before = list(net.parameters())
        net.double()
        kept = all(a is b for a, b in zip(before, net.parameters(), strict=True))
        dtypes = [str(t.dtype) for t in net.state_dict().values()]
        grads = [str(p.grad.dtype) for p in net.parameters() if p.grad is not None]
        net.to("cpu", lib.float32)
        net.to(lib.ones(1, dtype=lib.float64))
        net.half().float().bfloat16()
        return [kept, dtypes, grads, str(net.scale.dtype), net.head.weight.is_leaf]

    both(program)


def test_zero_grad():
    def program(lib):
        net = lib.nn.Linear(2, 2)
        net(data(lib, 3, 2)).sum().backward()
        net.zero_grad(set_to_none=False)
        zeros = [p.grad for p in net.parameters()]
        net.zero_grad()
        return [zeros, [p.grad is None for p in net.parameters()]]

    both(program)


def test_deepcopy_keeps_ties_and_independence():
    net = make_net(wg)
    twin = copy.deepcopy(net)
    assert twin.tied is twin.head and twin.head is not net.head
    with wg.no_grad():
        twin.scale.fill_(5.0)
    assert net.scale.item() == 1.0
    twin._parameters["scale"] = wg.nn.Parameter(wg.zeros(1))
    assert twin.scale.item() == 0.0
    layer = pickle.loads(pickle.dumps(wg.nn.Sequential(wg.nn.Linear(2, 2))))
    assert isinstance(layer[0].weight, wg.nn.Parameter)


def test_parameter():
    def program(lib):
        p = lib.nn.Parameter(lib.tensor([1.0, 2.0]))
        q = lib.nn.Parameter(lib.tensor([1, 2]), requires_grad=False)
        return [
            repr(p),
            repr(q),
            p.requires_grad,
            p.is_leaf,
            type(p * 2) is lib.Tensor,
            type(p.detach()) is lib.Tensor,
            isinstance(copy.deepcopy(p), lib.nn.Parameter),
            tuple(lib.nn.Parameter().shape),
            isinstance(lib.ones(1), lib.nn.Parameter),
        ]

    both(program)
    shared = wg.zeros(2)
    wg.nn.Parameter(shared).data.fill_(3.0)
    assert shared.tolist() == [3.0, 3.0]


def test_buffer_class():
    def program(lib):
        net = lib.nn.Module()
        net.a = lib.nn.Buffer(lib.ones(2))
        net.b = lib.nn.Buffer(lib.ones(2), persistent=False)
        return [list(net.state_dict()), [n for n, _ in net.named_buffers()]]

    both(program)


# -- containers -------------------------------------------------------------------------------


def test_sequential():
    def program(lib):
        nn = lib.nn
        net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        net.append(nn.Tanh()).insert(1, nn.Sigmoid())
        net[0] = nn.Linear(2, 3, bias=False)
        del net[-1]
        part = net[1:3]
        both_nets = net + nn.Sequential(nn.ReLU())
        net.extend([nn.ReLU(), nn.Tanh()])
        popped = net.pop(-1)
        return [
            repr(net),
            repr(part),
            repr(both_nets),
            len(net),
            repr(popped),
            net(data(lib, 4, 2)),
            [type(m).__name__ for m in net],
            repr(nn.Sequential()),
            repr(nn.Sequential(nn.ReLU()) * 2),
        ]

    both(program)
    for bad in (lambda lib: lib.nn.Sequential()[0], lambda lib: lib.nn.Sequential(3)):
        _, theirs = both(bad)
        assert isinstance(theirs, Exception)


def test_lists_and_dicts():
    def program(lib):
        nn = lib.nn
        many = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.ReLU()])
        many += [nn.Tanh()]
        many.insert(1, nn.ReLU())
        named = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
        named["c"] = nn.Tanh()
        gone = named.pop("a")
        tensors = nn.ParameterList([lib.ones(2, 3), nn.Parameter(lib.ones(1)), 5])
        by_name = nn.ParameterDict({"w": lib.ones(2), "v": lib.ones(1)})
        return [
            repr(many),
            repr(many[1:3]),
            len(many),
            repr(named),
            list(named),
            "b" in named,
            repr(gone),
            list(named.state_dict()),
            repr(tensors),
            repr(by_name),
            list(by_name.state_dict()),
            [n for n, _ in tensors.named_parameters()],
            repr(nn.ModuleList()),
        ]

    both(program)


# -- parameter utilities ----------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, float("inf")])
def test_clip_grad_norm(norm_type):
    def program(lib):
        net = lib.nn.Linear(3, 2)
        net(data(lib, 5, 3) * 10).sum().backward()
        total = lib.nn.utils.clip_grad_norm_(net.parameters(), 0.7, norm_type)
        after = lib.nn.utils.get_total_norm([p.grad for p in net.parameters()], norm_type)
        small = lib.nn.utils.clip_grad_norm_(net.weight, 100.0)
        return [total, after, small, [p.grad for p in net.parameters()]]

    both(program)


def test_clip_values_vectors_and_nonfinite():
    def program(lib):
        net = lib.nn.Linear(3, 2)
        net(data(lib, 5, 3) * 10).sum().backward()
        lib.nn.utils.clip_grad_value_(net.parameters(), 0.5)
        vector = lib.nn.utils.parameters_to_vector(net.parameters())
        lib.nn.utils.vector_to_parameters(vector * 2, net.parameters())
        return [[p.grad for p in net.parameters()], vector, list(net.parameters())]

    both(program)

    def infinite(lib):
        p = lib.nn.Parameter(lib.ones(1))
        p.grad = lib.tensor([float("inf")])
        return lib.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)

    ours, theirs = both(infinite)
    assert isinstance(theirs, RuntimeError)
    both(lambda lib: lib.nn.utils.clip_grad_norm_([], 1.0))


def test_training_equals_torchs_step_by_step():
    def program(lib):
        nn = lib.nn
        net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
        optimizer = lib.optim.Adam(net.parameters(), lr=0.1)
        criterion = nn.CrossEntropyLoss()
        x, y = data(lib, 16, 2), labels(lib, 16, classes=2)
        losses = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    both(program, tol=1e-4)
    assert torch is not None
