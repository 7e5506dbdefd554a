"""What programs ask about backends before they choose a device."""


class _Absent:
    """A backend that is not there."""

    @staticmethod
    def is_available():
        """False."""
        return False

    is_built = is_available


mps = cuda = _Absent()
