"""Devices: what there is, how tensors get there and back, and what is refused."""

import copy
import os
import pickle
import sys

import numpy as np
import pytest
import wengert as wg
from support import python

DTYPES = [wg.float32, wg.float16, wg.bfloat16, wg.int8, wg.uint8, wg.int16, wg.int32, wg.int64, wg.bool]


def test_what_there_is():
    (first, *_) = wg.gpu.devices()
    assert first.name and first.backend in ("vulkan", "metal", "dx12")
    assert first.max_buffer >= first.max_binding > 2**20
    assert wg.gpu.device_count() >= 1
    assert wg.gpu.get_device_name() == first.name == wg.gpu.get_device_name("gpu:0")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_there_and_back(gpu, dtype):
    x = wg.tensor([[0, 1, 2], [3, 4, 100]]).to(dtype)
    y = x.to("gpu")
    assert y.device == wg.device("gpu:0") and y.is_gpu and not y.is_cpu and x.is_cpu
    assert y.dtype == dtype and y.shape == x.shape
    assert y.cpu().equal(x)
    assert y.t().cpu().equal(x.t())
    assert y[1:, ::2].cpu().equal(x[1:, ::2])
    assert y.tolist() == x.tolist()
    assert y.to("gpu") is y and y.gpu() is y
    assert wg.empty(0, 3, dtype=dtype, device="gpu").cpu().shape == (0, 3)


def test_the_name_of_the_device(gpu):
    assert str(gpu) == "gpu" and str(wg.ones(1, device="gpu").device) == "gpu:0"
    assert repr(wg.tensor([1.5, 2.0], device=gpu)) == "tensor([1.5000, 2.0000], device='gpu:0')"
    assert repr(wg.device("gpu", 1)) == "device(type='gpu', index=1)"
    assert wg.tensor(3.0, device="gpu").item() == 3.0
    assert [float(v) for v in wg.arange(3.0, device="gpu")] == [0.0, 1.0, 2.0]


def test_the_default_device(gpu):
    with wg.device("gpu"):
        assert wg.zeros(2).is_gpu and wg.tensor([1]).is_gpu and wg.rand(2).is_gpu
        with wg.device("cpu"):
            assert wg.zeros(2).is_cpu
        assert wg.get_default_device().type == "gpu"
    assert wg.zeros(2).is_cpu
    wg.set_default_device("gpu")
    try:
        assert wg.arange(2).is_gpu
    finally:
        wg.set_default_device(None)
    assert wg.arange(2).is_cpu


def test_numbers_of_the_host_take_part(gpu):
    x = wg.tensor([1.0, 2.0], device="gpu")
    assert (x + wg.tensor(1.0)).cpu().tolist() == [2.0, 3.0]
    w = wg.tensor(3.0, requires_grad=True)
    (x * w).sum().backward()
    assert w.grad.is_cpu and w.grad.item() == 3.0


def test_operands_of_two_devices_are_refused():
    x, y = wg.ones(2, device="gpu"), wg.ones(2)
    for call in (lambda: x + y, lambda: x @ y, lambda: wg.cat([x, y]), lambda: x.add_(y)):
        with pytest.raises(RuntimeError, match="gpu:0.*cpu|cpu.*gpu:0"):
            call()
    assert x.tolist() == [1.0, 1.0]


def test_numpy_wants_host_memory():
    x = wg.ones(2, device="gpu")
    for call in (x.numpy, lambda: np.asarray(x)):
        with pytest.raises(TypeError, match=r"gpu:0 device type tensor to numpy. Use Tensor.cpu\(\)"):
            call()
    assert x.cpu().numpy().tolist() == [1.0, 1.0]


def test_what_is_not_there():
    missing = wg.gpu.device_count()
    with pytest.raises(RuntimeError, match=f"gpu:{missing}.*no such GPU"):
        wg.ones(1, device=f"gpu:{missing}")
    with pytest.raises(RuntimeError, match="Invalid device string"):
        wg.device("gpu:x")
    with pytest.raises(RuntimeError, match="device 'gpu'"):
        wg.ones(1).to("cuda")
    with pytest.raises(ValueError):
        wg.ones(1).gpu("cpu")


