"""The code blocks of the README and of ``docs/``, with the comment before each that says what to do with it."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("[!_]*.md"))]

BLOCK = re.compile(
    r"^(?:[ ]*<!--[ ](?P<marker>[^\n]+?)[ ]-->\n+)?"
    r"(?P<fence>[ ]*`{3,})(?P<language>\w+)\n(?P<source>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text without indentation, where it stands, its comment or ``""``."""

    language: str
    source: str
    where: str
    marker: str


def blocks(page: Path) -> list[Block]:
    """List the fenced code blocks of a Markdown page that name a language, from the top to the bottom."""
    text = page.read_text()
    return [
        Block(
            language=match["language"],
            source=textwrap.dedent(match["source"]),
            where=f"{page.name}:{len(text[: match.start('source')].splitlines()) + 1}",
            marker=match["marker"] or "",
        )
        for match in BLOCK.finditer(text)
    ]
