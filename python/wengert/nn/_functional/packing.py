"""Between packed rows (ΣNₜ, …) with the sizes Nₜ of their steps, and padded steps (L, N, …)."""

from wengert import _core


def present(batch_sizes, device):
    """Which places of the padded (L, N) hold a row; the True ones are in the order of the packed rows."""
    return (_core.arange(int(batch_sizes[0]), device="cpu") < batch_sizes.unsqueeze(1)).to(device)


def padded(data, batch_sizes, padding_value=0.0, length=None):
    """The rows (ΣNₜ, …) as padded steps (length or L, N, …)."""
    mask = present(batch_sizes, data.device)
    steps, batch = mask.shape
    result = data.new_full((steps if length is None else length, batch, *data.shape[1:]), padding_value)
    result[:steps][mask] = data
    return result
