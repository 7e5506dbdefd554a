"""Padding."""

from wengert import _core


def _source_positions(size, before, after, mode, device):
    """For each place of a padded dimension, where in the input its value comes from."""
    places = _core.arange(-before, size + after, device=device)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    if mode == "circular":
        if before > size or after > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        return places % size
    if before >= size or after >= size:
        raise RuntimeError(
            "Padding size should be less than the corresponding input dimension, "
            f"but got: padding ({before}, {after}) at a dimension of size {size}"
        )
    last = size - 1
    return last - (last - places.abs()).abs()


def pad(input, pad, mode="constant", value=None):
    """Pad the last dimensions: `pad` is (before, after) for the last, then for the one before it, and so on.

    Args:
        mode: 'constant' (of `value`, 0 if left out), 'reflect', 'replicate' or 'circular'.
            Negative amounts cut away.

    Example:
        >>> import wengert as wg
        >>> wg.nn.functional.pad(wg.tensor([1, 2]), (1, 2))
        tensor([0, 1, 2, 0, 0])
    """
    pad = tuple(pad)
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(pad)} amounts")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input.ndim}"
        )
    pairs = [(0, 0)] * (input.ndim - len(pad) // 2) + [
        (pad[i], pad[i + 1]) for i in range(len(pad) - 2, -2, -2)
    ]
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if mode != "constant" and value not in (None, 0):
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    for dim, (before, after) in enumerate(pairs):
        if min(before, after) < 0:
            start, cut = max(-before, 0), max(-after, 0)
            length = input.shape[dim] - start - cut
            if length < 0:
                raise RuntimeError(
                    f"The input size {input.shape[dim]}, plus negative padding {before} and {after}, resulted in "
                    f"a negative output size, which is invalid. Check dimension {dim} of your input."
                )
            input = input.narrow(dim, start, length)
    pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    if mode == "constant":
        return _core._pad(input, pairs, 0.0 if value is None else value)
    for dim, (before, after) in enumerate(pairs):
        if before or after:
            positions = _source_positions(input.shape[dim], before, after, mode, input.device)
            input = input.index_select(dim, positions)
    return input
