"""What the documentation shows is Python, and runs where it says so."""

from __future__ import annotations

import ast
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.documents import PAGES, Block, blocks

PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]


def run(page: Path) -> dict[str, Any]:
    """Run the blocks of ``page`` that follow ``<!-- run -->``, one after another, and return their names.

    What one prints is what the block behind it shows, line breaks aside, if that follows ``<!-- output -->``.
    """
    names: dict[str, Any] = {"__name__": page.stem}
    for block, following in pairwise([*blocks(page), None]):
        if block is not None and block.marker == "run":
            with redirect_stdout(StringIO()) as printed:
                exec(compile(block.source, block.where, "exec"), names)
            if following is not None and following.marker == "output":
                assert printed.getvalue().split() == following.source.split(), following.where
    return names


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.where)
def test_python_in_the_documentation_compiles(block: Block) -> None:
    """Every block of Python on a page has no syntax error."""
    assert ast.parse(block.source, filename=block.where).body


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_marked_blocks_run(page: Path) -> None:
    """The blocks of a page that are marked to run do so without an error."""
    assert run(page)["__name__"] == page.stem


def test_blocks_are_found_with_their_comments(tmp_path: Path) -> None:
    """Blocks keep their order, line, language and comment, and lose the indentation of a list they stand in."""
    page = tmp_path / "page.md"
    page.write_text("Text\n\n<!-- run -->\n\n```python\nx = 1\n```\n- item\n\n  ```console\n  ls\n  ```\n")
    assert blocks(page) == [
        Block("python", "x = 1\n", "page.md:6", "run"),
        Block("console", "ls\n", "page.md:11", ""),
    ]


def test_blocks_of_a_page_share_their_names(tmp_path: Path) -> None:
    """A later block uses what an earlier one defined; a block without the comment is not run."""
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```python\nx = 1\n```\n```python\n1 / 0\n```\n<!-- run -->\n```python\ny = x\n```\n")
    assert run(page)["y"] == 1


def test_shown_output_is_compared(tmp_path: Path) -> None:
    """What a block prints is compared with the output shown behind it."""
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```python\nprint(1)\n```\n<!-- output -->\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:7"):
        run(page)


def test_failing_block_names_its_place(tmp_path: Path) -> None:
    """The traceback of a block that fails leads to its page and line."""
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```python\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as failed:
        run(page)
    assert str(failed.traceback[-1].path).endswith("page.md:3")