def test_copies_of_tensors_and_modules():
    x = wg.tensor([1.0, 2.0], device="gpu", requires_grad=True)
    y = copy.deepcopy(x)
    assert y.is_gpu and y.tolist() == [1.0, 2.0] and y.requires_grad
    z = pickle.loads(pickle.dumps(x.detach()))
    assert z.tolist() == [1.0, 2.0]
    module = wg.nn.Linear(2, 3).to("gpu")
    assert all(p.is_gpu and p.is_leaf for p in module.parameters())
    assert module(x).shape == (3,)


def test_deep_copies_share_what_was_shared_and_no_more():
    a, b = wg.ones(3, device="gpu"), wg.zeros(3, device="gpu")
    whole, part, other = copy.deepcopy([a, a[1:], b[1:]])
    whole.add_(1)
    assert part.tolist() == [2.0, 2.0] and other.tolist() == [0.0, 0.0] and a.tolist() == [1.0] * 3


def test_an_optimizer_made_before_the_move_goes_on():
    net = wg.nn.Linear(2, 1)
    optimizer, weight = wg.optim.SGD(net.parameters(), lr=1.0), net.weight
    net(wg.ones(2)).sum().backward()
    before = weight.tolist()
    assert net.to("gpu").weight is weight and weight.is_gpu and weight.grad.is_gpu and weight.is_leaf
    net(wg.ones(2, device="gpu")).sum().backward()
    optimizer.step()
    assert weight.tolist()[0] == pytest.approx([v - 2.0 for v in before[0]]) and weight.is_gpu
    assert net.cpu().weight is weight and weight.is_cpu and weight.grad.tolist() == [[2.0, 2.0]]
    assert net.to("meta").weight is not weight


def test_state_on_another_device_is_refused():
    net = wg.nn.Linear(2, 1)
    optimizer = wg.optim.Adam(net.parameters())
    net(wg.ones(2)).sum().backward()
    optimizer.step()
    net.to("gpu")
    with pytest.raises(RuntimeError, match="on gpu:0, got .* on cpu"):
        optimizer.step()


def test_data_may_change_the_device_of_a_leaf():
    x = wg.ones(4, requires_grad=True)
    detached, part = x.detach()[:2], x[:2]
    x.data = x.data.to("gpu")
    (x * 3).sum().backward()
    assert x.is_gpu and x.grad.is_gpu and x.grad.tolist() == [3.0] * 4
    with wg.no_grad():
        part.add_(1)
    assert part.is_cpu and detached.tolist() == [2.0, 2.0] and x.tolist() == [1.0] * 4
    inner = wg.ones(2, requires_grad=True) * 2
    for data in (wg.ones(2, device="gpu"), wg.ones(2, device="meta")):
        with pytest.raises(RuntimeError, match="incompatible tensor type"):
            inner.data = data
    with pytest.raises(RuntimeError, match="incompatible tensor type"):
        x.data = wg.ones(4, device="meta")
    y = wg.ones(4, requires_grad=True)
    z = (y * 2).sum()
    y.data = y.data.to("gpu")
    with pytest.raises(RuntimeError, match="device cpu cannot be added to a leaf on gpu:0"):
        z.backward()
    assert y.grad is None


def test_files_and_state_dicts(tmp_path):
    net = wg.nn.Linear(2, 3).to("gpu")
    wg.save(net.state_dict(), tmp_path / "net")
    assert all(t.is_cpu for t in wg.load(tmp_path / "net").values())
    for where in ("gpu", wg.device("gpu"), {"cpu": "gpu"}, lambda t, device: t.gpu()):
        there = wg.load(tmp_path / "net", map_location=where)
        assert there["weight"].is_gpu and there["weight"].tolist() == net.weight.tolist()
    here = wg.nn.Linear(2, 3)
    here.load_state_dict(net.state_dict())
    assert here.weight.is_cpu and here.weight.tolist() == net.weight.tolist()
    net.load_state_dict({name: wg.zeros_like(t) for name, t in here.state_dict().items()})
    assert net.weight.is_gpu and net.weight.tolist() == [[0.0, 0.0]] * 3


