"""Every example in the docs runs and prints what it says: docstrings of all public objects, and README."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import wengert as wg

ROOT = Path(__file__).parents[1]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PARSER = doctest.DocTestParser()


def modules():
    """Every public module of the package, with `_core`, whose objects are public under wengert's names."""
    yield wg
    yield wg._core
    for found in pkgutil.walk_packages(wg.__path__, "wengert."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            yield importlib.import_module(found.name)


def documented():
    """(name, docstring) of each module, function, class and method whose text holds an example, once."""
    seen = set()

    def example(name, thing):
        text = getattr(thing, "__doc__", None)
        if isinstance(text, str) and ">>> " in text and text not in seen:
            seen.add(text)
            yield name, text

    for module in modules():
        yield from example(module.__name__, module)
        for name in dir(module):
            # By name, since functions load on first use; some submodules are still to be written.
            value = getattr(module, name, None)
            home = getattr(value, "__module__", None)
            if name.startswith("_") or not callable(value) or (home or "wengert").split(".")[0] != "wengert":
                continue
            full = f"{module.__name__}.{name}"
            yield from example(full, value)
            if isinstance(value, type):
                for member in list(vars(value)):
                    yield from example(f"{full}.{member}", getattr(value, member, None))


def run(name, text, names):
    """Runs the examples of a text in one namespace."""
    case = PARSER.get_doctest(text, names, name, None, 0)
    out = []
    result = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(case, out=out.append)
    assert result.attempted, f"{name} has no examples"
    assert not result.failed, "".join(out)


DOCUMENTED = dict(documented())


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring(name):
    run(name, DOCUMENTED[name], {"wg": wg})


def test_there_are_docstrings_to_run():
    assert len(DOCUMENTED) > 50


BLOCK = re.compile(r"^```(pycon|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]
)
def test_page(page):
    """A page's Python blocks run in order, in one namespace; those written as sessions show true outputs."""
    names = {"__name__": "page"}
    blocks = BLOCK.findall((ROOT / page).read_text())
    for number, (kind, code) in enumerate(blocks, 1):
        if kind == "pycon":
            case = PARSER.get_doctest(code, names, f"{page}, block {number}", None, 0)
            out = []
            result = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(
                case, out=out.append, clear_globs=False
            )
            assert not result.failed, "".join(out)
            names = case.globs
        else:
            exec(compile(code, f"{page}, block {number}", "exec"), names)
    assert page != "README.md" or blocks, "the README shows no program"


def test_links_between_pages_lead_somewhere():
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
