"""What programs ask and set before they compute, as PyTorch answers on a machine without accelerators."""

import importlib
import sys
from pathlib import Path

import pytest
import wengert as wg

sys.path.append(str(Path(__file__).parents[1] / "nn"))
from nn_compare import both, data, torch


@pytest.mark.parametrize(
    "ask",
    [
        lambda lib: lib.cuda.is_available(),
        lambda lib: lib.cuda.is_initialized(),
        lambda lib: lib.cuda.device_count(),
        lambda lib: lib.cuda.memory_allocated(),
        lambda lib: lib.cuda.max_memory_allocated(),
        lambda lib: lib.cuda.empty_cache(),
        lambda lib: lib.cuda.manual_seed_all(3),
        lambda lib: lib.backends.mps.is_available(),
        lambda lib: lib.backends.mps.is_built(),
        lambda lib: lib.distributed.is_initialized(),
        lambda lib: lib.xpu.is_available(),
        lambda lib: lib.accelerator.is_available(),
        lambda lib: lib.compiler.is_compiling(),
        lambda lib: lib.is_autocast_enabled(),
        lambda lib: str(lib.get_default_device()),
        lambda lib: lib.set_default_device("cpu"),
        lambda lib: str(lib.channels_last),
        lambda lib: lib.version.hip,
    ],
)
def test_questions(ask):
    try:
        both(ask)
    finally:
        for lib in (torch, wg):
            lib.set_default_device(None)


def test_switches_keep_what_they_are_set_to():
    def program(lib):
        cudnn = lib.backends.cudnn
        before = cudnn.benchmark, cudnn.deterministic
        cudnn.benchmark, cudnn.deterministic = True, True
        seen = [cudnn.benchmark, cudnn.deterministic]
        with cudnn.flags(enabled=True, benchmark=False):
            seen += [cudnn.benchmark, cudnn.deterministic]
        seen += [cudnn.benchmark, cudnn.deterministic]
        cudnn.benchmark, cudnn.deterministic = before
        lib.backends.cuda.matmul.allow_tf32 = False
        return [*seen, lib.backends.cuda.matmul.allow_tf32]

    both(program)
    with pytest.raises(AttributeError):
        wg.backends.cuda.matmul.no_such_switch = True


@pytest.mark.parametrize("name", ["current_device", "synchronize", "get_device_name"])
def test_what_needs_a_device_raises(name):
    for lib in (wg, torch):
        with pytest.raises((RuntimeError, AssertionError)):
            getattr(lib.cuda, name)()


def test_names_of_modules():
    for name in ("backends.cudnn", "cuda.amp", "amp", "types", "distributed", "compiler", "mps"):
        ours, theirs = (importlib.import_module(f"{lib}.{name}") for lib in ("wengert", "torch"))
        for public in getattr(ours, "__all__", ()):
            assert hasattr(theirs, public), f"torch has no {name}.{public}"
    with pytest.raises(AttributeError, match="no distributed.init_process_group yet"):
        _ = wg.distributed.init_process_group


def test_compile_gives_the_function_itself():
    def double(x):
        return x * 2

    assert wg.compile(double) is double
    assert wg.compile(mode="max-autotune")(double) is double
    assert wg.compile(layer := wg.nn.Linear(1, 1), fullgraph=True) is layer
    with pytest.raises(TypeError, match="got int"):
        wg.compile(3)


def test_autocast_is_off_and_says_so():
    def program(lib):
        @lib.autocast("cpu", enabled=False)
        def product(x):
            return x @ x

        with lib.amp.autocast("cpu", enabled=False):
            return product(data(lib, 3, 3))

    both(program)
    with pytest.warns(UserWarning, match="disabling autocast"), wg.autocast("cpu"):
        assert (wg.ones(2, 2) @ wg.ones(2, 2)).dtype == wg.float32
    both(lambda lib: lib.autocast("toaster"))


@pytest.mark.parametrize("bad_step", [None, 1])
def test_scaled_training(bad_step):
    def program(lib):
        scaler = lib.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
        p = lib.nn.Parameter(data(lib, 4))
        opt = lib.optim.SGD([p], lr=0.1)
        seen = []
        for i in range(4):
            opt.zero_grad()
            scaler.scale((p * p).sum() * (float("inf") if i == bad_step else 1.0)).backward()
            scaler.unscale_(opt)
            norm = lib.nn.utils.clip_grad_norm_([p], 1.0)
            scaler.step(opt)
            scaler.update()
            seen += [p.detach().clone(), norm, scaler.get_scale()]
        other = lib.amp.GradScaler("cpu")
        other.load_state_dict(scaler.state_dict())
        return [*seen, scaler.state_dict(), other.get_scale()]

    both(program)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda s, o: (s.unscale_(o), s.unscale_(o)),
        lambda s, o: (s.step(o), s.step(o)),
        lambda s, o: s.update(),
        lambda s, o: s.load_state_dict({}),
        lambda s, o: s.scale(3),
    ],
)
def test_misuse_of_the_scaler(misuse):
    def program(lib):
        p = lib.nn.Parameter(data(lib, 2))
        scaler = lib.amp.GradScaler("cpu")
        scaler.scale(p.sum()).backward()
        return misuse(scaler, lib.optim.SGD([p], lr=0.1))

    _, theirs = both(program)
    assert isinstance(theirs, Exception)


def test_a_scaler_without_its_device_is_disabled():
    with pytest.warns(UserWarning, match="disabling GradScaler"):
        scaler = wg.amp.GradScaler("cuda")
    x = wg.ones(1)
    assert not scaler.is_enabled() and scaler.scale(x) is x and scaler.state_dict() == {}


def test_parallel_modules_run_where_they_are():
    def program(lib):
        model = lib.nn.DataParallel(lib.nn.Linear(3, 2))
        state = model.state_dict()
        lib.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
        return [model(data(lib, 4, 3)), list(model.state_dict()), list(state), list(state._metadata)]

    both(program)


def test_convolutions_with_derived_weights():
    def program(lib):
        class Standardised(lib.nn.Conv2d):
            def forward(self, x):
                weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
                return self._conv_forward(x, weight, self.bias)

        conv = Standardised(2, 3, 3, padding=1, padding_mode="reflect")
        conv(data(lib, 1, 2, 5, 5)).sum().backward()
        return [conv(data(lib, 2, 2, 5, 5)), conv.weight.grad]

    both(program)
