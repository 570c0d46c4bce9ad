"""Chapters of the tutorial, and guides, as instructions: what their code blocks ask the reader to do is done.

The comment before a block says what it is. ``file: path`` is added to a file and ``whole file: path`` replaces it,
``command`` is run line by line, ``shell`` is typed into ``manage.py shell``, ``serve`` starts the server, ``browser``
goes into a browser's console, ``run`` is Python that needs no project, and ``output`` is what the reader is to see,
with line breaks where the page needs them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.documents import ROOT, Block, blocks

PAGES = sorted((ROOT / "docs/tutorial").glob("[1-9]-*.md"))
PYTHON = [sys.executable]
PROGRAMS = {"python": PYTHON, "django-admin": [*PYTHON, "-m", "django"]}


class Chapter:
    """One page, read from the top to the bottom.

    ``project`` is a directory of its own, ``printed`` what its commands have printed.
    """

    def __init__(self, page: Path, project: Path) -> None:
        self.project = project
        self.printed = ""
        self._blocks = (block for block in blocks(page) if block.marker)

    def until_served(self) -> Path:
        """Do what is said up to the next start of the server, and return the project."""
        for block in self._blocks:
            if block.marker == "serve":
                return self.project
            self.printed += do(block, self.project)
        raise AssertionError("no server is started in the rest of the chapter")

    def to_the_end(self) -> Path:
        """Do all that is said, and return the project."""
        for block in self._blocks:
            do(block, self.project)
        return self.project

    def next(self, marker: str) -> str:
        """Do what is said up to the next block with ``marker``, and return its text."""
        for block in self._blocks:
            if block.marker == marker:
                return block.source
            self.printed += do(block, self.project)
        raise AssertionError(f"no {marker!r} in the rest of the chapter")

    def output(self) -> str:
        """Return the next output shown, in one line."""
        return " ".join(self.next("output").split())

    def shell(self) -> str:
        """Type the next block for Django's shell into it, and return what that prints."""
        return run([*PYTHON, "manage.py", "shell", "--verbosity", "0"], self.project, self.next("shell"))


@cache
def finished(number: int, directory: Path) -> Path:
    """Return the project as chapter ``number`` leaves it, made once below ``directory``; 0 is before the first."""
    project = directory / f"chapter-{number}"
    if number == 0:
        project.mkdir()
    else:
        shutil.copytree(finished(number - 1, directory), project)
        for block in blocks(PAGES[number - 1]):
            do(block, project)
    return project


def do(block: Block, project: Path) -> str:
    """Write the file that ``block`` is part of, or run its commands and return what they print."""
    kind, _, name = block.marker.partition(": ")
    if kind == "command":
        return "".join(run(command_of(line), project) for line in block.source.splitlines())
    if kind in ("file", "whole file"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if kind == "file" else "w") as file:
            file.write(block.source)
    return ""


def command_of(line: str) -> list[str]:
    """Return the command in ``line``, run by the Python that runs the tests."""
    program, *arguments = shlex.split(line)
    return [*PROGRAMS[program], *arguments]


def run(command: list[str], project: Path, typed: str = "") -> str:
    """Run ``command`` in the project and return what it prints; it must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ended = subprocess.run(
        command,
        cwd=project,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
