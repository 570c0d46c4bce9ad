"""Bodies of the in-memory layer."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING

from channel_layers.body import ROOM, BodyWriter, no_room, reader_gone
from channel_layers.envelope import piece

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

    def write(self, data: bytes, more_content: bool, timeout: float) -> None:
        """Send a piece; see :meth:`channel_layers.body.BodyWriter.write`."""
        key = self._put(data, time.monotonic() + timeout)
        self._layer.write([piece(self._channel, key, len(data), more_content)])

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

    def _put(self, data: bytes, deadline: float) -> str:
        with self._changed:
            while not self._is_closed and self.pieces and self._size() + len(data) > ROOM:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise no_room(self._channel)
            if self._is_closed:
                raise reader_gone(self._channel)
            key = f"{next(self._keys)}"
            self.pieces[key] = data
        return key

    def _size(self) -> int:
        return sum(map(len, self.pieces.values()))
