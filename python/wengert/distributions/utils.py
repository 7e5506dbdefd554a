"""Parameters of one shape, and probabilities as logits and back."""

from numbers import Number

import wengert as wg
from wengert._core import Tensor


def broadcast_all(*values):
    """Tensors and numbers as tensors of their common shape; numbers take the first tensor's dtype and device.

    Raises:
        ValueError: for anything else.

    Example:
        >>> wg.distributions.utils.broadcast_all(wg.zeros(2), 1.0)
        (tensor([0., 0.]), tensor([1., 1.]))
    """
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError("Input arguments must all be instances of Number, or torch.Tensor.")
    tensors = [v for v in values if isinstance(v, Tensor)]
    like = tensors[0] if tensors else wg.empty(0)
    made = [v if isinstance(v, Tensor) else like.new_tensor(v) for v in values]
    shape = wg.broadcast_shapes(*(t.shape for t in made))
    return tuple(t if t.shape == shape else t.expand(shape) for t in made)


def clamp_probs(probs):
    """Probabilities held off 0 and 1 by the dtype's epsilon.

    Example:
        >>> wg.distributions.utils.clamp_probs(wg.tensor([0.5])).item()
        0.5
    """
    eps = wg.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs, is_binary=False):
    """log p, or log p − log(1 − p) for the probability of one of two outcomes.

    Example:
        >>> wg.distributions.utils.probs_to_logits(wg.tensor([0.5]), is_binary=True)
        tensor([0.])
    """
    held = clamp_probs(probs)
    return held.log() - (-held).log1p() if is_binary else held.log()


def logits_to_probs(logits, is_binary=False):
    """The sigmoid of logits of two outcomes, or the softmax over the last dim.

    Example:
        >>> wg.distributions.utils.logits_to_probs(wg.zeros(2))
        tensor([0.5000, 0.5000])
    """
    return wg.sigmoid(logits) if is_binary else wg.softmax(logits, -1)


class ProbsOrLogits:
    """Distributions of which `probs` or `logits` is given, and the other computed when it is first asked for."""

    _is_binary = True

    def __getattr__(self, name):
        own = self.__dict__
        # A sampler may be the first to ask, without a tape; the value is kept for all.
        with wg.enable_grad():
            if name == "probs" and "logits" in own:
                own["probs"] = logits_to_probs(own["logits"], self._is_binary)
            elif name == "logits" and "probs" in own:
                own["logits"] = probs_to_logits(own["probs"], self._is_binary)
            else:
                raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return own[name]

    @property
    def param_shape(self):
        """The shape of the parameter."""
        return self.__dict__.get("probs", self.__dict__.get("logits")).shape


def standard_normal(shape, like):
    """Normal numbers of a tensor's dtype."""
    return wg.normal(like.new_zeros(shape), like.new_ones(shape))


def one_of(name_a, a, name_b, b):
    """Refuses both or neither of two ways to give one thing."""
    if (a is None) == (b is None):
        raise ValueError(f"Either `{name_a}` or `{name_b}` must be specified, but not both.")


def sum_rightmost(value, dims):
    """The sum over the last `dims` dims."""
    return value if dims == 0 else value.reshape(*value.shape[: value.ndim - dims], -1).sum(-1)
