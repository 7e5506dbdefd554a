"""What programs ask about CUDA before they choose a device: there is none here."""


def is_available():
    """False: wengert has no CUDA devices.

    Example:
        >>> wg.cuda.is_available()
        False
    """
    return False


def device_count():
    """0.

    Example:
        >>> wg.cuda.device_count()
        0
    """
    return 0


def manual_seed(seed):
    """Seeds no device, as PyTorch does without CUDA."""


def manual_seed_all(seed):
    """Seeds no device, as PyTorch does without CUDA."""
