"""wengert: tensors with a tape, under PyTorch's names.

    import wengert as wg

    x = wg.tensor(2., requires_grad=True)
    (x**2 + 4 * x + 3).backward()
    x.grad                      # tensor(8.)

The kernels, the tape and the Tensor class are Rust (`wengert._core`); what is composed of them is
Python, in `wengert._functions`. Submodules and composed functions load on first use.
"""

import atexit as _atexit
import math as _math

from . import _core
from ._core import Tensor  # noqa: F401
from ._functions import _late
from ._functions import legacy as _legacy
from ._functions import tensor_methods as _tensor_methods  # noqa: F401
from ._functions.inplace_functions import NAMES as _INPLACE
from ._functions.legacy import set_default_tensor_type  # noqa: F401
from ._printoptions import set_printoptions  # noqa: F401
from ._size import Size  # noqa: F401
from .autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled  # noqa: F401
from .version import __version__  # noqa: F401

inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
newaxis = None
_core._register_size(Size._of_checked)
_late.stand_in()
# What GPUs in use have compiled and measured is there for the next process.
_atexit.register(_core._gpu_keep)

_SUBMODULES = frozenset(
    (
        "accelerator",
        "amp",
        "as_torch",
        "autograd",
        "backends",
        "compiler",
        "config",
        "cpu",
        "cuda",
        "debug",
        "distributed",
        "distributions",
        "func",
        "gpu",
        "linalg",
        "mps",
        "nn",
        "optim",
        "random",
        "special",
        "testing",
        "types",
        "utils",
        "version",
        "xpu",
    )
)
# Names that load their module on first use: name → (module, name there).
_LATER = {
    "save": ("_serialization", "save"),
    "load": ("_serialization", "load"),
    "autocast": ("amp", "autocast"),
    "GradScaler": ("amp", "GradScaler"),
    "install_as_torch": ("_as_torch", "install_as_torch"),
    **{name: ("random", name) for name in ("seed", "initial_seed", "get_rng_state", "set_rng_state")},
    **{
        name: ("_settings", name)
        for name in (
            "are_deterministic_algorithms_enabled",
            "channels_last",
            "channels_last_3d",
            "compile",
            "get_default_device",
            "get_deterministic_debug_mode",
            "get_float32_matmul_precision",
            "get_num_interop_threads",
            "is_autocast_enabled",
            "is_deterministic_algorithms_warn_only_enabled",
            "is_warn_always_enabled",
            "set_default_device",
            "set_deterministic_debug_mode",
            "set_float32_matmul_precision",
            "set_flush_denormal",
            "set_num_interop_threads",
            "set_warn_always",
            "use_deterministic_algorithms",
        )
    },
    **{
        name: ("_autocast_settings", name)
        for name in (
            "clear_autocast_cache",
            "get_autocast_cpu_dtype",
            "get_autocast_dtype",
            "get_autocast_gpu_dtype",
            "is_autocast_cache_enabled",
            "is_autocast_cpu_enabled",
            "set_autocast_cache_enabled",
            "set_autocast_cpu_dtype",
            "set_autocast_cpu_enabled",
            "set_autocast_dtype",
            "set_autocast_enabled",
            "set_autocast_gpu_dtype",
        )
    },
    **{
        name: ("nn._functional.torch_level", name)
        for name in (
            "adaptive_max_pool1d",
            "alpha_dropout",
            "alpha_dropout_",
            "batch_norm",
            "binary_cross_entropy_with_logits",
            "constant_pad_nd",
            "cosine_embedding_loss",
            "dropout",
            "dropout_",
            "embedding",
            "feature_alpha_dropout",
            "feature_dropout",
            "group_norm",
            "hinge_embedding_loss",
            "instance_norm",
            "kl_div",
            "layer_norm",
            "margin_ranking_loss",
            "poisson_nll_loss",
            "rrelu",
            "triplet_margin_loss",
        )
    },
    **{
        name: ("nn._functional.recurrent", name)
        for name in ("gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell")
    },
    **{
        name: ("nn.functional", name)
        for name in (
            "adaptive_avg_pool1d",
            "avg_pool1d",
            "bilinear",
            "channel_shuffle",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
            "cosine_similarity",
            "pairwise_distance",
            "pdist",
            "pixel_shuffle",
            "pixel_unshuffle",
            "prelu",
            "rms_norm",
        )
    },
}
# The names of composed functions, which load their topic on first use.
_FUNCTIONS = _late.FUNCTIONS[None]


def _export():
    """The core's names, but for those of submodules and those that a composed or in-place function stands over."""
    elsewhere = {row["name"] for row in _core._rows() if row["home"]}.union(_FUNCTIONS, _INPLACE)
    names = {
        name: value
        for name, value in vars(_core).items()
        if not name.startswith("_") and name not in elsewhere
    }
    names.update(
        float=_core.float32,
        double=_core.float64,
        half=_core.float16,
        long=_core.int64,
        int=_core.int32,
        short=_core.int16,
        bool=_core.bool,
    )
    names["Size"] = Size
    return names | _legacy.TYPES


globals().update(_export())


def __getattr__(name):
    from importlib import import_module

    if name in _SUBMODULES:
        try:
            return import_module("." + name, __name__)
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    if name == "__all__":
        # What `import *` is to bring: all that is public, with the functions still to be loaded.
        return sorted({n for n in globals() if not n.startswith("_")}.union(_FUNCTIONS, _INPLACE))
    if name in _FUNCTIONS:
        value = _late.function(name)
    elif name in _INPLACE:
        value = getattr(Tensor, name)
    elif name in _LATER:
        module, attribute = _LATER[name]
        value = getattr(import_module("." + module, __name__), attribute)
    else:
        raise AttributeError(f"wengert has no {name!r} yet (module 'wengert' has no attribute {name!r})")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_SUBMODULES, *_LATER, *_FUNCTIONS, *_INPLACE})


def typename(obj):
    """The dotted name of an object's type, as `torch.typename` gives it.

    Example:
        >>> wg.typename(wg.ones(1))
        'torch.FloatTensor'
    """
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
