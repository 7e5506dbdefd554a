"""Prints the requirements of extras of pyproject.toml, so that they install without building the project.

python tools/extras.py test
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def requirements(extra):
    """The packages of an extra, with those of the extras that it names itself."""
    for requirement in PROJECT["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", requirement)
        if own:
            for part in own[1].split(","):
                yield from requirements(part.strip())
        else:
            yield requirement


if __name__ == "__main__":
    wanted = dict.fromkeys(PROJECT["dependencies"])
    for name in sys.argv[1:]:
        wanted.update(dict.fromkeys(requirements(name)))
    print("\n".join(wanted))
