"""An open WebSocket: the place where its frames, its lane and its transport meet."""

from __future__ import annotations

import asyncio
import math
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from channel_layers.messages import check_effect
from daphne.access import CLOSE, Access
from daphne.broadcast import Broadcast, Share, data_frame
from daphne.compression import Agreement
from daphne.frames import Close, Event, Fail, FrameParser, Ping, Pong
from daphne.framing import close_frame, ping_frame, pong_frame
from daphne.lane import RECEIVE, Lane
from daphne.pace import Rate
from daphne.writing import WritingConnection

if TYPE_CHECKING:
    from daphne.connection import LaneConnection
    from daphne.server import Server
    from daphne.source import Source

ABNORMAL: Final = 1006
"""Close code of a connection that ended without a close frame (RFC 6455 section 7.1.5)."""
GOING_AWAY: Final = 1001
TOO_SLOW: Final = 1013
TOO_MUCH: Final = (1008, 1009)
"""Codes of a message with too many frames or bytes: the rest of it is on its way."""
FLOOD: Final = 16 * 1024
"""Bytes in one piece that broke the protocol from which on more is taken to be on its way."""
LINGER: Final = 0.1
"""Seconds without a byte after which a peer that broke the protocol is taken to have stopped."""


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


OPEN, FAILING, CLOSING, CLOSED = State  # an attribute of an Enum takes four times as long as a global in Python 3.11


