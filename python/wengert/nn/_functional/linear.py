"""Linear maps, lookups and distances."""

from wengert import _core
from wengert._core import Tensor, linear
from wengert.autograd.grad_mode import no_grad

__all__ = [
    "bilinear",
    "cosine_similarity",
    "embedding",
    "linear",
    "normalize",
    "one_hot",
    "pairwise_distance",
    "pdist",
]


def bilinear(input1, input2, weight, bias=None):
    """y_k = x₁ᵀ W_k x₂ (+ b_k) over the last dimensions: (…, n), (…, m), (k, n, m) → (…, k)."""
    left = input1.matmul(weight.permute(1, 0, 2).reshape(weight.shape[1], -1))
    left = left.reshape(*input1.shape[:-1], weight.shape[0], weight.shape[2])
    output = left.matmul(input2.unsqueeze(-1)).squeeze(-1)
    return output if bias is None else output + bias


def _renormalise(weight, indices, max_norm, norm_type):
    """Scale the looked-up rows that are longer than `max_norm` down to it, in place."""
    with no_grad():
        rows = indices.flatten().unique()
        found = weight[rows]
        norms = found.abs().pow(norm_type).sum(1, keepdim=True).pow(1.0 / norm_type)
        weight[rows] = _core.where(norms > max_norm, found * (max_norm / (norms + 1e-7)), found)


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):
    """Rows of `weight` (n, d) at the integer positions `input` of any shape: (*, d).

    Args:
        padding_idx: a row that collects no gradient.
        max_norm: rows longer than this are scaled down in place first.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.embedding(wg.tensor([1, 0]), wg.eye(2))
        tensor([[0., 1.],
                [1., 0.]])
    """
    if scale_grad_by_freq or sparse:
        raise ValueError(
            "embedding(): scale_grad_by_freq and sparse gradients are not supported; leave them False"
        )
    if padding_idx is not None:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= weight.shape[0]
    if max_norm is not None:
        _renormalise(weight, input, max_norm, norm_type)
    flat = input.reshape(-1)
    output = weight.index_select(0, flat)
    if padding_idx is not None and weight.requires_grad:
        padded = (flat == padding_idx).unsqueeze(-1)
        output = _core.where(padded, output.detach(), output)
    return output.reshape(*input.shape, weight.shape[1])


def one_hot(tensor, num_classes=-1):
    """Integer labels of shape (*) as 0/1 vectors of shape (*, num_classes), dtype int64.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.one_hot(wg.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    if tensor.dtype != _core.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return tensor.new_zeros(*tensor.shape, num_classes)
    if tensor.min().item() < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = tensor.max().item()
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif largest >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    if tensor.is_cpu:
        return tensor.new_zeros(*tensor.shape, num_classes).scatter_(-1, tensor.unsqueeze(-1), 1)
    return (tensor.unsqueeze(-1) == _core.arange(num_classes, device=tensor.device)).to(_core.int64)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """`input` divided by its p-norm over `dim`, the norm being at least `eps`.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.normalize(wg.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    result = input / input.norm(p, dim, keepdim=True).clamp(min=eps)
    return result if out is None else out.copy_(result)


def _length(x, dim, eps):
    """The 2-norm, at least `eps`; the bound leaves the gradient as it is, as PyTorch's does."""
    length = x.norm(2, dim, keepdim=True).clone()
    with no_grad():
        return length.clamp_(min=eps)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Cosine of the angle between x1 and x2, which broadcast, along `dim`.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.cosine_similarity(wg.tensor([3.0, 4.0]), wg.tensor([1.0, 0.0]), dim=0)
        tensor(0.6000)
    """
    from wengert._functions.shaping import broadcast_tensors

    dtype = _core.result_type(x1, x2)
    if not dtype.is_floating_point:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {dtype}")
    x1, x2 = broadcast_tensors(x1.to(dtype), x2.to(dtype))
    return (x1 / _length(x1, dim, eps) * (x2 / _length(x2, dim, eps))).sum(dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """p-norm of x1 − x2 + eps over the last dimension.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.pairwise_distance(wg.tensor([[3.0, 4.0]]), wg.zeros(1, 2), eps=0.0)
        tensor([5.])
    """
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        raise TypeError("pairwise_distance(): x1 and x2 must be tensors")
    return (x1 - x2 + eps).norm(p, -1, keepdim)


def pdist(input, p=2.0):
    """p-norms of the differences of all pairs of rows of (n, m), i < j: (n · (n − 1) / 2).

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.pdist(wg.tensor([[0.0], [1.0], [3.0]]))
        tensor([1., 3., 2.])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    i, j = input.new_ones(input.shape[0], input.shape[0]).triu(1).nonzero().unbind(1)
    return (input[i] - input[j]).norm(p, -1)
