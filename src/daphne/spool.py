"""What a slow client has not taken yet: in memory at first, then in a temporary file."""

from __future__ import annotations

import tempfile
from collections import deque
from typing import IO, Final

IN_MEMORY: Final = 256 * 1024
"""Bytes of one response that wait in memory."""


class Spool:
    """Bytes that come out in the order they went in. ``size`` is how many wait."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: deque[bytes] = deque()
        self._file: IO[bytes] | None = None
        self._begin = 0
        self._end = 0

    def append(self, data: bytes) -> None:
        """Put bytes at the end."""
        self.size += len(data)
        if self._file is None and self.size <= IN_MEMORY:
            self._parts.append(data)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="daphne-")  # noqa: SIM115 - close() does
        self._file.seek(self._end)
        self._file.write(data)
        self._end += len(data)

    def take(self, size: int) -> bytes:
        """Return up to ``size`` bytes from the beginning, or one part that is longer."""
        data = self._parts.popleft() if self._parts else self._read(size)
        self.size -= len(data)
        return data

    def close(self) -> None:
        """Forget everything."""
        self._parts.clear()
        self.size = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, size: int) -> bytes:
        assert self._file is not None, "there is nothing in this spool"
        self._file.seek(self._begin)
        data = self._file.read(min(size, self._end - self._begin))
        self._begin += len(data)
        if self._begin == self._end:  # what comes next may wait in memory again
            self._file.close()
            self._file, self._begin, self._end = None, 0, 0
        return data