class WebSocketConnection(WritingConnection):
    """A socket from its 101 until its last event is settled. State is plain fields, frame-aligned."""

    __slots__ = (
        "_by",
        "_code",
        "_deflater",
        "_floods",
        "_heard",
        "_idle_limit",
        "_idle_since",
        "_moved",
        "_opened",
        "_parser",
        "_ping_at",
        "_pinged",
        "_rate",
        "_reason",
        "_received",
        "_source",
        "_state",
        "_throttled",
    )

    def __init__(
        self,
        server: Server,
        transport: asyncio.Transport,
        lane: Lane,
        source: Source,
        compression: Agreement | None = None,
    ) -> None:
        super().__init__(server, transport, lane)
        self._source = source
        config = server.config
        self._parser = FrameParser(
            config.max_frame_size,
            config.max_message_size,
            config.max_fragments,
            compression.inflate_bits if compression else 0,
            config.max_inflated_size or config.max_message_size,
        )
        self._deflater = server.deflaters.of(compression)
        self._rate = Rate(config.max_messages_per_second) if config.max_messages_per_second else None
        self._throttled = False
        self._floods = False
        self._idle_limit = server.idle_limits.of(lane.path)
        self._idle_since = server.loop.time()
        self._moved = 0
        self._ping_at = 0.0
        self._state = OPEN
        self._opened = server.loop.time()
        self._heard = True
        self._pinged = False
        self._received = 0
        self._code = ABNORMAL
        self._reason = ""
        self._by = ""

    def open(
        self, head: bytes, content: dict[str, Any], pending: list[tuple[dict[str, Any], Broadcast | None]], early: bytes
    ) -> None:
        """Send the 101, the accepting message, what waited for it, and read what came early."""
        self._transport.write(head)
        opening = cast("LaneConnection", self._server.connections[self.channel])
        self._server.connections[self.channel] = self
        self._server.handed_over(opening, self)
        self._limit_transport()
        self._transport.set_protocol(self)
        self._watch()
        if content:  # or its connect consumer has simply returned
            self.deliver(content, None)
        for waited, broadcast in pending:
            self.deliver(waited, broadcast)
        if early:
            self.data_received(early)

    # -- from the peer ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the peer."""
        self._heard = True
        received = self._parser.receive_data(data)
        for event in received:
            if type(event) is str:
                self._receive("text", event)
            elif type(event) is bytes:
                self._receive("bytes", event)
            else:
                self._control(event, len(data))
        if self._rate is not None:
            self._throttle(self._rate.take(self._server.loop.time(), len(received)))

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        if not self._by:
            self._by = f"network ({exc})" if exc else "network (no close frame)"
        self._end()
        self._server.deadlines.cancel(self)
        self._server.admitted.leave(self._transport)
        self._server.lost(self)

    def _receive(self, key: str, message: str | bytes) -> None:
        if self._state is OPEN:  # not after our close frame (RFC 6455 section 1.4)
            self._received += 1
            self._push(RECEIVE, {key: message})
            if self.lane.waiting or self._server.lanes_full:
                self._limit_reading()

    def _control(self, event: Event, size: int) -> None:
        if isinstance(event, Close):
            self._closed_by_peer(event)
        elif isinstance(event, Fail):
            self._floods = size >= FLOOD or event.code in TOO_MUCH
            self._fail(event)
        elif isinstance(event, Pong):
            self._pinged = False
        elif isinstance(event, Ping) and self._state is OPEN:
            self._answer_ping(event.payload)

    def _answer_ping(self, payload: bytes) -> None:
        """Send a pong; a client that does not read gets one for its last ping alone (RFC 6455 section 5.5.3)."""
        if self._backlog is None:
            self._transport.write(pong_frame(payload))
        else:
            self._backlog.pong = pong_frame(payload)

    def _throttle(self, seconds: float) -> None:
        """Read nothing for a while: the client has sent more than it may."""
        if seconds and not self._throttled and self._state is OPEN:
            limit = self._server.config.max_messages_per_second
            detail = f"{self.lane.path} is not read for {seconds:.2f} s: more than {limit} messages per second"
            self._server.losses.count("throttled", f"{detail} (max_messages_per_second)")
            self._throttled = True
            self._pause_reading()
            self._server.loop.call_later(seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        self._throttled = False
        self.reconsider_reading()

    def _closed_by_peer(self, close: Close) -> None:
        """Answer a close frame, or take the answer to ours (RFC 6455 section 7.1)."""
        if self._state is OPEN:
            self._by = "client"
            self._write_last(close_frame(close.code))
        self._code, self._reason = close.code, close.reason
        self._transport.close()
        self._end()
        self._limit_closing()

    def _fail(self, fail: Fail) -> None:
        if self._state is not OPEN:
            self._transport.abort()
            return
        self._state = FAILING
        self._code, self._reason, self._by = fail.code, fail.reason, f"server ({fail.reason})"
        self._pause_reading()
        self._limit_closing()
        if self.lane.idle:
            self._close_failed()

    def _close_failed(self) -> None:
        """Send the close frame of a protocol error: the events before it are settled, or have taken too long."""
        if self._transport.is_closing():
            self._end()
            return
        self._write_last(close_frame(self._code, self._reason))
        self._end()
        if self._floods:
            self._linger()
        else:
            self._transport.close()
            self._limit_closing()

    def _linger(self) -> None:
        """Read on and forget it while the peer sends (RFC 6455 section 7.1.1).

        To close with bytes unread would reset the connection, and the close frame might never be seen.
        """
        self._resume_reading()
        self._heard = False
        self._ping_at = self._server.loop.time() + self._server.config.close_timeout
        self._server.deadlines.within(LINGER, self)

    def _end_lingering(self, now: float) -> float | None:
        """Close once nothing came for a moment, or it has taken long enough; cut what the peer leaves unread."""
        if self._transport.is_closing():
            self._transport.abort()
            return None
        if self._heard and now < self._ping_at:
            self._heard = False
            return now + LINGER
        self._transport.close()
        return now + self._server.config.close_timeout

    # -- to the peer -----------------------------------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Send the data of a message, then act on its ``close``."""
        if self._state is not OPEN and self._state is not FAILING:
            return
        if broadcast is None:
            frame = data_frame(content, self._deflater)
        else:
            frame = broadcast.frame if self._deflater is None else broadcast.deflated(self._deflater)
        if frame is not None and not self._transport.is_closing():
            if self._backlog is None:
                self._sent += 1
                self._transport.write(frame)
            else:
                self._hold(frame, broadcast)
        elif frame is None:
            self._look_at(content)
        close = content.get("close")
        if close:
            by = "consumer" if broadcast is None else "group message"
            self.close(1000 if close is True else close, content.get("reason") or "", by)

    def _look_at(self, content: dict[str, Any]) -> None:
        """Say so if a message without data comes to nothing."""
        check_effect(content)
        if content.get("headers") and not content.get("accept"):
            detail = f"headers for {self.lane.path} came after its handshake was answered: set cookies before accepting"
            self._server.losses.count("headers too late", detail)

    def deliver_share(self, share: Share) -> bool:
        """Send several group messages in one write; ``False`` if they have to wait, or have to be acted on."""
        frames = share.frames(self._deflater)
        if not frames or self._backlog is not None or not self._may_wait() or self._transport.is_closing():
            return False
        self._sent += len(share.broadcasts)
        self._transport.write(frames)
        return True

    def close(self, code: int, reason: str, by: str) -> None:
        """Send a close frame behind what waits, and expect the peer's."""
        if self._state is not OPEN:
            return
        self._state = CLOSING
        self._by = by
        self._write_last(close_frame(code, reason))
        self._resume_reading()
        self._limit_closing()

    def _give_up(self, limit: int) -> None:
        """Close a client that does not read, without what waits for it: nobody would read it."""
        if self._state is FAILING:
            self._close_failed()
            return
        self._backlog = None
        self._server.losses.count("slow client", f"{self.lane.path} is closed: its client left {limit} bytes unread")
        self.close(TOO_SLOW, "too slow", f"server (client left {limit} bytes unread: max_write_size)")

    def _may_wait(self) -> bool:
        return self._state in (OPEN, FAILING)

    # -- time limits -----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look after the peer from now on, as often as pings and the idle limit need it."""
        now, config = self._server.loop.time(), self._server.config
        self._ping_at = now + config.ping_interval if config.ping_interval else math.inf
        first = min(self._ping_at, self._idle_at())
        if first < math.inf:
            self._server.deadlines.within(first - now, self)

    def _limit_closing(self) -> None:
        """Give the end ``close_timeout``, in place of the time to the next ping."""
        self._server.deadlines.cancel(self)
        self._server.deadlines.within(self._server.config.close_timeout, self)

    def on_deadline(self, now: float) -> float | None:
        """Look after a silent peer, an idle one, or one that does not answer our close frame."""
        if self._state is FAILING:  # what came before the fault takes too long
            self._close_failed()
            return None
        if self._state is CLOSED:
            return self._end_lingering(now)
        if self._state is CLOSING:
            self._transport.abort()
            return None
        if self._is_idle(now):
            self.close(GOING_AWAY, "idle", f"server (no message for {self._idle_limit:g} s: idle limit)")
            return None
        if now >= self._ping_at and not self._look_for_pong(now):
            return None
        return min(self._ping_at, self._idle_at())

    def _look_for_pong(self, now: float) -> bool:
        """Ping a silent peer; return ``False`` for one that has not answered the last ping: it is gone."""
        config = self._server.config
        if self._heard or self._paused:  # while reading is paused no pong can be seen
            self._heard = self._pinged = False
            self._ping_at = now + config.ping_interval
        elif not self._pinged:
            self._pinged = True
            self._ping_at = now + config.ping_timeout
            self._transport.write(ping_frame(b""))
        else:
            self._by = f"server (no pong for {config.ping_timeout:g} s)"
            self._state = CLOSING
            self._transport.abort()
            return False
        return True

    def _is_idle(self, now: float) -> bool:
        """Return whether no message has gone either way for too long; counters are compared, nothing is timed."""
        moved = self._received + self._sent
        if moved != self._moved:
            self._moved, self._idle_since = moved, now
        return bool(self._idle_limit) and now - self._idle_since >= self._idle_limit

    def _idle_at(self) -> float:
        """Return when to look whether the socket is idle: four times within the limit."""
        if not self._idle_limit:
            return math.inf
        now = self._server.loop.time()
        return min(now + self._idle_limit / 4, self._idle_since + self._idle_limit)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """The socket is over: memberships first, then the application hears of it."""
        if self._state is CLOSED:
            return
        self._state = CLOSED
        server = self._server
        server.retire(self.channel)
        server.deadlines.cancel(self)
        server.paused.pop(self.channel, None)
        seconds = server.loop.time() - self._opened
        server.log(self._access(seconds))
        self._push_disconnect(self._code, self._reason)

    def _access(self, seconds: float) -> Access:
        access = Access(CLOSE, self._code, self._source, self.lane.path, seconds=seconds, by=self._by)
        access.received, access.sent = self._received, self._sent
        return access

    def _drained(self) -> None:
        if self._state is CLOSED:
            self._server.forget(self.channel)
        elif self._state is FAILING:
            self._close_failed()

    def _connect_ended(self, outcome: int) -> None:
        """The socket was accepted before its connect consumer finished; whatever its end, it stays open."""

    def _may_read(self) -> bool:
        return self._state is CLOSING or (self._state is OPEN and not self._throttled)
