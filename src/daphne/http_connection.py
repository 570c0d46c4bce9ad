"""One HTTP/1.1 connection: bytes become requests, which are answered one after another."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast

from daphne import access
from daphne.access import Access
from daphne.answers import MUCH_UNREAD, error_answer
from daphne.download import WRITE_SIZE
from daphne.exchange import Exchange
from daphne.http import EndOfMessage, HttpError, HttpParser, Request
from daphne.peer import Peer
from daphne.phase import Phase, PhasedConnection
from daphne.probes import ALLOW, is_probe
from daphne.response import Response
from daphne.upgrade import upgrade

if TYPE_CHECKING:
    from daphne.opening import OpeningHandshake
    from daphne.server import Server
    from daphne.source import Source

logger = logging.getLogger("daphne.http")

MAX_PIPELINED: Final = 32
"""Parsed events that may wait behind the request being answered before the socket is not read any more."""
LINGER: Final = 2.0
"""Seconds in which what a client still sends is ignored once it was answered: closing at once might cost it the answer
(RFC 9112 section 9.6)."""
REFUSED_TIMEOUT: Final = 1.0
"""Seconds that a connection which is one too many gets for its request, so that it can be told."""


class HttpConnection(PhasedConnection):
    """Requests of one connection, answered in their order (RFC 9112 section 9.3.2).

    ``is_paused``: it is not read. With ``only_probes`` nothing but probes is answered; a ``source`` that is given goes
    before what the transport says.
    """

    __slots__ = ("_events", "_exchange", "_given_source", "_only_probes", "_parser", "_peer", "is_paused")

    def __init__(self, server: Server, only_probes: bool = False, source: Source | None = None) -> None:
        super().__init__(server)
        self.is_paused = False
        self._only_probes = only_probes
        self._given_source = source
        self._parser = HttpParser(server.config)
        self._events: deque[Request | bytes | EndOfMessage | HttpError] = deque()
        self._exchange: Exchange | None = None

    # -- from the peer ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        self.transport.set_write_buffer_limits(high=WRITE_SIZE)
        self._server.made(self)
        self._peer = Peer(self._server, transport, self._given_source)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Parse requests; answer the first, keep the others in order."""
        if self._phase is Phase.LINGER:
            return
        if self._parser.idle and self._phase is Phase.HEAD:
            self._wait_for_head()
        try:
            self._events += self._parser.receive_data(data)
        except HttpError as error:
            self._events += error.events
            self._events.append(error)
        self._advance()
        self.limit_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; whoever still answers it is told where somebody listens."""
        if self._phase is Phase.RESPONSE:
            self._log(499)
        self._wait_for_nothing()
        self._give_up()
        self._peer.leave()
        self._server.lost(self)

    def pause_writing(self) -> None:
        """The client does not keep up."""
        super().pause_writing()
        if self._exchange is not None and self._exchange.download is not None:
            self._exchange.download.pause()

    def resume_writing(self) -> None:
        """The client has taken what was sent."""
        super().resume_writing()
        if self._exchange is not None and self._exchange.download is not None:
            self._exchange.download.resume()

    def limit_reading(self) -> None:
        """Read no more than can be handled soon."""
        exchange = self._exchange
        is_full = len(self._events) > MAX_PIPELINED or (exchange is not None and exchange.upload.is_full)
        if self._phase is Phase.CLOSED or is_full == self.is_paused or self.transport.is_closing():
            return
        self.is_paused = is_full
        if is_full:
            self.transport.pause_reading()
            if self._phase is Phase.RESPONSE:  # what it waits for now is the application
                self.wait_for_response(self._server.config.http_timeout)
        else:
            self.transport.resume_reading()

    # -- what does not happen in time ------------------------------------------------------------------------------

    def _overdue(self, now: float) -> float | None:
        if self._phase is Phase.RESPONSE:
            assert self._exchange is not None
            if self._exchange.break_silence():
                return now + self._server.config.ping_interval
            self._exchange.time_out()
        elif self._phase is Phase.BODY or self._parser.in_head:
            self.answer(408, "the request did not arrive in time (head_timeout, body_timeout)")
        else:
            self.transport.close()
        return None

    def _wait_for_head(self) -> None:
        limit = self._server.config.head_timeout
        self._wait_for(Phase.HEAD, limit if self._peer.refusal is None else min(limit, REFUSED_TIMEOUT))

    # -- one event after another -----------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Handle parsed events until a request that is complete waits for its response."""
        while self._events and self._may_advance():
            self._handle(self._events.popleft())
        if self._exchange is not None and self._phase in (Phase.BODY, Phase.RESPONSE):
            self._exchange.send_body()

    def _may_advance(self) -> bool:
        if self._phase is Phase.RESPONSE:
            return self._exchange is not None and not self._exchange.upload.complete
        return self._phase in (Phase.HEAD, Phase.BODY)

    def _handle(self, event: Request | bytes | EndOfMessage | HttpError) -> None:
        if isinstance(event, Request):
            self._begin(event)
        elif isinstance(event, HttpError):
            self.answer(event.status, event.reason)
        elif self._exchange is None:
            return  # the body of a request that was answered without it
        elif isinstance(event, bytes):
            self._exchange.add_to_body(event)
        else:
            self._exchange.end_body()

    def _begin(self, request: Request) -> None:
        exchange = self._exchange = Exchange(self._server, self, request, self._peer.source.copy())
        try:
            refusal = self._peer.identify(request, exchange.source)
        except HttpError as error:
            self.answer(error.status, error.reason)
            return
        if refusal is not None:
            self.answer(*refusal, counted="connection refused")
        elif self._only_probes or (self._server.config.probes and is_probe(request.path)):
            self._begin_probe(exchange)
        elif request.is_websocket:
            upgrade(self._server, self, request, exchange.source)
        else:
            exchange.begin()

    def _begin_probe(self, exchange: Exchange) -> None:
        exchange.is_probe = True
        if exchange.request.has_body:
            self.answer(405, "", [ALLOW])
            return
        self.wait_for_response(self._server.config.http_timeout)
        self._server.spawn(self._server.probes.answer(self, exchange.request, explains=self._only_probes))

    def hand_over(self, opening: OpeningHandshake) -> None:
        """The connection is that of a handshake from here on."""
        self._wait_for_nothing()
        self._exchange = None
        self._server.handed_over(self, opening)
        self.transport.set_protocol(opening)
        opening.start(self._parser.rest)

    # -- answers ---------------------------------------------------------------------------------------------------

    def answer(self, status: int, why: str, headers: Iterable[tuple[bytes, bytes]] = (), counted: str = "") -> None:
        """Answer with an error page and close.

        ``why`` is for the log, where it is ``counted`` under that name instead of one line each; strangers learn it
        only in debug.
        """
        exchange = self._exchange
        if exchange is not None and exchange.has_begun:  # there is no way to say it within another answer
            self.transport.abort()
            return
        self._log_answer(status, why, counted)
        sentence = why if self._server.config.debug else ""
        request, request_id = (exchange.request, exchange.source.request_id) if exchange else (None, "")
        self.send(*error_answer(request, request_id, status, sentence, headers))

    def _log_answer(self, status: int, why: str, counted: str) -> None:
        if counted:
            self._server.losses.count(counted, f"{self} answered {status}: {why}")
        elif why:
            level = logging.INFO if status < 500 else logging.WARNING
            logger.log(level, "%s answered %d: %s", self, status, why)

    def send(self, response: Response, data: bytes) -> None:
        """Send a response that is no application's, and is whole."""
        self.transport.write(data)
        self.finish(response)

    def finish(self, response: Response) -> None:
        """The response is complete: log it, and go on with the next request or close."""
        exchange = self._exchange
        self._log(response.status, response.size)
        self._give_up()
        if response.keep_alive:
            self._wait_for(Phase.HEAD, self._server.config.keep_alive_timeout)
            self._advance()
            self.limit_reading()
        elif response.status in MUCH_UNREAD or (exchange is not None and not exchange.upload.complete):
            if self.transport.can_write_eof():  # not under TLS
                self.transport.write_eof()
            self._wait_for(Phase.LINGER, LINGER)
            self.limit_reading()
        else:
            self._wait_for_nothing()
            self.transport.close()

    def _give_up(self) -> None:
        """Forget the request at hand."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.give_up()
            self._peer.request_ended()

    def cut(self) -> None:
        """Cut the connection within a response, so that nobody takes a part for the whole."""
        self._log(500)
        self._phase = Phase.CLOSED
        self.transport.abort()

    def _log(self, status: int, size: int | None = None) -> None:
        exchange = self._exchange
        size = size if size is not None else exchange.size if exchange is not None else 0
        if exchange is None:
            self._server.log(Access(access.REQUEST, status, self._peer.source, size=size))
        elif not (exchange.request.is_websocket or exchange.is_probe):  # a refused handshake has a line of its own
            request, seconds = exchange.request, self._server.loop.time() - exchange.began
            self._server.log(Access(access.REQUEST, status, exchange.source, request.path, request, size, seconds))

    def __str__(self) -> str:
        return str(self._exchange) if self._exchange else "a request"

    # -- the server ends -------------------------------------------------------------------------------------------

    def close(self, code: int, reason: str, by: str) -> None:
        """The server ends: an idle connection goes now, a response in progress may finish, an event stream need not."""
        if self._phase in (Phase.HEAD, Phase.LINGER):
            self.transport.close()
        elif self._phase is Phase.BODY:
            self.answer(503, by)
            self.transport.close()
        elif self._exchange is not None and not self._exchange.end_stream():
            self._exchange.be_last()

    def abort(self) -> None:
        """Cut the connection; what nobody has answered by now is told to come again."""
        if self._phase is Phase.RESPONSE and not self.transport.is_closing():
            self.answer(503, "the server ends, and it was not answered in time")
        self.transport.abort()
