"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import channels
import daphne

ROOT = Path(__file__).parent.parent


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the size of every function in ``path``, in lines without its docstring, and where it is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield size(node), f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def size(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of ``function`` from its ``def``, leaving out the docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def test_nine_functions_in_ten_are_short() -> None:
    """At least nine functions in ten under src/ have fewer than 25 lines."""
    sizes = [found for path in (ROOT / "src").rglob("*.py") for found in functions(path)]
    long = sorted((found for found in sizes if found[0] >= 25), reverse=True)
    assert len(long) * 10 <= len(sizes), "\n".join(f"{lines} lines: {where}" for lines, where in long)


def test_size_leaves_out_the_docstring() -> None:
    """Decorators and docstring do not count as lines of a function, all else does."""
    source = '@cached\ndef f():\n    """One\n    two."""\n    # why\n    return 1\n\n\nasync def g(): ...'
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [size(node) for node in nodes] == [3, 1]


def test_every_exception_to_a_rule_has_its_reason() -> None:
    """Rules that are off in pyproject.toml, and type errors and lines that are let pass, say why."""
    settings = (ROOT / "pyproject.toml").read_text()
    rules = re.findall(r'^    "[A-Z]+\d*",.*$', settings.partition("ignore = [")[2], re.MULTILINE)
    bare = [rule for rule in rules if not re.search(r"#\W+\w", rule)]
    for path in sorted(ROOT.glob("src/**/*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"# (type: ignore|noqa|pragma: no)", line) and not has_reason(line):
                bare.append(f"{path.relative_to(ROOT)}:{number} {line.strip()}")
    assert bare == []


def has_reason(line: str) -> bool:
    """Whether the comment that switches a check off names the check and goes on with words."""
    check = r"type: ignore\[[\w, -]+\]|noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|pragma: no (cover|branch)"
    return bool(re.search(rf"# ({check})\W+\w.*\w", line))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = 1  # type: ignore[misc]  # the stubs are wrong", True),
        ("x = 1  # noqa: BLE001 - a consumer may raise anything", True),
        ("x = 1  # pragma: no cover: only on Windows", True),
        ("x = 1  # type: ignore[misc]", False),
        ("x = 1  # noqa: BLE001", False),
        ("x = 1  # noqa", False),
        ("x = 1  # type: ignore  # the stubs are wrong", False),
    ],
)
def test_has_reason(line: str, expected: bool) -> None:
    """A reason is words after the code of the check."""
    assert has_reason(line) is expected


def test_versions_agree() -> None:
    """Both packages of the distribution that tell a version tell the same."""
    assert channels.__version__ == daphne.__version__


def test_supported_versions_agree() -> None:
    """pyproject.toml, tox.ini and the scripts name the same oldest Python and Django."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert "django>=5.2" in project["dependencies"]
    assert "py311-django52" in (ROOT / "tox.ini").read_text()
    assert "OLDEST = (3, 11)\n" in (ROOT / "scripts/environment.py").read_text()
