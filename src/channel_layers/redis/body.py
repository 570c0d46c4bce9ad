"""Bodies of the Redis layer: pieces are keys of the server's inbox, room is told in a list for each body."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from channel_layers.body import LIFETIME, ROOM, BodyWriter, no_room, reader_gone
from channel_layers.envelope import Piece, piece
from channel_layers.names import inbox_of
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack

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

    def write(self, data: bytes, more_content: bool, timeout: float) -> None:
        """Send a piece; see :meth:`channel_layers.body.BodyWriter.write`."""
        self._layer.connections.run(self._writing(data, more_content, timeout))

    async def awrite(self, data: bytes, more_content: bool, timeout: float) -> None:
        """As :meth:`write`."""
        await self._layer.connections.arun(self._writing(data, more_content, timeout))

    def _writing(self, data: bytes, more_content: bool, timeout: float) -> Exchange[None]:
        deadline = time.monotonic() + timeout
        while self._waiting and self._waiting + len(data) > ROOM:
            yield from self._wait(deadline - time.monotonic())
        key = self._layer.keys.entry(inbox_of(self._channel) or "", os.urandom(8).hex())
        commands = [pack("LPOP", self._room, MANY), pack("SET", key, data, "EX", LIFETIME)]
        tokens, _ = yield Request(commands)
        self._waiting += len(data)
        self._note(tokens or ())
        refused = yield from self._layer.writer.write([piece(self._channel, key, len(data), more_content)])
        if refused:
            raise refused[0].error

    def _wait(self, patience: float) -> Exchange[None]:
        if patience <= 0:
            raise no_room(self._channel)
        (reply,) = yield Request([pack("BLPOP", self._room, max(patience, 0.001))], patience)
        self._note(reply[1:] if reply else ())

    def _note(self, tokens: Iterable[bytes]) -> None:
        for token in tokens:
            if token == CLOSED:
                raise reader_gone(self._channel)
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
