"""SparseAdam: there is no sparse gradient for it to step along."""

from wengert._core import Tensor

from .optimizer import Optimizer


class SparseAdam(Optimizer):
    """Adam for sparse gradients; with dense ones, which all gradients are here, a step is an error, as in PyTorch.

    Raises:
        ValueError: for options that are not positive, or decay rates outside [0, 1).
        RuntimeError: in `step`, if a parameter has a gradient.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> wg.optim.SparseAdam([w]).step()
        Traceback (most recent call last):
        RuntimeError: SparseAdam does not support dense gradients; use Adam or AdamW instead
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _update(self, group):
        if any(param.grad is not None for param in group["params"]):
            raise RuntimeError("SparseAdam does not support dense gradients; use Adam or AdamW instead")
