"""A response on its way to its client: no faster than the client reads, no slower than the worker writes.

What the client has not taken waits in a spool, so that the worker is free. Pieces that went round the inbox are fetched
while the spool has room; their writer waits for that.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from channel_layers.envelope import Piece
from channel_layers.exceptions import may_have_arrived
from daphne.response import Response
from daphne.spool import Spool

if TYPE_CHECKING:
    from daphne.server import Server

WRITE_SIZE: Final = 64 * 1024
"""Bytes that leave the spool at a time, and that the transport holds."""
RETRY: Final = 0.5
"""Seconds before a piece is asked for again while the layer is away."""


class Recipient(Protocol):
    """The connection that a response is for."""

    def finished(self) -> None:
        """All of the response has been handed to the transport."""

    def failed(self, error: Exception) -> None:
        """The response cannot be sent on."""


class Download:
    """The response to the request that ``channel`` answers. Parts are messages of the response, and pieces."""

    __slots__ = (
        "_channel",
        "_is_fetching",
        "_is_slow",
        "_parts",
        "_recipient",
        "_server",
        "_spool",
        "_task",
        "_transport",
        "response",
    )

    def __init__(
        self, server: Server, transport: asyncio.Transport, recipient: Recipient, channel: str, response: Response
    ) -> None:
        self.response = response
        self._server = server
        self._transport = transport
        self._recipient = recipient
        self._channel = channel
        self._parts: deque[dict[str, Any] | Piece] = deque()
        self._spool: Spool | None = None
        self._is_slow = False
        self._is_fetching = False
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> int:
        """Bytes of messages that wait in memory, because the spool has no room for them."""
        return sum(len(part.get("content", b"")) for part in self._parts if isinstance(part, dict))

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken, beside those in its transport."""
        return self.held + (self._spool.size if self._spool is not None else 0)

    def add(self, part: dict[str, Any] | Piece) -> None:
        """Send a message of the response, or a piece, behind what came before it."""
        self._parts.append(part)
        self._advance()

    def pause(self) -> None:
        """The client does not keep up: what comes waits in the spool."""
        self._is_slow = True

    def resume(self) -> None:
        """The client has taken what the transport had."""
        self._is_slow = False
        while self._spool is not None and self._spool.size and not self._is_slow:
            data = self._spool.take(WRITE_SIZE)
            self._server.spools_size -= len(data)
            self._transport.write(data)
        self._advance()
        self._finish_if_done()

    def close(self) -> None:
        """Forget the response; its writer is told if it may still be writing."""
        unread = [part for part in self._parts if isinstance(part, Piece)]
        self._parts.clear()
        if self._spool is not None:
            self._server.spools_size -= self._spool.size
            self._spool.close()
        if self._task is not None:
            self._task.cancel()
        if self.response.started and not self.response.finished:
            self._server.spawn(self._server.layer.aclose_body(self._channel, unread))
        self._channel = ""

    def _advance(self) -> None:
        while self._channel and self._parts and not self._is_fetching and self._has_room():
            part = self._parts[0]
            if isinstance(part, Piece):
                self._is_fetching = True
                self._task = self._server.spawn(self._fetch(part))
                return
            self._parts.popleft()
            self._send(part)

    def _has_room(self) -> bool:
        """Return whether more may come; if not, what waits here goes on when its client has taken some."""
        if self._spool is None or not self._spool.size:
            return True
        config = self._server.config
        return self._spool.size < config.max_spool_size and self._server.spools_size < config.max_spools_size

    async def _fetch(self, piece: Piece) -> None:
        try:
            data = await self._server.layer.afetch_piece(self._channel, piece)
        except OSError as error:
            if may_have_arrived(error):
                self._recipient.failed(error)
                return
            await asyncio.sleep(RETRY)
            self._task = self._server.spawn(self._fetch(piece))
            return
        self._is_fetching = False
        self._parts.popleft()
        if data is None:
            self._recipient.failed(LookupError("a part of its body is gone"))
            return
        self._send({"content": data, "more_content": piece.more_content})
        self._advance()

    def _send(self, content: dict[str, Any]) -> None:
        try:
            data = self._encoded(content)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            self._recipient.failed(error)
            return
        if data:
            self._write(data)
        self._finish_if_done()

    def _encoded(self, content: dict[str, Any]) -> bytes:
        response = self.response
        body, more_content = bytes(content.get("content", b"")), bool(content.get("more_content"))
        if response.started:
            return response.send(body, more_content)
        if "status" not in content:
            raise ValueError("the first message of a response has no 'status'")
        headers = [(name, value) for name, value in content.get("headers", ())]
        return response.start(content["status"], headers, body, more_content)

    def _write(self, data: bytes) -> None:
        if not self._is_slow:
            self._transport.write(data)
            return
        if self._spool is None:
            self._spool = Spool()
        self._spool.append(data)
        self._server.spools_size += len(data)

    def _finish_if_done(self) -> None:
        if self._channel and self.response.finished and not (self._spool is not None and self._spool.size):
            self._recipient.finished()
