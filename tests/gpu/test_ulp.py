"""Elementwise operations are as near to the CPU's as docs/gpu.md states in the table that tools/gpu_ulp.py writes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import wengert as wg

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import gpu_ulp

ROWS = gpu_ulp.rows()
# WGSL lets a card divide and take roots to within 2.5 ulp; Mesa's processor rounds both exactly.
CARD = 4


def test_the_table_is_of_all_rows():
    assert len(ROWS) > 100 and list(gpu_ulp.stated()) == [row.name for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_row(row):
    limits = gpu_ulp.stated()[row.name]
    compared = 0
    for dtype, limit in limits.items():
        if dtype == "float64" and not gpu_ulp.has_float64():
            continue
        found = gpu_ulp.measured(row, dtype)
        assert (found is None) == (limit is None), f"{dtype}: docs/gpu.md says {limit}"
        if found is None:
            continue
        compared += 1
        ulps, where = found
        assert ulps is not None, f"{dtype}: not even of one kind: {where}"
        slack = 0 if dtype == "int64" or wg.gpu.devices()[0].software else CARD
        assert ulps <= limit + slack, f"{dtype}: {ulps} ulp, docs/gpu.md says {limit}: {where}"
    assert compared


def test_distances():
    def apart(a, b, dtype="f4"):
        return gpu_ulp.distance(np.array([a], dtype), np.array([b], dtype))[0]

    one = np.float32(1)
    assert apart(1, 1) == apart(0.0, -0.0) == apart(np.nan, np.nan) == 0
    assert apart(1, np.nextafter(one, 2 * one)) == 1 and apart(1, np.nextafter(one, -one)) == 1
    assert apart(-1, -np.nextafter(one, 2 * one)) == 1
    assert apart(np.finfo("f4").max, np.inf) == 1 and apart(np.inf, -np.inf) > 2**31
    assert apart(1, 2) == 2**23 and apart(1, 2, "f8") == 2**52
    assert apart(1, np.nan) is None and apart(1e-30, 0.0) > 2**20
    assert apart(1e-40, 0.0) == 0
    assert apart(3, 4, "i8") is None
