"""Who may import whom: the packages must stay separable, and the protocol cores free of I/O."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"
MODULES = sorted(SRC.rglob("*.py"))

# Besides the standard library and the package itself.
MAY_IMPORT = {
    "channel_layers": {"msgspec"},
    "daphne": {"channel_layers", "httptools", "uvloop", "websockets"},
    "channels": {"channel_layers", "django"},
    "asgi_redis": {"channel_layers"},
}
# What single modules may import beyond that.
EXCEPTIONS = {
    "channel_layers/redis/protocol.py": {"hiredis"},
    "channels/management/commands/runserver.py": {"daphne"},
    # asgiref comes with Django: what an async consumer does with the database is done in a thread of its choice.
    "channels/boundary.py": {"asgiref"},
    # asgiref comes with Django: it keeps what an async consumer does with the database in the thread of the test.
    "channels/test/liveserver.py": {"asgiref", "daphne"},
    "channels/test/run.py": {"asgiref"},
    "channels/test/plugin.py": {"pytest"},
}
SUITE = "channel_layers/conformance"
"""Tests that third parties run against a layer of their own."""
CORES = (
    "access access_format answers backlog broadcast compression forwarded frames framing grammar handshake head http "
    "lane opcodes origin pace request response source"
)
WITHOUT_IO = {f"daphne/{name}.py" for name in CORES.split()}
ONLY_HOME = {"httptools": "daphne/head.py"}


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the top package and the line of every absolute import in ``tree``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno


def is_allowed(package: str, module: str) -> bool:
    """Whether ``module``, a path under ``src``, may import ``package``."""
    own = module.partition("/")[0]
    if package == "asyncio" and module in WITHOUT_IO:
        return False
    if ONLY_HOME.get(package, module) != module:
        return False
    allowed = sys.stdlib_module_names | {own} | MAY_IMPORT[own] | EXCEPTIONS.get(module, set())
    if module.startswith(SUITE):
        allowed |= {"pytest"}
    return package in allowed


def imports_in_functions(tree: ast.AST, lines: list[str]) -> Iterator[int]:
    """Yield the lines of imports inside functions that have no comment beside or above them."""
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    for function in functions:
        for node in ast.walk(function):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                above, beside = lines[node.lineno - 2 : node.lineno]
                if "#" not in beside and not above.lstrip().startswith("#"):
                    yield node.lineno


def violations(module: str, source: str) -> list[str]:
    """List what ``source`` at ``module`` breaks, one sentence each."""
    tree = ast.parse(source)
    return [
        f"{module}:{line} may not import {package}"
        for package, line in imports(tree)
        if not is_allowed(package, module)
    ] + [
        f"{module}:{line} imports inside a function without a comment that gives the reason"
        for line in imports_in_functions(tree, source.splitlines())
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_module_keeps_its_boundaries(path: Path) -> None:
    """A module imports what its package may import, at its top."""
    assert violations(path.relative_to(SRC).as_posix(), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("channel_layers/base.py", "import django"),
        ("channel_layers/base.py", "from daphne.config import Config"),
        ("daphne/server.py", "from django.conf import settings"),
        ("daphne/server.py", "import channels.routing"),
        ("daphne/server.py", "import httptools"),
        ("daphne/frames.py", "import asyncio"),
        ("daphne/http.py", "from asyncio import sleep"),
        ("asgi_redis/__init__.py", "from channels import layers"),
        ("asgi_redis/__init__.py", "import hiredis"),
        ("channels/worker.py", "if TYPE_CHECKING:\n    import daphne"),
        ("channels/worker.py", "def work():\n    import json"),
        ("channels/worker.py", "async def work():\n    with lock:\n        from json import loads"),
    ],
)
def test_violations_are_found(module: str, source: str) -> None:
    """The check sees an import wherever it stands."""
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("daphne/head.py", "import httptools"),
        ("daphne/server.py", "import asyncio, uvloop\nfrom channel_layers.base import BaseChannelLayer"),
        ("channels/management/commands/runserver.py", "from daphne.server import Server"),
        ("channels/handler.py", "from . import request\nfrom django.http import HttpResponse"),
        ("channels/auth.py", "def user():\n    from json import loads  # models load late"),
        ("channels/auth.py", "def user():\n    # Models load late.\n    from json import loads"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    """The check lets through what the table allows, and an import in a function that has its reason."""
    assert violations(module, source) == []
