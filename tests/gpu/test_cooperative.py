"""Products by a card's own units for small squares, which are asked for."""

import pytest
import wengert as wg
from support import python

ON = "import wengert as wg\nwg.config.gpu_cooperative_matrices = True\n"


def test_products_and_convolutions_of_halves_are_the_cpus():
    code = """
wg.manual_seed(0)
for a, b in [((70, 33), (33, 90)), ((3, 64, 64), (3, 64, 64)), ((5, 40), (40, 5))]:
    a, b = wg.randn(a, dtype=wg.float16), wg.randn(b, dtype=wg.float16)
    wg.testing.assert_close((a.gpu() @ b.gpu()).cpu(), a @ b, rtol=2e-3, atol=2e-3)
x, w = wg.randn(2, 16, 12, 12, dtype=wg.float16), wg.randn(24, 16, 3, 3, dtype=wg.float16)
there = [v.gpu().requires_grad_() for v in (x, w)]
here = [v.clone().requires_grad_() for v in (x, w)]
for v in (there, here):
    wg.nn.functional.conv2d(*v).sum().backward()
for a, b in zip(there, here):
    wg.testing.assert_close(a.grad.cpu(), b.grad, rtol=2e-3, atol=2e-1)
print(wg.config.gpu_cooperative_matrices)
"""
    assert python(ON + code)[0] == "True"


def test_they_are_asked_for_before_the_device_is_opened():
    code = """
import wengert as wg
x = wg.ones(2, device="gpu")
has = wg.gpu.devices()[0].cooperative_matrices
try:
    wg.config.gpu_cooperative_matrices = True
    refused = False
except RuntimeError as e:
    assert "gpu:0" in str(e) and "before the first tensor on a GPU" in str(e), e
    refused = True
assert refused == has and wg.config.gpu_cooperative_matrices == (not has)
wg.config.gpu_cooperative_matrices = False
print((x + x).tolist())
"""
    assert python(code)[0] == "[2.0, 2.0]"


def test_the_setting_is_a_bool():
    with pytest.raises(TypeError, match="gpu_cooperative_matrices must be a bool, but got str"):
        wg.config.gpu_cooperative_matrices = "yes"
    assert wg.config.gpu_cooperative_matrices is False