def test_pickles_remember_their_device(tmp_path):
    net = pickle.loads(pickle.dumps(wg.nn.Linear(2, 3).to("gpu")))
    assert net.weight.is_gpu and net.weight.requires_grad
    path = tmp_path / "pickle"
    path.write_bytes(pickle.dumps(wg.ones(2, device="gpu")))
    code = f"""
import pickle
try:
    pickle.load(open({str(path)!r}, "rb"))
except RuntimeError as e:
    print(e)
"""
    told = python(code, WENGERT_GPU="off")[0]
    assert "gpu:0" in told and "map_location" in told


def test_generators_and_types():
    g = wg.Generator("gpu")
    assert g.device == wg.device("gpu:0") and pickle.loads(pickle.dumps(g)).device == g.device
    assert g.clone_state().device == g.device and wg.Generator().device.type == "cpu"
    drawn = [wg.rand(3, device="gpu", generator=g.manual_seed(1)).tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]
    with pytest.raises(RuntimeError, match="not supported for torch.Generator"):
        wg.Generator("meta")
    x = wg.ones(1, device="gpu")
    assert x.type() == "torch.gpu.FloatTensor" and x.type(wg.int64).is_gpu
    with wg.device("gpu"):
        shuffled = list(wg.utils.data.RandomSampler(range(9), generator=wg.Generator().manual_seed(1)))
    assert shuffled == list(wg.utils.data.RandomSampler(range(9), generator=wg.Generator().manual_seed(1)))


def test_resizing_keeps_what_fits():
    x = wg.arange(6.0, device="gpu")
    assert x.resize_(2, 2).tolist() == [[0.0, 1.0], [2.0, 3.0]] and x.is_gpu
    assert wg.zeros(2, 0, 2, device="gpu")[1:].tolist() == [[]]


def test_numbers_that_do_not_fit_are_refused():
    x, mask = wg.ones(2, dtype=wg.uint8, device="gpu"), wg.tensor([True, False], device="gpu")
    for call in (lambda: x.fill_(300), lambda: x.masked_fill(mask, wg.tensor(300, device="gpu"))):
        with pytest.raises(RuntimeError, match="without overflow, got 300"):
            call()
    assert x.tolist() == [1, 1]


def test_gradients_come_back_over_a_move():
    x = wg.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("gpu") * 3.0
    assert y.grad_fn.name() == "MulBackward0"
    y.sum().backward()
    assert x.grad.is_cpu and x.grad.tolist() == [3.0, 3.0]


def test_memory_is_counted_and_given_back():
    wg.gpu.synchronize()
    before = wg.gpu.memory_allocated()
    x = wg.zeros(1 << 18, device="gpu")
    assert wg.gpu.memory_allocated() - before >= 1 << 20
    assert wg.gpu.max_memory_allocated() >= wg.gpu.memory_allocated()
    del x
    wg.gpu.synchronize()
    assert wg.gpu.memory_allocated() == before
    assert wg.gpu.memory_reserved() >= before
    wg.gpu.empty_cache()
    assert wg.gpu.memory_reserved() == wg.gpu.memory_allocated() == before
    assert "MiB" in wg.gpu.memory_summary()


def test_the_environment_chooses():
    show = "import wengert as wg; print(wg.gpu.is_available())"
    assert python(show, WENGERT_GPU="off")[0] == "False"
    name = wg.gpu.get_device_name()
    assert python(show, WENGERT_GPU=name[:6])[0] == "True"
    code = """
import wengert as wg
try:
    wg.gpu.devices()
except RuntimeError as e:
    print(e)
"""
    assert "no such card" in python(code, WENGERT_GPU="no such card")[0]


def test_importing_touches_no_driver():
    code = "import wengert, os; print('libvulkan' in open(f'/proc/{os.getpid()}/maps').read())"
    if sys.platform == "linux":
        assert python(code)[0] == "False"


def test_a_fork_is_told(gpu):
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    code = """
import os, wengert as wg
x = wg.ones(2, device="gpu").add(1.0)
x.tolist()
if os.fork() == 0:
    try:
        x.add(1.0)
    except RuntimeError as e:
        print("told:", "spawn" in str(e), flush=True)
    os._exit(0)
os.wait()
print((x + 1).tolist())
"""
    assert python(code)[0].splitlines() == ["told: True", "[3.0, 3.0]"]


def test_it_ends_with_work_under_way():
    python("import wengert as wg\nx = wg.ones(1000, 1000, device='gpu')\nfor _ in range(300): x = x * 1.01")
