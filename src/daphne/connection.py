"""A connection with a lane: how its events reach the application and what their ends mean."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

from channel_layers.envelope import AGAIN, LOST, Done, Envelope, Piece
from daphne.broadcast import Broadcast, Share
from daphne.events import may_go_unread
from daphne.lane import CONNECT, DISCONNECT, Lane

if TYPE_CHECKING:
    from daphne.server import Server

_RETRY_DELAY: Final = 0.05
_MAX_RETRY_DELAY: Final = 5.0


def retry_delay(attempt: int) -> float:
    """Return how many seconds an event waits that its consumer wants again as its next ``attempt``."""
    return min(_RETRY_DELAY * float(2**attempt), _MAX_RETRY_DELAY)


class LaneConnection(asyncio.Protocol):
    """A WebSocket in some phase of its life, from its handshake until its last event is settled.

    ``channel`` is its reply channel, ``due`` belongs to :class:`~daphne.deadlines.Deadlines`.
    """

    __slots__ = ("_paused", "_server", "_transport", "channel", "due", "lane")

    def __init__(self, server: Server, transport: asyncio.Transport, lane: Lane) -> None:
        self.channel = lane.channel
        self.due = 0
        self.lane = lane
        self._server = server
        self._transport = transport
        self._paused = False

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    # -- events out ------------------------------------------------------------------------------------------------

    def _push(self, event: str, content: dict[str, Any]) -> None:
        """Append an event to the lane and send it if it is its turn."""
        self._server.charge(self.lane.push(event, content))
        if self.lane.under_way is None:
            self._advance()

    def _advance(self) -> None:
        """Send what may leave the lane; give the connection up once nothing will come any more."""
        envelope = self.lane.take()
        if envelope is not None:
            self._server.outbox.post(envelope)
        elif self.lane.idle:  # else its head waits for another attempt
            self._drained()

    def _push_disconnect(self, code: int, reason: str) -> None:
        """Send the last event, unless the workers say that nobody reads it."""
        if self._server.is_read(DISCONNECT):
            self._push(DISCONNECT, {"code": code, "reason": reason})
        else:
            self._advance()

    # -- events settled --------------------------------------------------------------------------------------------

    def lost(self, envelope: Envelope) -> None:
        """The event was taken by a worker that died, or vanished with the layer: the lane goes on."""
        self.settle(envelope.token, Done(LOST), None)

    def refused(self, envelope: Envelope, error: Exception) -> None:
        """The layer did not take the event; the lane goes on. A disconnect that nobody reads is no loss."""
        if not self.unserved(envelope):
            self._server.losses.count("event refused", f"an event of {self.lane.path} was not sent: {error}")
        self.settle(envelope.token, Done(LOST), None)

    def unserved(self, envelope: Envelope) -> bool:
        """Events wait for a worker as long as the socket lives, a disconnect only if workers read any."""
        return may_go_unread(envelope.target) and not self._server.is_read(envelope.target)

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """A worker has finished the entry ``token``, and ``session`` is the connection session if it changed."""
        lane = self.lane
        envelope, before = lane.under_way, lane.size
        if not lane.settle(token, done, session) or envelope is None:
            return
        self._server.outbox.settled(self.channel)
        self._server.release(before - lane.size)
        if done.outcome == AGAIN:
            self._retry_later(envelope.attempt + 1)
            return
        if envelope.target == CONNECT:
            self._connect_ended(done.outcome)
        self._advance()
        if self._paused:
            self.reconsider_reading()

    def _retry_later(self, attempt: int) -> None:
        self._server.loop.call_later(retry_delay(attempt), self._retry, attempt)

    def _retry(self, attempt: int) -> None:
        envelope = self.lane.take(attempt)
        if envelope is not None:
            self._server.outbox.post(envelope)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _limit_reading(self) -> None:
        """Stop reading while the lane, or all lanes together, hold too much; the peer's TCP then waits."""
        if not self._paused and (self.lane.is_full or self._server.lanes_full):
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            self._server.paused[self.channel] = self

    def _resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._server.paused.pop(self.channel, None)
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def reconsider_reading(self) -> None:
        """Read again if there is room now."""
        if self._paused and self._may_read() and not self.lane.is_full and not self._server.lanes_full:
            self._resume_reading()

    # -- what the phases differ in ---------------------------------------------------------------------------------

    def deliver_share(self, share: Share) -> bool:
        """Messages to groups are delivered one by one, unless a phase can do better."""
        return False

    def deliver_piece(self, piece: Piece) -> None:
        """Pieces are parts of HTTP responses: there are none for a socket."""

    @abstractmethod
    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Act on a message for this socket; ``broadcast`` is what it comes from if it was sent to a group."""

    @abstractmethod
    def close(self, code: int, reason: str, by: str) -> None:
        """End the connection from this side; ``by`` says for the log who does and why."""

    @abstractmethod
    def _connect_ended(self, outcome: int) -> None:
        """The connect consumer has finished."""

    @abstractmethod
    def _drained(self) -> None:
        """Nothing waits in the lane and nothing is under way."""

    @abstractmethod
    def _may_read(self) -> bool:
        """Whether this phase reads at all."""
