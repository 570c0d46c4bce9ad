"""Bodies of the Redis layer: pieces are keys of the server's inbox, room is told in a list for each body."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from channel_layers.body import LIFETIME, ROOM, BodyWriter, no_room, reader_gone
from channel_layers.envelope import Envelope, Piece, piece
from channel_layers.names import inbox_of
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack, pack_value
from channel_layers.redis.writer import Prelude
from channel_layers.slot import Refused

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

CLOSED: Final = b"closed"
MANY: Final = 1000
"""More tokens of room than one body can have."""


class RedisBody(BodyWriter):
    """The writing end of one body."""

    def __init__(self, channel: str, layer: RedisChannelLayer) -> None:
        self._channel = channel
        self._layer = layer
        self._room = layer.keys.body(channel)
        self._waiting = 0  # bytes that were not fetched
        self._is_closed = False

    def wait_for_room(self, size: int, timeout: float) -> None:
        """Wait for room; see :meth:`channel_layers.body.BodyWriter.wait_for_room`."""
        self._layer.connections.run(self._waiting_for_room(size, timeout))

    def write(self, data: bytes, more_content: bool, timeout: float, before: Sequence[Envelope] = ()) -> list[Refused]:
        """Send a piece; see :meth:`channel_layers.body.BodyWriter.write`."""
        return self._layer.connections.run(self._writing(data, more_content, timeout, before))

    async def awrite(
        self, data: bytes, more_content: bool, timeout: float, before: Sequence[Envelope] = ()
    ) -> list[Refused]:
        """As :meth:`write`."""
        return await self._layer.connections.arun(self._writing(data, more_content, timeout, before))

    def _writing(
        self, data: bytes, more_content: bool, timeout: float, before: Sequence[Envelope]
    ) -> Exchange[list[Refused]]:
        yield from self._waiting_for_room(len(data), timeout)
        if self._is_closed:
            refused = yield from self._layer.writer.write(before)
        else:
            refused = yield from self._sending(data, more_content, before)
        if self._is_closed and not refused:
            raise reader_gone(self._channel)
        return refused

    def _sending(self, data: bytes, more_content: bool, before: Sequence[Envelope]) -> Exchange[list[Refused]]:
        """Learn of room, store the piece and name it in the inbox, all in one write."""
        key = self._layer.keys.entry(inbox_of(self._channel) or "", os.urandom(8).hex())
        prelude = Prelude([pack("LPOP", self._room, MANY), pack_value(key, data, LIFETIME)])
        envelopes = [*before, piece(self._channel, key, len(data), more_content)]
        refused = yield from self._layer.writer.write(envelopes, prelude=prelude)
        self._waiting += len(data)
        self._note(prelude.replies[0] or ())
        return refused

    def _waiting_for_room(self, size: int, timeout: float) -> Exchange[None]:
        if self._has_room(size):
            return
        (tokens,) = yield Request([pack("LPOP", self._room, MANY)])
        self._note(tokens or ())
        deadline = time.monotonic() + timeout
        while not self._has_room(size):
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise no_room(self._channel)
            (reply,) = yield Request([pack("BLPOP", self._room, max(patience, 0.001))], patience)
            self._note(reply[1:] if reply else ())

    def _has_room(self, size: int) -> bool:
        return self._is_closed or not self._waiting or self._waiting + size <= ROOM

    def _note(self, tokens: Iterable[bytes]) -> None:
        for token in tokens:
            if token == CLOSED:
                self._is_closed = True
            else:
                self._waiting -= int(token)


def fetching(channel: str, wanted: Piece, layer: RedisChannelLayer) -> Exchange[bytes | None]:
    """Take a piece away, and tell its writer that there is room."""
    room = layer.keys.body(channel)
    commands = [pack("GETDEL", wanted.key), pack("RPUSH", room, wanted.size), pack("EXPIRE", room, LIFETIME)]
    data, *_ = yield Request(commands)
    assert data is None or isinstance(data, bytes)
    return data


def closing_commands(channel: str, unread: Iterable[Piece], layer: RedisChannelLayer) -> list[bytes]:
    """Return what tells the writer that nobody reads on, and deletes what was not fetched."""
    room = layer.keys.body(channel)
    keys = [wanted.key for wanted in unread]
    commands = [pack("RPUSH", room, CLOSED), pack("EXPIRE", room, LIFETIME)]
    return [*commands, pack("UNLINK", *keys)] if keys else commands


def closing(channel: str, unread: Iterable[Piece], layer: RedisChannelLayer) -> Exchange[None]:
    """Tell the writer that nobody reads on."""
    yield Request(closing_commands(channel, unread, layer))
