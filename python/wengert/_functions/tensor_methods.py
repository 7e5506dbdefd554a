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
    from numbers import Number

    if isinstance(element, (Tensor, Number)):
        return bool((self == element).any())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


def _reversed(self):
    from .shaping import flip

    return self if self.ndim == 0 else flip(self, (0,))


def _rebuild(cls, data, dtype, shape, requires_grad, attributes, device="cpu"):
    """A tensor from pickled bytes of its elements in row-major order; without bytes one on device meta."""
    from .._serialization import _TYPES, _from_bytes

    if data is None:
        value = _core.empty(shape, dtype=getattr(_core, dtype), device="meta")
    else:
        # A clone owns its memory, where the first value shares numpy's.
        value = _from_bytes(data, _TYPES[dtype][0], shape).clone()
        if device != "cpu":
            value = _moved(value, device)
    if cls is not Tensor:
        value = Tensor._make_subclass(cls, value, requires_grad)
    elif requires_grad:
        value.requires_grad_()
    for name, attribute in attributes.items():
        setattr(value, name, attribute)
    return value


def _moved(value, device):
    try:
        return value.to(device)
    except RuntimeError as error:
        raise RuntimeError(
            f"this pickle holds a tensor of device {device}: {error}. Pickle x.cpu() instead, or write the tensors "
            'with wengert.save and read them anywhere with wengert.load(file, map_location="cpu")'
        ) from None


def _attributes(self):
    """What users have set on the tensor."""
    return dict(self.__dict__)


def _reduce(self, protocol):
    from .._serialization import _to_bytes

    data = None if self.device.type == "meta" else _to_bytes(self)
    name = str(self.dtype).rpartition(".")[2]
    made_of = (type(self), data, name, tuple(self.shape), self.requires_grad, _attributes(self))
    return _rebuild, made_of if self.is_cpu or self.is_meta else (*made_of, str(self.device))


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
    key = ("wengert storage", self._storage_id(), whole.dtype)
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


def _new(self, *args, **kwargs):
    """A tensor of this one's dtype by sizes, `x.new(2, 3)`, or from data, `x.new([1, 2])`."""
    return _core._legacy(self.dtype, *args, **kwargs).to(self.device)


def _prelu(self, weight):
    """x where positive, weight · x elsewhere; see `nn.functional.prelu`."""
    from ..nn.functional import prelu

    return prelu(self, weight)


def _resize_as(self, the_template, *, memory_format=None):
    """Resizes to the shape of another tensor, as `resize_` does."""
    return self.resize_(the_template.shape)


def _map(self, tensor, function):
    """Writes function(a, b) over pairs of elements, in Python. For small tensors."""
    from .shaping import broadcast_tensors

    mine, others = self.reshape(-1).tolist(), broadcast_tensors(tensor, self)[0].reshape(-1).tolist()
    values = [function(a, b) for a, b in zip(mine, others, strict=True)]
    return self.copy_(self.new_tensor(values).reshape(self.shape))


def _apply(self, function):
    """Writes function(a) over every element, in Python. For small tensors."""
    values = [function(a) for a in self.reshape(-1).tolist()]
    return self.copy_(self.new_tensor(values).reshape(self.shape))


def _share_memory(self):
    """The tensor itself: worker threads share memory anyway."""
    return self


for _name, _method in (
    ("__repr__", _repr),
    ("__format__", _format),
    ("__contains__", _contains),
    ("__reversed__", _reversed),
    ("__reduce_ex__", _reduce),
    ("__copy__", _copy),
    ("__deepcopy__", _deepcopy),
    ("prelu", _prelu),
    ("resize_as_", _resize_as),
    ("new", _new),
    ("map_", _map),
    ("apply_", _apply),
    ("share_memory_", _share_memory),
    ("__array_priority__", 1000),
    ("__array_wrap__", _array_wrap),
    ("real", property(lambda self: self, doc="The tensor itself: it is real.")),
):
    setattr(Tensor, _name, _method)
for _kind in ("ipu", "maia", "mkldnn", "mtia", "nested", "sparse_csr", "vulkan", "xla", "xpu", "mps"):
    setattr(Tensor, "is_" + _kind, property(lambda self: False, doc="False: there are no such tensors here."))
