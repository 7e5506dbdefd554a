"""Saving and loading of tensors in safetensors files.

A dict of names and tensors becomes a plain safetensors file. Anything nested (an optimizer's state
dict, say) keeps its structure as JSON in the file's metadata, with numbers for the tensors. Files
hold data only: nothing in them is ever executed.
"""

import json
import os
import struct
from collections import OrderedDict

from . import _core
from ._core import Tensor
from ._size import Size

_STRUCTURE = "wengert.structure"
_HEADER_LIMIT = 100_000_000
# dtype: (name in the file, numpy's dtype). bfloat16 has none and travels as its 16 bits.
_TYPES = {
    "float64": ("F64", "<f8"),
    "float32": ("F32", "<f4"),
    "float16": ("F16", "<f2"),
    "bfloat16": ("BF16", "<u2"),
    "int64": ("I64", "<i8"),
    "int32": ("I32", "<i4"),
    "int16": ("I16", "<i2"),
    "int8": ("I8", "|i1"),
    "uint8": ("U8", "|u1"),
    "bool": ("BOOL", "|b1"),
}
_NAMES = {name: (dtype, numpy_type) for dtype, (name, numpy_type) in _TYPES.items()}
# What the structure calls sequences; a Size is a tuple, and so stands before it.
_SEQUENCES = {"size": Size, "list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
# The structure's kinds of tensors, and how each is made of the file's. One that is met again stays itself.
_TENSORS = {
    "tensor": lambda tensor: tensor,
    "leaf": lambda tensor: tensor.requires_grad_(),
    "parameter": lambda tensor: _parameter(tensor, True),
    "frozen parameter": lambda tensor: _parameter(tensor, False),
}


def _dtype_name(dtype):
    return str(dtype).rpartition(".")[2]


def _to_bytes(tensor):
    tensor = tensor.detach().cpu()
    name = _dtype_name(tensor.dtype)
    if name not in _TYPES:
        raise TypeError(f"save(): tensors of dtype {tensor.dtype} cannot be saved; convert them first")
    if name == "bfloat16":
        # Its bits are the upper half of the equal float32's.
        bits = tensor.float().contiguous().numpy().reshape(-1).view("<u4") >> 16
        return bits.astype("<u2").tobytes()
    return tensor.contiguous().numpy().astype(_TYPES[name][1], copy=False).tobytes()


def _from_bytes(data, type_name, shape):
    import numpy as np

    dtype, numpy_type = _NAMES[type_name]
    array = np.frombuffer(data, numpy_type)
    if dtype == "bfloat16":
        array = (array.astype("<u4") << 16).view("<f4").reshape(shape)
        return _core.from_numpy(array).to(_core.bfloat16)
    return _core.from_numpy(array.astype(np.dtype(numpy_type).newbyteorder("=")).reshape(shape))


def _describe(value, where, tensors, known):
    """`value` as JSON data; its tensors go into `tensors` under names made of their place, each once by `known`."""
    if isinstance(value, Tensor):
        if id(value) not in known:
            name = where or "tensor"
            while name in tensors or name == "__metadata__":
                name += "_"
            tensors[name] = value
            known[id(value)] = name
        return {_tensor_kind(value): known[id(value)]}
    numpy_scalar = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    if numpy_scalar and isinstance(value.item(), (bool, int, float)):
        return {"numpy": [value.dtype.name, value.item()]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (_core.dtype, _core.device)):
        return {type(value).__name__: str(value).removeprefix("torch.")}
    below = f"{where}." if where else ""
    for kind, cls in _SEQUENCES.items():
        if isinstance(value, cls):
            return {kind: [_describe(v, f"{below}{i}", tensors, known) for i, v in enumerate(value)]}
    if isinstance(value, dict):
        items = []
        for key, entry in value.items():
            if isinstance(key, Tensor):
                raise TypeError("save(): dict keys must be data, but got a Tensor")
            described = _describe(key, "", tensors, known)
            items.append([described, _describe(entry, f"{below}{key}", tensors, known)])
        return {"ordered" if isinstance(value, OrderedDict) else "dict": items}
    hint = "; save module.state_dict() instead" if hasattr(value, "state_dict") else ""
    raise TypeError(
        f"save(): cannot save an object of type {type(value).__name__}: only tensors, numbers, strings, None, dtypes, "
        f"devices and lists, tuples, sets and dicts of them{hint}"
    )


def _tensor_kind(tensor):
    if type(tensor) is not Tensor:
        from .nn.parameter import Parameter

        if isinstance(tensor, Parameter):
            return "parameter" if tensor.requires_grad else "frozen parameter"
    return "leaf" if tensor.requires_grad else "tensor"


def _parameter(tensor, requires_grad):
    from .nn.parameter import Parameter

    return tensor if isinstance(tensor, Parameter) else Parameter(tensor, requires_grad)


def _rebuild(described, tensors):
    if not isinstance(described, dict):
        return described
    ((kind, content),) = described.items()
    if kind in _TENSORS:
        tensors[content] = made = _TENSORS[kind](tensors[content])
        return made
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](_rebuild(v, tensors) for v in content)
    if kind == "numpy":
        import numpy as np

        return np.dtype(content[0]).type(content[1])
    if kind in ("dtype", "device"):
        return getattr(_core, content) if kind == "dtype" else _core.device(content)
    return (OrderedDict if kind == "ordered" else dict)(
        (_rebuild(key, tensors), _rebuild(v, tensors)) for key, v in content
    )


