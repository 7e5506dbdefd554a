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
        for row in {int(i) for i in indices.flatten().tolist()}:
            norm = weight[row].abs().pow(norm_type).sum().pow(1.0 / norm_type).item()
            if norm > max_norm:
                weight[row] *= max_norm / (norm + 1e-7)


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
        return _core.zeros(*tensor.shape, num_classes, dtype=_core.int64)
    if tensor.min().item() < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = tensor.max().item()
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif largest >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return (tensor.unsqueeze(-1) == _core.arange(num_classes)).to(_core.int64)


def _vector_norm(input, p, dim, keepdim=False):
    if p == 2:
        return (input * input).sum(dim, keepdim=keepdim).sqrt()
    if p == float("inf"):
        return input.abs().amax(dim, keepdim=keepdim)
    if p == 1:
        return input.abs().sum(dim, keepdim=keepdim)
    return input.abs().pow(p).sum(dim, keepdim=keepdim).pow(1.0 / p)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """`input` divided by its p-norm over `dim`, the norm being at least `eps`."""
    result = input / _vector_norm(input, p, dim, keepdim=True).clamp(min=eps)
    return result if out is None else out.copy_(result)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Cosine of the angle between x1 and x2 along `dim`."""
    a = x1 / _vector_norm(x1, 2, dim, keepdim=True).clamp(min=eps)
    b = x2 / _vector_norm(x2, 2, dim, keepdim=True).clamp(min=eps)
    return (a * b).sum(dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """p-norm of x1 − x2 + eps over the last dimension."""
    if not isinstance(x1, Tensor) or not isinstance(x2, Tensor):
        raise TypeError("pairwise_distance(): x1 and x2 must be tensors")
    return _vector_norm(x1 - x2 + eps, p, -1, keepdim)
