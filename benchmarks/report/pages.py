"""The places of a page that the report fills in: between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PLACE: Final = re.compile(r"(<!-- figures: ([a-z -]+) -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)


def fill(text: str, sections: Mapping[str, str]) -> str:
    """Return ``text`` with what stands in its places replaced. Raises :exc:`ValueError` for a place of another name."""

    def filled(match: re.Match[str]) -> str:
        if match[2] not in sections:
            raise ValueError(f"there are no figures called {match[2]!r}; there are {', '.join(sections)}")
        return f"{match[1]}\n{sections[match[2]].strip()}\n\n{match[4]}"

    return PLACE.sub(filled, text)
