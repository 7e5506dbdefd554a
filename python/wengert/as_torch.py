"""`python -m wengert.as_torch script.py args…`: runs a PyTorch program on wengert."""

import sys


def main(argv=None):
    """Puts wengert under the name torch and runs a script, or a module with ``-m``."""
    import os
    import runpy

    from ._as_torch import install_as_torch

    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(
            "usage: python -m wengert.as_torch script.py [args…]\n       python -m wengert.as_torch -m module [args…]"
        )
        return 0 if arguments and arguments[0] != "-m" else 2
    install_as_torch()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
