"""Parameters as one vector and back."""

from wengert import _core


def parameters_to_vector(parameters):
    """All parameters, flattened and concatenated.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.Linear(2, 3)
        >>> wg.nn.utils.parameters_to_vector(layer.parameters()).shape
        torch.Size([9])
    """
    return _core.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Give the parameters the values of consecutive parts of the vector `vec`, whose memory they then share."""
    if not isinstance(vec, _core.Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        count = p.numel()
        p.data = vec[start : start + count].view_as(p).data
        start += count
