"""Wrappers that spread a module over devices, as far as there is one."""

from .modules.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """A module under the name `module`, which runs it where it is, as PyTorch's does without GPUs.

    Example:
        >>> import wengert as wg
        >>> model = wg.nn.DataParallel(wg.nn.Linear(2, 1, bias=False))
        >>> list(model.state_dict())
        ['module.weight']
        >>> model(wg.zeros(3, 2)).shape
        torch.Size([3, 1])
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        if device_ids:
            raise RuntimeError(
                f"DataParallel: devices {list(device_ids)} are not there; leave device_ids out"
            )
        self.module = module
        self.device_ids = []
        self.dim = dim

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)
