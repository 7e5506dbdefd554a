"""The functional forms of the layers: activations, linear maps, convolutions, pools, norms, losses."""

from .._core import Tensor as _Tensor
from .._core import conv1d, conv2d, conv3d, max_pool1d, max_pool2d, max_pool3d
from ._functional.activation import _relu as relu
from ._functional.activation import (
    celu,
    elu,
    gelu,
    glu,
    gumbel_softmax,
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
    rrelu,
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
from ._functional.attention import scaled_dot_product_attention
from ._functional.bag import embedding_bag
from ._functional.conv import conv_transpose1d, conv_transpose2d, conv_transpose3d
from ._functional.ctc import ctc_loss
from ._functional.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from ._functional.folding import channel_shuffle, fold, pixel_shuffle, pixel_unshuffle, unfold
from ._functional.fractional_pooling import (
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
)
from ._functional.linear import (
    bilinear,
    cosine_similarity,
    embedding,
    linear,
    normalize,
    one_hot,
    pairwise_distance,
    pdist,
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
from ._functional.margin_loss import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ._functional.multi_head_attention import multi_head_attention_forward
from ._functional.norm import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from ._functional.padding import pad
from ._functional.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from ._functional.pooling_with_indices import (
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d_with_indices,
    max_pool1d_with_indices,
    max_pool2d_with_indices,
    max_pool3d_with_indices,
)
from ._functional.resize import interpolate, upsample
from ._functional.sampling import affine_grid, grid_sample
from ._functional.unpooling import max_unpool1d, max_unpool2d, max_unpool3d

celu_, elu_, hardtanh_, leaky_relu_ = _Tensor.celu_, _Tensor.elu_, _Tensor.hardtanh_, _Tensor.leaky_relu_
relu_, selu_, threshold_ = _Tensor.relu_, _Tensor.selu_, _Tensor.threshold_

__all__ = [name for name in dir() if not name.startswith("_")]


def __getattr__(name):
    raise AttributeError(
        f"wengert has no nn.functional.{name} yet (module 'wengert.nn.functional' has no attribute {name!r})"
    )
