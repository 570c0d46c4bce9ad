"""Entries of an inbox that were read and are still there: when to delete them, and that none is read twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

MAX_ENTRIES: Final = 128
"""Entries that may remain, if not a hundredth of the inbox's capacity is less: they count as if they waited."""
MAX_SIZE: Final = 256 * 1024
"""Bytes of such entries."""
MAX_SECONDS: Final = 5.0
"""Seconds after which a read deletes whatever remains; it lets the inbox of a process without heartbeats live on."""


class Remains:
    """To delete costs as much as to read, so it is done for many entries at once."""

    def __init__(self) -> None:
        self._ids: list[bytes] = []
        self._size = 0
        self._deleted: list[bytes] = []  # what the last command was for, of which nobody waits to hear
        self._deleted_at = time.monotonic()
        self._again: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, read: Sequence[Any], *, is_end: bool) -> None:
        """Take note of entries that were read, as the server returns them; ``is_end``: there were no others."""
        for entry_id, (_, value) in read:
            self._ids.append(entry_id)
            self._size += len(value)
        if is_end:
            self._again.clear()

    def are_much(self, capacity: int) -> bool:
        """Return whether it is time to delete them from an inbox of so many entries."""
        if not self._ids:
            return False
        is_much = len(self._ids) >= min(MAX_ENTRIES, capacity // 100) or self._size >= MAX_SIZE
        return is_much or time.monotonic() - self._deleted_at >= MAX_SECONDS

    def delete(self) -> None:
        """Forget them: the command that deletes them is about to be sent."""
        self._deleted, self._ids, self._size = self._ids, [], 0
        self._deleted_at = time.monotonic()

    def expect_again(self) -> None:
        """The server has begun anew and may have kept them; its inboxes are read from their beginning."""
        self._again.update(self._deleted, self._ids)

    def without_known(self, read: list[Any]) -> list[Any]:
        """Return those of ``read`` that were not read in an earlier run of the server."""
        return [entry for entry in read if entry[0] not in self._again] if self._again else read
