"""Bodies of responses that go round the inbox of their server instead of through it.

The beginning of a body is a message like any other. What follows is put beside the inbox in pieces, and only their
names go through it: nobody else's message waits behind a large body. A body has room for :data:`ROOM` bytes that its
server has not fetched; whoever writes it waits for room, and learns there that the client has gone.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Final

from channel_layers.exceptions import ReaderGone

ROOM: Final = 1024 * 1024
"""Bytes of one body that may wait for its server."""
PIECE_SIZE: Final = 128 * 1024
"""Bytes of one piece."""
LIFETIME: Final = 600
"""Seconds after which what nobody has read of a body, of a request too, is gone."""


class BodyWriter(ABC):
    """The writing end of the body for one reply channel, after its beginning was sent; used by one thread at a time."""

    @abstractmethod
    def write(self, data: bytes, more_content: bool, timeout: float) -> None:
        """Send at most :data:`PIECE_SIZE` bytes, after waiting up to ``timeout`` seconds for room.

        Raises :exc:`~channel_layers.exceptions.ReaderGone`, and :exc:`TimeoutError` where there was no room.
        """

    async def awrite(self, data: bytes, more_content: bool, timeout: float) -> None:
        """As :meth:`write`."""
        await asyncio.to_thread(self.write, data, more_content, timeout)


def no_room(channel: str) -> TimeoutError:
    """Return what is raised where a piece found no room in time."""
    return TimeoutError(f"no room for a piece of the body of {channel!r}: its client reads too slowly")


def reader_gone(channel: str) -> ReaderGone:
    """Return what is raised where nobody reads on."""
    return ReaderGone(f"nobody reads the body of {channel!r} any more: its client has left")
