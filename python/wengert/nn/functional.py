"""The functional forms of the layers: activations, linear maps, convolutions, pools, norms, losses."""

from .._core import conv1d, conv2d, conv3d, max_pool1d, max_pool2d, max_pool3d
from ._functional.activation import _relu as relu
from ._functional.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
)
from ._functional.linear import (
    bilinear,
    cosine_similarity,
    embedding,
    linear,
    normalize,
    one_hot,
    pairwise_distance,
)
from ._functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from ._functional.norm import (
    alpha_dropout,
    batch_norm,
    dropout,
    dropout1d,
    dropout2d,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from ._functional.padding import pad
from ._functional.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
)

__all__ = [name for name in dir() if not name.startswith("_")]
