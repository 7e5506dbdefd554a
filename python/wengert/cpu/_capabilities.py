"""What the processor can do, by PyTorch's names, as the system lists it."""

import os
import platform
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

# PyTorch's names, each with Linux's where that is another.
_X86 = """
    sse sse2 sse3=pni ssse3 sse4_1 sse4_2 sse4a avx avx2 avx_vnni f16c fma3=fma fma4
    avx512_f=avx512f avx512_cd=avx512cd avx512_dq=avx512dq avx512_bw=avx512bw avx512_vl=avx512vl
    avx512_ifma=avx512ifma avx512_vbmi=avx512vbmi avx512_vbmi2 avx512_bitalg avx512_vpopcntdq avx512_vnni
    avx512_bf16 avx512_fp16 avx512_vp2intersect avx512_4vnniw avx512_4fmaps amx_bf16 amx_tile amx_int8
    bmi=bmi1 bmi2 popcnt lzcnt=abm aes sha=sha_ni clflush clflushopt clwb
"""
_ARM = """
    neon=asimd fp16_arith=asimdhp bf16 i8mm dot=asimddp fhm=asimdfhm rdm=asimdrdm sve sve2 sve_bf16=svebf16
    sme sme2 atomics crc32 aes sha1 sha2 pmull
"""
_NAMES = {"x86_64": _X86, "aarch64": _ARM}


def read_capabilities(cpuinfo, architecture):
    """The mapping of a processor from the text of Linux's /proc/cpuinfo, which is empty elsewhere."""
    fields = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    found = {"architecture": architecture, "num_logical_cores": os.cpu_count()}
    if "model name" in fields:
        found["cpu_name"] = fields["model name"]
    listed = fields.get("flags", fields.get("Features"))
    if listed is not None:
        flags = set(listed.split())
        for name in _NAMES.get(architecture, "").split():
            ours, _, theirs = name.partition("=")
            found[ours] = (theirs or ours) in flags
    return found


@lru_cache(None)
def get_capabilities():
    """What the processor can do: an immutable mapping from names of instruction sets to whether they are there.

    ``"architecture"``, ``"num_logical_cores"`` and, where it is known, ``"cpu_name"`` are in it, too. What the system
    does not list is not. Which set the kernels use is another question:
    :func:`wengert.backends.cpu.get_cpu_capability`.

    Example:
        >>> has = wg.cpu.get_capabilities()
        >>> has.get("avx512_f", False) <= has.get("avx2", True)
        True
    """
    listed = Path("/proc/cpuinfo")
    text = listed.read_text() if listed.exists() else ""
    return MappingProxyType(read_capabilities(text, platform.machine()))
