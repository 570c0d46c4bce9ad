"""An open WebSocket: the place where its frames, its lane and its transport meet."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from daphne import access, events
from daphne.connection import LaneConnection
from daphne.frames import (
    Close,
    Event,
    Fail,
    FrameParser,
    Ping,
    Pong,
    binary_frame,
    close_frame,
    ping_frame,
    pong_frame,
    text_frame,
)
from daphne.lane import RECEIVE, Lane

if TYPE_CHECKING:
    from daphne.server import Server

ABNORMAL: Final = 1006
"""Close code of a connection that ended without a close frame (RFC 6455 section 7.1.5)."""


class State(Enum):
    """Where a socket is in its life; it only goes forward."""

    OPEN = 1
    """Frames go both ways."""
    FAILING = 2
    """The peer broke the protocol: nothing more is read, what came before is handled, then our close frame goes."""
    CLOSING = 3
    """Our close frame is sent, the peer's is awaited."""
    CLOSED = 4
    """The transport is gone or going; events may still be under way."""


class WebSocketConnection(LaneConnection):
    """A socket from its 101 until its last event is settled. State is plain fields, frame-aligned."""

    __slots__ = (
        "_by",
        "_code",
        "_heard",
        "_opened",
        "_parser",
        "_pinged",
        "_reason",
        "_received",
        "_sent",
        "_state",
    )

    def __init__(self, server: Server, transport: asyncio.Transport, lane: Lane) -> None:
        super().__init__(server, transport, lane)
        config = server.config
        self._parser = FrameParser(config.max_frame_size, config.max_message_size, config.max_fragments)
        self._state = State.OPEN
        self._opened = server.loop.time()
        self._heard = True
        self._pinged = False
        self._received = 0
        self._sent = 0
        self._code = ABNORMAL
        self._reason = ""
        self._by = ""

    def open(
        self, head: bytes, content: dict[str, Any], pending: list[tuple[dict[str, Any], bool]], early: bytes
    ) -> None:
        """Send the 101, the accepting message, what waited for it, and read what came early."""
        self._transport.write(head)
        self._server.log(access.websocket_opened(self.lane.path, events.peer_of(self._transport)))
        opening = self._server.connections[self.channel]
        self._server.connections[self.channel] = self
        self._server.made(self)
        self._server.lost(opening)
        self._transport.set_write_buffer_limits(high=self._server.config.max_write_size)
        self._transport.set_protocol(self)
        if self._server.config.ping_interval:
            self._server.deadlines.within(self._server.config.ping_interval, self)
        self.deliver(content, None, from_group=False)
        for waited, from_group in pending:
            self.deliver(waited, None, from_group)
        if early:
            self.data_received(early)

    # -- from the peer ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the peer."""
        self._heard = True
        for event in self._parser.receive_data(data):
            if type(event) is str:
                self._receive("text", event)
            elif type(event) is bytes:
                self._receive("bytes", event)
            else:
                self._control(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        if not self._by:
            self._by = f"network ({exc})" if exc else "network (no close frame)"
        self._end()
        self._server.lost(self)

    def pause_writing(self) -> None:
        """The client has not read ``max_write_size`` bytes: it gets a close frame, and nothing more is queued."""
        limit = self._server.config.max_write_size
        self._server.losses.count("slow client", f"{self.lane.path} is closed: its client left {limit} bytes unread")
        self.close(1013, "too slow", f"server (client left {limit} bytes unread: max_write_size)")

    def _receive(self, key: str, message: str | bytes) -> None:
        if self._state is State.OPEN:  # not after our close frame (RFC 6455 section 1.4)
            self._received += 1
            self._push(RECEIVE, {key: message})
            if self.lane.waiting or self._server.lanes_full:
                self._limit_reading()

    def _control(self, event: Event) -> None:
        if isinstance(event, Close):
            self._closed_by_peer(event)
        elif isinstance(event, Fail):
            self._fail(event)
        elif isinstance(event, Pong):
            self._pinged = False
        elif isinstance(event, Ping) and self._state is State.OPEN:
            self._transport.write(pong_frame(event.payload))

    def _closed_by_peer(self, close: Close) -> None:
        """Answer a close frame, or take the answer to ours (RFC 6455 section 7.1)."""
        if self._state is State.OPEN:
            self._by = "client"
            self._transport.write(close_frame(close.code))
        self._code, self._reason = close.code, close.reason
        self._transport.close()
        self._end()

    def _fail(self, fail: Fail) -> None:
        if self._state is not State.OPEN:
            self._transport.abort()
            return
        self._state = State.FAILING
        self._code, self._reason, self._by = fail.code, fail.reason, f"server ({fail.reason})"
        self._pause_reading()
        self._limit_closing()
        self._close_if_failed()

    def _close_if_failed(self) -> None:
        """Send the close frame of a protocol error once the events before it are settled."""
        if self._state is State.FAILING and self.lane.idle:
            self._close_failed()

    def _close_failed(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(close_frame(self._code, self._reason))
            self._transport.close()
        self._end()

    # -- to the peer -----------------------------------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], frame: bytes | None, from_group: bool) -> None:
        """Send the data of a message, then act on its ``close``."""
        if self._state is not State.OPEN and self._state is not State.FAILING:
            return
        if frame is None:
            frame = data_frame(content)
        if frame is not None and not self._transport.is_closing():
            self._sent += 1
            self._transport.write(frame)
        close = content.get("close")
        if close:
            by = "group message" if from_group else "consumer"
            self.close(1000 if close is True else close, content.get("reason") or "", by)

    def close(self, code: int, reason: str, by: str) -> None:
        """Send a close frame and wait for the peer's."""
        if self._state is not State.OPEN:
            return
        self._state = State.CLOSING
        self._by = by
        self._transport.write(close_frame(code, reason))
        self._resume_reading()
        self._limit_closing()

    def _limit_closing(self) -> None:
        """Give the end ``close_timeout``, in place of the time to the next ping."""
        self._server.deadlines.cancel(self)
        self._server.deadlines.within(self._server.config.close_timeout, self)

    def on_deadline(self, now: float) -> float | None:
        """Look after a silent peer, or one that does not answer our close frame."""
        config = self._server.config
        if self._state is State.FAILING:  # what came before the fault takes too long
            self._close_failed()
            return None
        if self._state is not State.OPEN:
            self._transport.abort()
            return None
        if self._heard or self._paused:  # while reading is paused no pong can be seen
            self._heard = self._pinged = False
            return now + config.ping_interval
        if self._pinged:
            self._by = f"server (no pong for {config.ping_timeout:g} s)"
            self._state = State.CLOSING
            self._transport.abort()
            return None
        self._pinged = True
        self._transport.write(ping_frame(b""))
        return now + config.ping_timeout

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """The socket is over: memberships first, then the application hears of it."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        server = self._server
        server.retire(self.channel)
        server.deadlines.cancel(self)
        server.paused.pop(self.channel, None)
        seconds = server.loop.time() - self._opened
        server.log(access.websocket_closed(self.lane.path, self._code, self._by, seconds, self._received, self._sent))
        self._push_disconnect(self._code, self._reason)

    def _drained(self) -> None:
        if self._state is State.CLOSED:
            self._server.forget(self.channel)
        else:
            self._close_if_failed()

    def _connect_ended(self, outcome: int) -> None:
        """The socket was accepted before its connect consumer finished; whatever its end, it stays open."""

    def _may_read(self) -> bool:
        return self._state in (State.OPEN, State.CLOSING)


def data_frame(content: dict[str, Any]) -> bytes | None:
    """Return the ``text`` or ``bytes`` of a message as a frame, or ``None`` if it has neither."""
    text = content.get("text")
    if text is not None:
        return text_frame(text)
    data = content.get("bytes")
    return binary_frame(data) if data is not None else None
