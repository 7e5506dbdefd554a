"""`config.gpu_fallback`: what a GPU cannot do runs on the CPU, where a program asks for it."""

import pytest
import wengert as wg
from test_devices import python

DOUBLES = """
import warnings
import wengert as wg
x = wg.tensor([1.0, 2.0, 3.0], dtype=wg.float64, device="gpu", requires_grad=True)
"""


def without_doubles(code):
    """What the program prints on a GPU without 64-bit floats."""
    return python(DOUBLES + code, WENGERT_GPU_LESS="f64")[0].splitlines()


def test_off_at_first():
    assert wg.config.gpu_fallback is False
    (told,) = without_doubles("""
try:
    x.exp()
except RuntimeError as e:
    print(e)
""")
    assert "has no 64-bit floats" in told


def test_results_gradients_and_warnings():
    code = """
wg.config.gpu_fallback = True
assert wg.config.gpu_fallback
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    y = (x.exp() * 2).sum()
    y.backward()
    x.exp(), x.exp()
assert y.is_gpu and x.grad.is_gpu
here = x.detach().cpu().requires_grad_()
(here.exp() * 2).sum().backward()
assert x.grad.tolist() == here.grad.tolist()
exp = [w for w in told if str(w.message).startswith("exp ")]
assert len(exp) == 1 and exp[0].category is UserWarning, told
print(exp[0].message)
"""
    (told,) = without_doubles(code)
    assert "runs on the CPU" in told and "has no 64-bit floats" in told


def test_every_kind_of_operation():
    code = """
wg.config.gpu_fallback = True
warnings.simplefilter("ignore")
a = wg.tensor([[3.0, 1.0], [2.0, 5.0], [4.0, 0.0]], dtype=wg.float64)
def written(x):
    x = x.clone()
    x[1:].mul_(10)
    x[[0, 2]] = x[[1, 1]]
    return x.scatter_(0, wg.zeros(1, 2, dtype=wg.int64, device=x.device), x[2:].clone())
for f in (
    written, wg.nonzero, wg.cumsum, wg.argmax, wg.sort, wg.median, wg.softmax, wg.var,
    lambda x: x @ x.T,
    lambda x: x.T.float(),
    lambda x: x.long().double(),
    lambda x: x[1:, ::2].gather(0, x[:2, :1].long() % 2),
    lambda x: wg.nn.functional.max_pool2d(x[None], (2, 1)),
    lambda x: wg.nn.functional.conv1d(x[None], x[:2, :, None].expand(2, 2, 3).transpose(1, 2)),
    lambda x: wg.linalg.inv(x[:2]),
    lambda x: x.fill_(2.0).sum(),
):
    args = (0,) if f in (wg.cumsum, wg.softmax) else ()
    here, there = f(a.clone(), *args), f(a.gpu(), *args)
    for h, t in zip(*[(r,) if isinstance(r, wg.Tensor) else r for r in (here, there)]):
        assert t.is_gpu, f
        assert (h - t.cpu()).abs().max().item() < 1e-12, (f, h, t)
assert wg.rand(3, dtype=wg.float64, device="gpu").is_gpu
print("done")
"""
    assert without_doubles(code) == ["done"]


def test_what_both_refuse_stays_refused():
    code = """
wg.config.gpu_fallback = True
warnings.simplefilter("error")
for call in (lambda: x.gather(0, wg.tensor([7], device="gpu")), lambda: x + wg.ones(4, device="gpu")):
    try:
        call()
    except (RuntimeError, IndexError) as e:
        print(e)
y = x.detach()
try:
    y.sin_()
except UserWarning as e:
    print(e, y.tolist())
"""
    gather, add, sin = without_doubles(code)
    assert "must match" in add and gather
    assert sin.startswith("sin runs on the CPU") and sin.endswith("[1.0, 2.0, 3.0]")


def test_settings_are_checked():
    with pytest.raises(TypeError, match="must be a bool"):
        wg.config.gpu_fallback = 1
    with pytest.raises(AttributeError, match="no setting 'gpu_fall'"):
        wg.config.gpu_fall = True
