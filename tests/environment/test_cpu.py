"""What `wengert.cpu` answers as `torch.cpu` does, and what it says of the processor."""

import inspect
import os
import platform

import pytest
import wengert as wg
from support import python
from wengert.cpu._capabilities import read_capabilities

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.only_wengert


def test_there_is_what_torch_has():
    for theirs, ours in (
        (torch.cpu, wg.cpu),
        (torch.cpu.amp, wg.cpu.amp),
        (torch.backends.cpu, wg.backends.cpu),
    ):
        for name in getattr(theirs, "__all__", ("autocast", "GradScaler")):
            assert hasattr(ours, name), f"{ours.__name__} has no {name}"
        assert set(ours.__all__) <= set(dir(ours))
    with pytest.raises(AttributeError, match="wengert has no cpu.flop yet"):
        wg.cpu.flop


@pytest.mark.parametrize(
    "name",
    ["is_available", "is_initialized", "device_count", "current_device", "set_device", "synchronize"],
)
def test_answers_are_those_of_torch(name):
    ours, theirs = getattr(wg.cpu, name), getattr(torch.cpu, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    choices = {"set_device": [("cpu",), (0,)], "synchronize": [(), ("cpu",)]}.get(name, [()])
    for arguments in choices:
        assert ours(*arguments) == theirs(*arguments)


@pytest.mark.parametrize("name", ["Stream", "Event"])
def test_members_are_those_of_torch(name):
    ours, theirs = getattr(wg.cpu, name), getattr(torch.cpu, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    for member, function in vars(theirs).items():
        if inspect.isfunction(function):
            found = inspect.signature(getattr(ours, member))
            assert list(found.parameters) == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("lib", [wg, torch], ids=["wengert", "torch"])
def test_streams(lib):
    first, one, two = lib.cpu.current_stream(), lib.cpu.Stream(), lib.cpu.Stream(priority=0)
    with lib.cpu.stream(one):
        assert lib.cpu.current_stream() is one
        with pytest.raises(KeyError), lib.cpu.StreamContext(two):
            assert lib.cpu.current_stream("cpu") is two
            raise KeyError
        with lib.cpu.stream(None):
            assert lib.cpu.current_stream() is one
    assert lib.cpu.current_stream() is first
    event = lib.cpu.Event()
    assert event.record(one) is event.record() is None and event.query()
    assert event.wait(one) is event.synchronize() is None
    assert one.wait_stream(two) is one.wait_event(event) is one.record_event() is None


@pytest.mark.filterwarnings("ignore:.*torch.cpu.amp:FutureWarning")
def test_the_older_names_of_autocast():
    for lib in (wg, torch):
        with lib.cpu.amp.autocast(enabled=False):
            assert lib.ones(2).add(1).tolist() == [2, 2]
        p = lib.nn.Parameter(lib.ones(1))
        scaler = lib.cpu.amp.GradScaler(init_scale=8.0)
        scaler.scale(p.sum()).backward()
        assert p.grad.tolist() == [8]


# --- what the processor can do --------------------------------------------------------------------------------


def test_capabilities():
    ours, theirs = wg.cpu.get_capabilities(), torch.cpu.get_capabilities()
    shared = ours.keys() & theirs.keys()
    assert {"architecture", "num_logical_cores"} <= shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    if platform.machine() == "x86_64" and os.path.exists("/proc/cpuinfo"):
        assert {"avx2", "avx512_f", "avx512_vnni", "fma3", "amx_tile", "cpu_name"} <= shared
    with pytest.raises(TypeError):
        ours["avx2"] = True


def test_capabilities_of_other_machines():
    arm = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd asimddp sve\nCPU part\t: 0xd40\n"
    found = read_capabilities(arm, "aarch64")
    assert found["architecture"] == "aarch64" and "cpu_name" not in found
    assert found["neon"] and found["dot"] and found["sve"]
    assert not found["sve2"] and not found["bf16"] and "avx2" not in found
    unknown = read_capabilities("", "riscv64")
    assert unknown == {"architecture": "riscv64", "num_logical_cores": os.cpu_count()}


def test_the_kernels_instruction_set():
    ask = "import wengert as wg; print(wg.backends.cpu.get_cpu_capability(), wg.cpu.memory_summary().split()[-1])"
    assert python(ask, WENGERT_ISA="base")[0] == "DEFAULT DEFAULT"
    if platform.machine() == "x86_64" and "ATEN_CPU_CAPABILITY" not in os.environ:
        best = torch.backends.cpu.get_cpu_capability()
        assert python(ask, WENGERT_ISA="")[0] == f"{best} {best}"
        if best == "AVX512":
            assert python(ask, WENGERT_ISA="avx2")[0] == "AVX2 AVX2"
