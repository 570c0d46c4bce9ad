"""Rows as text in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def table(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    """Return ``rows`` as text in ``columns``, below their names."""
    cells = [list(columns), *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
