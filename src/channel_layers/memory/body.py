"""Bodies of the in-memory layer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from channel_layers.body import ROOM, BodyWriter, no_room, reader_gone
from channel_layers.envelope import Envelope, piece
from channel_layers.slot import Refused

if TYPE_CHECKING:
    from channel_layers.memory.layer import MemoryChannelLayer


class MemoryBody(BodyWriter):
    """Both ends of one body. ``pieces`` are those not fetched, by key."""

    def __init__(self, channel: str, layer: MemoryChannelLayer) -> None:
        self.pieces: dict[str, bytes] = {}
        self._channel = channel
        self._layer = layer
        self._keys = count()
        self._is_closed = False
        self._changed = threading.Condition()

    def wait_for_room(self, size: int, timeout: float) -> None:
        """Wait for room; see :meth:`channel_layers.body.BodyWriter.wait_for_room`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(size), timeout):
                raise no_room(self._channel)

    def write(self, data: bytes, more_content: bool, timeout: float, before: Sequence[Envelope] = ()) -> list[Refused]:
        """Send a piece; see :meth:`channel_layers.body.BodyWriter.write`."""
        self.wait_for_room(len(data), timeout)
        key = self._put(data)
        if key is None:
            refused = self._layer.write(before)
        else:
            refused = self._layer.write([*before, piece(self._channel, key, len(data), more_content)])
        if self._is_closed and not refused:
            raise reader_gone(self._channel)
        return refused

    def fetch(self, key: str) -> bytes | None:
        """Take a piece away and make room."""
        with self._changed:
            data = self.pieces.pop(key, None)
            self._changed.notify()
        return data

    def close(self) -> None:
        """Nobody reads on."""
        with self._changed:
            self._is_closed = True
            self.pieces.clear()
            self._changed.notify()

    def _put(self, data: bytes) -> str | None:
        """Put a piece where it is fetched; return its key, or ``None`` where nobody reads on."""
        with self._changed:
            if self._is_closed:
                return None
            key = f"{next(self._keys)}"
            self.pieces[key] = data
        return key

    def _has_room(self, size: int) -> bool:
        return self._is_closed or not self.pieces or sum(map(len, self.pieces.values())) + size <= ROOM
