"""Layers that learn their number of inputs from the first input."""

from wengert import _core
from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad

from ..parameter import Parameter
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module


class UninitializedParameter(Parameter):
    """A parameter without a shape; optimizers may hold it already.

    Example:
        >>> import wengert as wg
        >>> p = wg.nn.UninitializedParameter()
        >>> p.materialize((2, 3))
        >>> type(p).__name__, p.shape
        ('Parameter', torch.Size([2, 3]))
    """

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return Tensor._make_subclass(cls, _core.empty(0, device=device, dtype=dtype), requires_grad)

    @property
    def shape(self):
        """Raises RuntimeError, as there is none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized module. Call "
            "`forward` to initialize the parameters before accessing their attributes."
        )

    def materialize(self, shape, device=None, dtype=None):
        """Give it a shape; it is a plain Parameter from then on."""
        dtype = Parameter.dtype.__get__(self) if dtype is None else dtype
        self.data = _core.empty(*shape, device=self.device if device is None else device, dtype=dtype)
        self.__class__ = Parameter

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo):
        known = memo.get(id(self))
        if known is None:
            known = memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype)
        return known

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad, None, self.dtype)


class LazyModuleMixin:
    """Comes before a layer's class: `initialize_parameters(input)` runs before the first forward.

    The module is one of `cls_to_become` from then on.
    """

    cls_to_become = None

    def _wait(self):
        """Put uninitialised parameters in place of those that the layer's class has made."""
        for name, param in list(self._parameters.items()):
            if param is not None:
                self._parameters[name] = UninitializedParameter(device=param.device, dtype=param.dtype)
        self._initialize_hook = self.register_forward_pre_hook(_initialize, with_kwargs=True)
        self._load_hook = self.register_load_state_dict_pre_hook(_take_shapes)

    def reset_parameters(self):
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def has_uninitialized_params(self):
        """Whether the first input is still to come."""
        waiting = any(isinstance(p, UninitializedParameter) for p in self._parameters.values())
        return waiting or self._is_lazy()

    def _become(self):
        self._initialize_hook.remove()
        self._load_hook.remove()
        for name in ("_initialize_hook", "_load_hook"):
            self.__dict__.pop(name)
        self.__class__ = self.cls_to_become


def _initialize(module, args, kwargs):
    with no_grad():
        if module.has_uninitialized_params():
            module.initialize_parameters(*args, **kwargs)
            module.reset_parameters()
    module._become()


def _take_shapes(module, state_dict, prefix, *rest):
    """What is loaded into uninitialised parameters gives them their shapes."""
    for name, param in module._parameters.items():
        given = state_dict.get(prefix + name)
        known = given is not None and not isinstance(given, UninitializedParameter)
        if known and isinstance(param, UninitializedParameter):
            param.materialize(given.shape)
    module._learn_from_parameters(state_dict, prefix)


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` whose `in_features` is the first input's last size.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.LazyLinear(3)
        >>> layer(wg.ones(4, 2)).shape, layer
        (torch.Size([4, 3]), Linear(in_features=2, out_features=3, bias=True))
    """

    cls_to_become = Linear

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        Module.__init__(self)
        self.in_features = 0
        self.out_features = out_features
        self.weight = Parameter(_core.empty(0, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(_core.empty(0, device=device, dtype=dtype)) if bias else None
        )
        self._wait()

    def _is_lazy(self):
        return self.in_features == 0

    def initialize_parameters(self, input):
        """Learn the number of features from an input."""
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))

    def _learn_from_parameters(self, state_dict, prefix):
        if not isinstance(self.weight, UninitializedParameter):
            self.in_features = self.weight.shape[1]


class _LazyConv(LazyModuleMixin):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        # A layer of no channels, whose shape-less parameters wait for the first input.
        super().__init__(
            0, 0, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.out_channels = out_channels
        self._wait()

    def reset_parameters(self):
        # The layer's class asks for it first with no channels.
        if self.in_channels:
            super().reset_parameters()

    def _is_lazy(self):
        return self.in_channels == 0

    def initialize_parameters(self, input, *args, **kwargs):
        """Learn the number of channels from an input."""
        n = self._dims
        if input.ndim not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {type(self).__name__}, but got "
                f"input of size: {tuple(input.shape)}"
            )
        self.in_channels = input.shape[-n - 1]
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))

    def _learn_from_parameters(self, state_dict, prefix):
        if not isinstance(self.weight, UninitializedParameter):
            shape = self.weight.shape
            self.in_channels = shape[0] if self.transposed else shape[1] * self.groups


class LazyConv1d(_LazyConv, Conv1d):
    """`Conv1d` whose `in_channels` is the first input's."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """`Conv2d` whose `in_channels` is the first input's.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.LazyConv2d(4, 3)
        >>> layer(wg.ones(1, 2, 5, 5)).shape, layer.in_channels
        (torch.Size([1, 4, 3, 3]), 2)
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """`Conv3d` whose `in_channels` is the first input's."""

    cls_to_become = Conv3d


class _LazyConvTranspose(_LazyConv):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        options = (stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype)
        super(_LazyConv, self).__init__(0, 0, kernel_size, *options)
        self.out_channels = out_channels
        self._wait()


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """`ConvTranspose1d` whose `in_channels` is the first input's."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """`ConvTranspose2d` whose `in_channels` is the first input's."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """`ConvTranspose3d` whose `in_channels` is the first input's."""

    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    def __init__(
        self,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self._wait()

    def _is_lazy(self):
        return self.num_features == 0

    def initialize_parameters(self, input):
        """Learn the number of features from an input."""
        self._resize(input.shape[1])

    def _resize(self, count):
        self.num_features = count
        for param in self._parameters.values():
            if isinstance(param, UninitializedParameter):
                param.materialize((count,))
        if self.track_running_stats:
            self.running_mean = self.running_mean.new_zeros(count)
            self.running_var = self.running_var.new_ones(count)

    def _learn_from_parameters(self, state_dict, prefix):
        for name in ("weight", "running_mean"):
            given = state_dict.get(prefix + name)
            if given is not None and not isinstance(given, UninitializedParameter) and given.numel():
                self._resize(given.shape[0])


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d` whose `num_features` is the first input's."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d` whose `num_features` is the first input's.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.LazyBatchNorm2d()
        >>> layer(wg.ones(2, 3, 4, 4)).shape, layer.num_features
        (torch.Size([2, 3, 4, 4]), 3)
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d` whose `num_features` is the first input's."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """`InstanceNorm1d`, affine and tracking unless told otherwise, whose `num_features` is the first input's dim 1.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.LazyInstanceNorm1d()
        >>> layer(wg.ones(2, 3, 4)).shape, layer.num_features
        (torch.Size([2, 3, 4]), 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """`InstanceNorm2d` whose `num_features` is the first input's dim 1."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """`InstanceNorm3d` whose `num_features` is the first input's dim 1."""

    cls_to_become = InstanceNorm3d
