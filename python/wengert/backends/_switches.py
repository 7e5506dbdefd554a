"""Switches of backends that are not there: what a program sets it reads again, and nothing else happens."""


class Switches:
    """A namespace with the given attributes, all of which may be set; any other name is an error."""

    def __init__(self, name, **values):
        self.__dict__.update(values, _name=name)

    def __setattr__(self, name, value):
        if name not in self.__dict__:
            raise AttributeError(f"wengert has no {self._name}.{name}")
        self.__dict__[name] = value

    def __getattr__(self, name):
        raise AttributeError(f"wengert has no {self._name}.{name}")


def no():
    """False: there is no such backend here.

    Example:
        >>> wg.backends.mps.is_available()
        False
    """
    return False