def _write(file, tensors, metadata):
    header, position, blocks = {"__metadata__": metadata}, 0, []
    for name, tensor in tensors.items():
        block = _to_bytes(tensor)
        header[name] = {
            "dtype": _TYPES[_dtype_name(tensor.dtype)][0],
            "shape": list(tensor.shape),
            "data_offsets": [position, position + len(block)],
        }
        position += len(block)
        blocks.append(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)))
    file.write(text)
    for block in blocks:
        file.write(block)


def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Save tensors, numbers, strings, None and lists, tuples, sets and dicts of them as a safetensors file.

    Parameters stay parameters, and tensors that require grad become leaves that do.

    Args:
        obj: what to save, usually a state dict.
        f: a path or a binary file. The other arguments are accepted for torch's sake.

    Raises:
        TypeError: for objects that are not data.

    Example:
        >>> import io, wengert as wg
        >>> file = io.BytesIO()
        >>> wg.save({"w": wg.ones(2)}, file)
        >>> file.seek(0)
        0
        >>> wg.load(file)
        {'w': tensor([1., 1.])}
    """
    plain = isinstance(obj, dict) and all(
        isinstance(k, str) and isinstance(v, Tensor) and _tensor_kind(v) == "tensor" for k, v in obj.items()
    )
    metadata = {"format": "pt"}
    if plain and "__metadata__" not in obj:
        tensors = dict(obj)
        if not isinstance(obj, OrderedDict):
            metadata[_STRUCTURE] = "dict"
    else:
        tensors = {}
        metadata[_STRUCTURE] = json.dumps(_describe(obj, "", tensors, {}), separators=(",", ":"))
    if hasattr(f, "write"):
        _write(f, tensors, metadata)
        return
    # A crash half-way must not destroy the file that was there.
    path = os.fspath(f)
    part = f"{path}.part{os.getpid()}"
    try:
        with open(part, "wb") as file:
            _write(file, tensors, metadata)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise


def _bad(reason):
    return RuntimeError(f"load(): this is not a safetensors file: {reason}")


def _read(data):
    # The eighth byte tells, as a safetensors file's first ones are a number and may be those of any format.
    if data[8:9] != b"{" and (data[:4] == b"PK\x03\x04" or data[:1] == b"\x80"):
        raise RuntimeError(
            "load(): this file holds a pickle (as torch.save writes it), which runs code when read. "
            "Load it with torch and save the state dict as safetensors instead."
        )
    if len(data) < 8:
        raise _bad(f"it has only {len(data)} bytes")
    (size,) = struct.unpack("<Q", data[:8])
    if size > min(_HEADER_LIMIT, len(data) - 8):
        raise _bad(f"its header's length, {size}, exceeds the file's")
    try:
        header = json.loads(bytes(data[8 : 8 + size]))
        metadata = header.pop("__metadata__", None) or {}
        entries = {
            name: (e["dtype"], [int(n) for n in e["shape"]], *e["data_offsets"]) for name, e in header.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _bad(f"its header cannot be read ({error})") from None
    body = memoryview(data)[8 + size :]
    tensors = {}
    for name, (type_name, shape, start, stop) in entries.items():
        if type_name not in _NAMES:
            raise _bad(f"tensor '{name}' has the unknown dtype {type_name}")
        count = 1
        for n in shape:
            count *= n
        width = int(_NAMES[type_name][1][-1])
        if min(shape, default=0) < 0 or not 0 <= start <= stop <= len(body) or stop - start != count * width:
            raise _bad(f"tensor '{name}' of shape {shape} lies at {start} … {stop} of {len(body)} bytes")
        tensors[name] = _from_bytes(body[start:stop], type_name, shape)
    return tensors, metadata


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None, **pickle_load_args):
    """Load what `save` wrote, or any safetensors file.

    Args:
        f: a path or a binary file.
        map_location: a device for all tensors, a dict from device names to devices, or a function
            `(tensor, device) -> tensor`.
        weights_only: accepted either way; a safetensors file holds nothing else.

    Raises:
        RuntimeError: if the file is a pickle or is damaged.
    """
    if hasattr(f, "read"):
        data = f.read()
    else:
        with open(os.fspath(f), "rb") as file:
            data = file.read()
    tensors, metadata = _read(data)
    if map_location is not None:
        tensors = {name: _move(tensor, map_location) for name, tensor in tensors.items()}
    structure = metadata.get(_STRUCTURE)
    if structure is None:
        return OrderedDict(tensors)
    if structure == "dict":
        return tensors
    return _rebuild(json.loads(structure), tensors)


def _move(tensor, map_location):
    device = str(tensor.device)
    if isinstance(map_location, dict):
        return tensor.to(map_location.get(device, device))
    if callable(map_location) and not isinstance(map_location, _core.device):
        moved = map_location(tensor, device)
        return tensor if moved is None else moved
    return tensor.to(map_location)
