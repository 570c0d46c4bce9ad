"""The body of a request on its way to the workers.

A short body is part of the request's message. Of a longer one the rest follows in chunks on a channel of its own. Each
is settled when it was read, and while too many are not, the client is not read either.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from channel_layers import codec
from channel_layers.envelope import EVENT, Envelope
from channel_layers.names import Keys

if TYPE_CHECKING:
    from daphne.server import Server

CHUNK_SIZE: Final = 64 * 1024
MAX_CHUNKS: Final = 3
"""Chunks of one body that were sent and not read."""
WINDOW: Final = CHUNK_SIZE * MAX_CHUNKS
"""Bytes of one body that were received and not read, beyond which its client is not read."""
REQUEST_TOKEN: Final = 1
"""Number of the request itself among what is settled for its reply channel; those of chunks come after it."""


class Upload:
    """One body. ``complete``: all of it has arrived; ``size`` counts its bytes that are held here."""

    __slots__ = (
        "_channel",
        "_ended",
        "_has_reader",
        "_is_again",
        "_offset",
        "_owner",
        "_parts",
        "_server",
        "_token",
        "_unread",
        "complete",
        "size",
    )

    def __init__(self, server: Server) -> None:
        self.complete = False
        self.size = 0
        self._server = server
        self._parts: deque[bytes | memoryview] = deque()
        self._owner = ""
        self._channel = ""
        self._token = REQUEST_TOKEN
        self._unread: dict[int, int] = {}
        self._ended = False
        self._is_again = False
        self._has_reader = True
        self._offset = 0  # of the next chunk in the body

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nothing more should be read. What the request takes along is waited for."""
        return bool(self._channel) and self.size + sum(self._unread.values()) >= WINDOW

    def add(self, piece: bytes) -> None:
        """A piece has arrived."""
        if piece:
            self._parts.append(piece)
            self.size += len(piece)
            self._server.bodies_size += len(piece)

    def begin(self, owner: str, content: dict[str, Any]) -> None:
        """Put the beginning into the message of the request that ``owner`` answers; chunks may follow it."""
        beginning = content["body"] = self._take(self._server.config.inline_body_size)
        self._offset = len(beginning)
        if self.size or not self.complete:
            self._owner = owner
            self._channel = content["body_channel"] = "http.request.body?" + next(Keys())

    def send_chunks(self) -> None:
        """Send what has arrived, if there is a channel for it and its reader keeps up."""
        while self._channel and not self._ended and self._is_chunk_due():
            chunk = self._take(CHUNK_SIZE)
            self._ended = self.complete and not self.size
            self._send(chunk)

    def _is_chunk_due(self) -> bool:
        """Return whether to send: a short chunk goes only where somebody may wait for it."""
        if not self._unread:
            return self.complete or self.size > 0
        return len(self._unread) < MAX_CHUNKS and (self.complete or self.size >= CHUNK_SIZE)

    def begin_again(self) -> None:
        """The consumer runs anew: what it has read comes no second time, and it is not to wait for that."""
        self._is_again = True
        self._send_end_again()

    def _send_end_again(self) -> None:
        """Send a chunk that is not the next one of a consumer that runs anew, once there are no others."""
        if self._is_again and self._channel and self._ended and not self._unread:
            self._is_again = False
            self._send(b"")

    def end(self) -> None:
        """The consumer has ended with its answer: nobody is there to be told that the rest will not come."""
        self._has_reader = False

    def settle(self, token: int) -> None:
        """The chunk ``token`` was read."""
        self._unread.pop(token, None)
        self.send_chunks()
        self._send_end_again()

    def close(self) -> None:
        """The rest is of no use: what was not read is dropped, and whoever still reads it is told."""
        self._take(self.size)
        channel, self._channel = self._channel, ""
        if channel and (self._unread or not self._ended):
            self._server.spawn(self._drop(channel))

    async def _drop(self, channel: str) -> None:
        await self._server.layer.adrop_queue(channel)
        if self._has_reader:
            self._server.outbox.send(self._chunk(channel, {"closed": True}))

    def _send(self, content: bytes) -> None:
        described = {"content": content, "offset": self._offset, "more_content": not self._ended}
        chunk = self._chunk(self._channel, described)
        self._offset += len(content)
        self._unread[self._token] = len(content)
        self._server.outbox.send(chunk)

    def _chunk(self, channel: str, content: dict[str, Any]) -> Envelope:
        self._token += 1
        return Envelope(EVENT, channel, codec.encode_plain(content), self._owner, self._token)

    def _take(self, limit: int) -> bytes:
        """Return the first ``limit`` bytes of what has arrived, copied once."""
        taken: list[bytes | memoryview] = []
        missing = min(limit, self.size)
        self.size -= missing
        self._server.bodies_size -= missing
        while missing:
            part = self._parts.popleft()
            if len(part) > missing:
                self._parts.appendleft(memoryview(part)[missing:])
                part = memoryview(part)[:missing]
            taken.append(part)
            missing -= len(part)
        return b"".join(taken)
