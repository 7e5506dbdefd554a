"""What a Tensor is to Python beyond its kernels: printing, copying, pickling, membership."""

from .. import _core
from .._core import Tensor


def _repr(self, *, tensor_contents=None):
    from .._tensor_str import tensor_repr

    return tensor_repr(self)


def _format(self, spec):
    if self.ndim == 0 and type(self) is Tensor and self.device.type != "meta":
        return format(self.item(), spec)
    return object.__format__(self, spec)


def _contains(self, element):
    if isinstance(element, (Tensor, int, float, bool)):
        return bool((self == element).any())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


def _reversed(self):
    from .shaping import flip

    return self if self.ndim == 0 else flip(self, 0)


def _rebuild(cls, data, dtype, shape, requires_grad, attributes):
    """A tensor from pickled bytes of its elements in row-major order; without bytes one on device meta."""
    from .._serialization import _TYPES, _from_bytes

    if data is None:
        value = _core.empty(shape, dtype=getattr(_core, dtype), device="meta")
    else:
        # A clone owns its memory, where the first value shares numpy's.
        value = _from_bytes(data, _TYPES[dtype][0], shape).clone()
    if cls is not Tensor:
        value = Tensor._make_subclass(cls, value, requires_grad)
    elif requires_grad:
        value.requires_grad_()
    for name, attribute in attributes.items():
        setattr(value, name, attribute)
    return value


def _attributes(self):
    """What users have set on the tensor."""
    return dict(self.__dict__)


def _reduce(self, protocol):
    from .._serialization import _to_bytes

    data = None if self.device.type == "meta" else _to_bytes(self)
    name = str(self.dtype).rpartition(".")[2]
    return _rebuild, (type(self), data, name, tuple(self.shape), self.requires_grad, _attributes(self))


def _copy(self):
    """A new leaf over the same memory, with the users' attributes."""
    if type(self) is Tensor:
        copied = self.detach().requires_grad_(self.requires_grad)
    else:
        copied = Tensor._make_subclass(type(self), self, self.requires_grad)
    for name, attribute in _attributes(self).items():
        setattr(copied, name, attribute)
    return copied


def _copied(self, memo):
    """A copy that shares memory with the copies of the tensors that this one shares memory with."""
    whole = self._shared_storage()
    if whole is None or whole.numel() == 0:
        return self.detach().clone()
    key = ("wengert storage", whole.data_ptr(), whole.dtype)
    if key not in memo:
        memo[key] = whole.clone()
    return memo[key].as_strided(self.shape, self.stride(), self.storage_offset()).detach()


def _deepcopy(self, memo):
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
            "moment. Detach it first: x.detach()"
        )
    from copy import deepcopy

    copied = _copied(self, memo)
    if type(self) is not Tensor:
        copied = Tensor._make_subclass(type(self), copied, self.requires_grad)
    elif self.requires_grad:
        copied.requires_grad_()
    memo[id(self)] = copied
    if self.grad is not None:
        copied.grad = deepcopy(self.grad, memo)
    for name, attribute in _attributes(self).items():
        setattr(copied, name, deepcopy(attribute, memo))
    return copied


def _array_wrap(self, array, context=None, return_scalar=False):
    """What numpy's functions make of a tensor: a tensor."""
    return _core.from_numpy(array)


def _ndimension(self):
    """The number of dims."""
    return self.ndim


def _map(self, tensor, function):
    """Writes function(a, b) over pairs of elements, in Python. For small tensors."""
    from .shaping import broadcast_tensors

    mine, others = self.reshape(-1).tolist(), broadcast_tensors(tensor, self)[0].reshape(-1).tolist()
    values = [function(a, b) for a, b in zip(mine, others, strict=True)]
    return self.copy_(_core.tensor(values, dtype=self.dtype).reshape(self.shape))


def _apply(self, function):
    """Writes function(a) over every element, in Python. For small tensors."""
    values = [function(a) for a in self.reshape(-1).tolist()]
    return self.copy_(_core.tensor(values, dtype=self.dtype).reshape(self.shape))


def _type(self, dtype=None, non_blocking=False):
    """The name of the tensor's type, "torch.FloatTensor", or the tensor converted to a dtype or such a name."""
    from .comparing import _NAMES, _name

    if dtype is None:
        return f"torch.{_name(self)}Tensor"
    if isinstance(dtype, str):
        wanted = [n for n, title in _NAMES.items() if dtype == f"torch.{title}Tensor"]
        if not wanted:
            raise ValueError(f"invalid type: {dtype!r}")
        dtype = getattr(_core, wanted[0])
    return self.to(dtype)


def _is_signed(self):
    """Whether the dtype has negative numbers."""
    return self.dtype not in (_core.uint8, _core.bool)


def _get_device(self):
    """-1: not on an accelerator."""
    return -1


def _cuda(self, *args, **kwargs):
    """Raises RuntimeError: there are no CUDA devices."""
    raise RuntimeError(
        "wengert has no CUDA devices: leave tensors on the CPU, or ask cuda.is_available() first"
    )


def _share_memory(self):
    """The tensor itself: worker threads share memory anyway."""
    return self


def _cumsum(self, dim, *, dtype=None):
    """In-place version of :func:`wengert.cumsum`."""
    return self._assign_(self.cumsum(dim, dtype=dtype or self.dtype))


def _cumprod(self, dim, *, dtype=None):
    """In-place version of :func:`wengert.cumprod`."""
    return self._assign_(self.cumprod(dim, dtype=dtype or self.dtype))


for _name, _method in (
    ("__repr__", _repr),
    ("__format__", _format),
    ("__contains__", _contains),
    ("__reversed__", _reversed),
    ("__reduce_ex__", _reduce),
    ("__copy__", _copy),
    ("__deepcopy__", _deepcopy),
    ("ndimension", _ndimension),
    ("map_", _map),
    ("apply_", _apply),
    ("type", _type),
    ("is_signed", _is_signed),
    ("get_device", _get_device),
    ("cuda", _cuda),
    ("share_memory_", _share_memory),
    ("cumsum_", _cumsum),
    ("cumprod_", _cumprod),
    ("swapaxes_", lambda self, axis0, axis1: self.transpose_(axis0, axis1)),
    ("swapdims_", lambda self, dim0, dim1: self.transpose_(dim0, dim1)),
    ("nelement", lambda self: self.numel()),
    ("is_cpu", property(lambda self: self.device.type == "cpu")),
    ("is_cuda", property(lambda self: False)),
    ("is_meta", property(lambda self: self.device.type == "meta")),
    ("itemsize", property(lambda self: self.element_size())),
    ("H", property(lambda self: self.adjoint() if self.ndim else self)),
    ("mH", property(lambda self: self.adjoint())),
    ("__array_priority__", 1000),
    ("__array_wrap__", _array_wrap),
):
    if _name.startswith("__") or _name not in Tensor.__dict__:
        setattr(Tensor, _name, _method)
