"""Bodies of responses that go round the inbox of their server instead of through it.

The beginning of a body is a message like any other. What follows is put beside the inbox in pieces, and only their
names go through it: nobody else's message waits behind a large body. A body has room for :data:`ROOM` bytes that its
server has not fetched; whoever writes it waits for room, and learns there that the client has gone.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from channel_layers.envelope import Envelope
from channel_layers.exceptions import ReaderGone
from channel_layers.slot import Refused

ROOM: Final = 1024 * 1024
"""Bytes of one body that may wait for its server."""
PIECE_SIZE: Final = 128 * 1024
"""Bytes of one piece."""
LIFETIME: Final = 600
"""Seconds after which what nobody has read of a body, of a request too, is gone."""


class BodyWriter(ABC):
    """The writing end of the body for one reply channel, behind its beginning; used by one thread at a time."""

    @abstractmethod
    def wait_for_room(self, size: int, timeout: float) -> None:
        """Wait until a piece of ``size`` bytes has room or nobody reads on; the next write need not wait then.

        Raises :exc:`TimeoutError` after ``timeout`` seconds; with 0 it only looks.
        """

    @abstractmethod
    def write(self, data: bytes, more_content: bool, timeout: float, before: Sequence[Envelope] = ()) -> list[Refused]:
        """Send at most :data:`PIECE_SIZE` bytes, after waiting up to ``timeout`` seconds for room.

        ``before`` leaves in the same write, in front of the piece; returns what was refused of it. Raises
        :exc:`TimeoutError` where there was no room: nothing was sent; and
        :exc:`~channel_layers.exceptions.ReaderGone`, by this or the next call: ``before`` was sent all the same.
        """

    async def awrite(
        self, data: bytes, more_content: bool, timeout: float, before: Sequence[Envelope] = ()
    ) -> list[Refused]:
        """As :meth:`write`."""
        return await asyncio.to_thread(self.write, data, more_content, timeout, before)


def no_room(channel: str) -> TimeoutError:
    """Return what is raised where a piece found no room in time."""
    return TimeoutError(f"no room for a piece of the body of {channel!r}: its client reads too slowly")


def reader_gone(channel: str) -> ReaderGone:
    """Return what is raised where nobody reads on."""
    return ReaderGone(f"nobody reads the body of {channel!r} any more: its client has left")
