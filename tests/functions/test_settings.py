"""Global switches and questions: what they answer, keep and refuse, as in PyTorch."""

import warnings

import pytest
import torch
import wengert as wg
from test_memory import both


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "program",
    [
        lambda lib: lib.get_deterministic_debug_mode(),
        lambda lib: lib.set_deterministic_debug_mode(3),
        lambda lib: lib.set_deterministic_debug_mode("x"),
        lambda lib: lib.set_deterministic_debug_mode(2.0),
        lambda lib: lib.is_warn_always_enabled(),
        lambda lib: lib.set_warn_always(1),
        lambda lib: lib.set_flush_denormal(1),
        lambda lib: lib.set_num_interop_threads(0),
        lambda lib: lib.set_num_interop_threads(1.0),
        lambda lib: lib.is_autocast_cache_enabled(),
        lambda lib: lib.clear_autocast_cache(),
        lambda lib: lib.set_autocast_cache_enabled(1),
        lambda lib: str(lib.get_autocast_dtype("cpu")),
        lambda lib: str(lib.get_autocast_dtype("cuda")),
        lambda lib: lib.get_autocast_dtype("toaster"),
        lambda lib: lib.set_autocast_dtype("toaster", lib.float16),
        lambda lib: lib.set_autocast_dtype("cpu", 3),
        lambda lib: lib.set_autocast_enabled("cpu", False),
        lambda lib: lib.set_autocast_enabled(False),
        lambda lib: lib.set_autocast_enabled("cpu", 1),
        lambda lib: lib.set_autocast_enabled("toaster", False),
    ],
)
def test_questions_and_refusals(program):
    both(program)


def test_switches_are_kept():
    def program(lib):
        seen = []
        for mode in ("warn", 2, "default"):
            lib.set_deterministic_debug_mode(mode)
            seen += [lib.get_deterministic_debug_mode(), lib.is_deterministic_algorithms_warn_only_enabled()]
        for value in (True, False):
            lib.set_warn_always(value)
            seen.append(lib.is_warn_always_enabled())
        for value in (False, True):
            lib.set_autocast_cache_enabled(value)
            seen.append(lib.is_autocast_cache_enabled())
        for dtype in (lib.float16, lib.bfloat16):
            lib.set_autocast_dtype("cpu", dtype)
            seen.append(str(lib.get_autocast_dtype("cpu")))
        return seen

    assert program(wg) == program(torch)


def test_old_forms_speak_of_the_same_state():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for lib in (torch, wg):
            lib.set_autocast_cpu_dtype(lib.float16)
            assert lib.get_autocast_dtype("cpu") == lib.get_autocast_cpu_dtype() == lib.float16
            lib.set_autocast_cpu_dtype(lib.bfloat16)
            lib.set_autocast_gpu_dtype(lib.bfloat16)
            assert lib.get_autocast_gpu_dtype() == lib.bfloat16
            lib.set_autocast_gpu_dtype(lib.float16)
            lib.set_autocast_cpu_enabled(False)
            assert not lib.is_autocast_cpu_enabled()


@pytest.mark.only_wengert
def test_what_stays_off_says_so():
    with pytest.warns(UserWarning, match="stays disabled"):
        wg.set_autocast_enabled("cpu", True)
    assert not wg.is_autocast_enabled() and wg.set_flush_denormal(True) is False
    before = wg.get_num_interop_threads()
    wg.set_num_interop_threads(3)
    assert wg.get_num_interop_threads() == 3
    wg.set_num_interop_threads(before)
