"""A WebSocket whose handshake waits for the application's decision.

Only ``accept`` or ``close`` from a consumer decides at once. Everything else that is addressed to the socket waits,
bounded and in order; the end of the connect consumer decides: a plain function that returned has accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from channel_layers.envelope import LOST, UNACCEPTED, UNDECIDED, Done, Envelope
from channel_layers.messages import check_effect
from channel_layers.opening import REFUSALS, accepts, accepts_in_the_end, has_data, only_adds_headers, refuses
from daphne import access, events
from daphne.access import Access
from daphne.answers import RETRY_AFTER
from daphne.broadcast import Broadcast
from daphne.connection import LaneConnection
from daphne.handshake import Offer, accept_response, check_subprotocol, choose_subprotocol
from daphne.lane import CONNECT, Lane
from daphne.outbox import NoWorker
from daphne.request import Request
from daphne.response import Response, error_page
from daphne.source import Source
from daphne.websocket import ABNORMAL, WebSocketConnection

if TYPE_CHECKING:
    from daphne.server import Server
    from daphne.source import Source


class OpeningHandshake(LaneConnection):
    """The phase before the 101 (RFC 6455 section 4.2.2)."""

    __slots__ = (
        "_decided",
        "_early",
        "_headers",
        "_offer",
        "_owes_disconnect",
        "_pending",
        "_refused",
        "_request",
        "_source",
    )

    def __init__(
        self,
        server: Server,
        transport: asyncio.Transport,
        channel: str,
        request: Request,
        source: Source,
        offer: Offer,
    ) -> None:
        super().__init__(server, transport, Lane(channel, request.path, server.config))
        self._request = request
        self._source = source
        self._offer = offer
        self._early = bytearray()
        self._headers: list[tuple[bytes, bytes]] = []  # that the response is to have besides
        self._pending: list[tuple[dict[str, Any], Broadcast | None]] = []
        self._decided = False
        self._refused = False
        self._owes_disconnect = False

    def start(self, early: bytes) -> None:
        """Ask the application as soon as not too many others wait; ``early`` is what came behind the request."""
        self._server.deadlines.within(self._server.config.handshake_timeout, self)
        if early:
            self.data_received(early)
        full = self._server.handshakes.enter(self)
        if full:
            self.refuse(503, full)

    def proceed(self) -> None:
        """Ask the application."""
        request, subprotocols = self._request, self._offer.subprotocols
        self._push(CONNECT, events.websocket_connect(request, self._source, self._server.config, subprotocols))

    # -- from the peer ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Keep frames that arrive before the decision, a bounded number of bytes of them."""
        self._early += data
        if len(self._early) >= self._server.config.max_lane_size:
            self._pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was refused."""
        if not self._decided:
            self._end()
            self._log(access.REFUSED, 499, "the client left before the decision")
        self._server.retire(self.channel)
        self._server.admitted.leave(self._transport)
        self._server.lost(self)
        self._pay_disconnect()

    def on_deadline(self, now: float) -> float | None:
        """No decision in time."""
        limit = self._server.config.handshake_timeout
        self.refuse(503, f"no decision within {limit:g} s (handshake_timeout)")
        return None

    # -- from the application --------------------------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Decide, or let the message wait for the decision; a group message never decides."""
        if self._decided:  # too late to act on, but a consumer that refused gets no disconnect
            self._refused = self._refused or (broadcast is None and refuses(content))
        elif broadcast is not None or not self._decides(content):
            self._wait(content, broadcast)

    def _decides(self, content: dict[str, Any]) -> bool:
        """Act on ``accept`` and ``close`` (protocol of the 1.x specification, while the handshake is pending)."""
        if refuses(content):
            why = content.get("reason") or "its consumer refused"
            self._refused = True
            self.refuse(content.get("status") or 403, why, content.get("headers") or (), content.get("body"))
        elif accepts(content):
            self._accept(content)
        elif only_adds_headers(content):
            self._add_headers(content["headers"])
        else:
            return False
        return True

    def _add_headers(self, headers: Iterable[Any]) -> None:
        """Keep what the response is to have besides, whatever the decision will be: cookies, as a rule."""
        try:
            self._headers += _pairs(headers)
        except (TypeError, ValueError) as error:
            self.refuse(500, f"its consumer's headers cannot be sent: {error}")

    def _wait(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        check_effect(content)
        limit = self._server.config.max_pending_messages
        if len(self._pending) >= limit:
            self.refuse(503, f"{limit} messages waited for its decision (max_pending_messages)")
        else:
            self._pending.append((content, broadcast))

    def _connect_ended(self, outcome: int) -> None:
        accepted = accepts_in_the_end(outcome, self._was_answered())
        returned = accepted or outcome == UNDECIDED or (outcome == UNACCEPTED and self._decided)
        self._owes_disconnect = returned and not self._refused
        if self._decided:
            self._pay_disconnect()
        elif accepted:
            self._accept({})
        elif outcome != UNDECIDED:
            self.refuse(*REFUSALS[outcome])

    def _pay_disconnect(self) -> None:
        """Send the disconnect of a connect whose consumer returned without refusing, though nobody was let in."""
        if self._owes_disconnect:
            self._owes_disconnect = False
            self._push_disconnect(ABNORMAL, "")
        elif self.lane.idle:
            self._server.forget(self.channel)

    def _was_answered(self) -> bool:
        """Return whether a consumer has sent data, which accepts where nothing else decides (1.1.8's rule)."""
        return any(broadcast is None and has_data(content) for content, broadcast in self._pending)

    def unserved(self, envelope: Envelope) -> bool:
        """A handshake does not wait long for a first worker."""
        return not self._decided or super().unserved(envelope)

    def refused(self, envelope: Envelope, error: Exception) -> None:
        """The layer did not take the connect event, or gave it back because nobody reads it."""
        hint = "; start one with: python manage.py runworker" if isinstance(error, NoWorker) else ""
        self.refuse(503, f"{error}{hint}")
        self.settle(envelope.token, Done(LOST), None)

    # -- the decision ----------------------------------------------------------------------------------------------

    def _accept(self, content: dict[str, Any]) -> None:
        if self._transport.is_closing():
            return  # the client is gone, as connection_lost() is about to say
        try:
            head = accept_response(self._offer, self._subprotocol(content), self._all_headers(content))
        except (TypeError, ValueError) as error:
            self.refuse(500, f"its consumer's answer cannot be sent: {error}")
            return
        self._end()
        self._owes_disconnect = False  # the open socket sends its own
        self._log(access.OPEN, 101)
        socket = WebSocketConnection(self._server, self._transport, self.lane, self._source, self._offer.compression)
        socket.open(head, content, self._pending, bytes(self._early))

    def _all_headers(self, content: dict[str, Any]) -> list[tuple[bytes, bytes]]:
        headers, request_id = self._headers + _pairs(content.get("headers")), self._source.request_id
        return [*headers, (b"X-Request-ID", request_id.encode())] if request_id else headers

    def _subprotocol(self, content: dict[str, Any]) -> str | None:
        chosen: str | None = content.get("subprotocol")
        if chosen is None:
            return choose_subprotocol(self._offer.subprotocols, self._server.config.subprotocols)
        check_subprotocol(chosen, self._offer.subprotocols)
        return chosen

    def refuse(self, status: int, why: str, headers: Iterable[Any] = (), body: bytes | None = None) -> None:
        """Answer with ``status`` and close; ``why`` is for the log, strangers learn it only in debug."""
        if self._decided:
            return
        try:
            added, self._headers = self._headers, []
            sentence, request_id = why if self._server.config.debug else "", self._source.request_id
            answer = _refusal(status, sentence, added + _pairs(headers), body, request_id)
        except (TypeError, ValueError) as error:
            self.refuse(500, f"its consumer's answer cannot be sent: {error}")
            return
        self._end()
        self._log(access.REFUSED, status, why)
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def close(self, code: int, reason: str, by: str) -> None:
        """The server ends before the decision."""
        self.refuse(503, by)

    def _log(self, event: str, status: int, by: str = "") -> None:
        request = self._request
        self._server.log(Access(event, status, self._source, request.path, request, by=by))

    def _end(self) -> None:
        """The handshake is over, whatever the decision; a refused socket is no member of any group from here on."""
        self._decided = True
        self._server.deadlines.cancel(self)
        self._server.handshakes.leave(self)
        self._resume_reading()

    def _drained(self) -> None:
        if self._server.connections.get(self.channel) is self and self._decided and self._transport.is_closing():
            self._server.forget(self.channel)

    def _may_read(self) -> bool:
        return len(self._early) < self._server.config.max_lane_size


def _pairs(headers: Iterable[Any] | None) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers or ()]


def _refusal(status: int, why: str, headers: list[tuple[bytes, bytes]], body: bytes | None, request_id: str) -> bytes:
    if body is None:
        page, body = error_page(status, why or "The connection was not accepted.")
        headers = [*headers, *page]
    if status == 503:
        headers = [*headers, RETRY_AFTER]
    return Response("GET", "1.1", keep_alive=False, request_id=request_id).start(status, headers, body)
