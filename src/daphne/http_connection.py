"""One HTTP/1.1 connection: its requests become messages one after another, its replies become responses."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from channel_layers import codec
from channel_layers.envelope import AGAIN, LOST, MESSAGE, RAISED, UNROUTED, Done, Envelope, Piece, next_attempt
from daphne import access, events, handshake
from daphne.admission import Refusal
from daphne.broadcast import Broadcast
from daphne.connection import retry_delay
from daphne.download import WRITE_SIZE, Download
from daphne.http import EndOfMessage, HttpError, HttpParser, Request
from daphne.opening import OpeningHandshake
from daphne.origin import check_origin
from daphne.outbox import NoWorker
from daphne.response import CONTINUE, Response, error_page
from daphne.upload import REQUEST_TOKEN, Upload

if TYPE_CHECKING:
    from daphne.server import Server

logger = logging.getLogger("daphne.http")

REQUEST: Final = "http.request"
DISCONNECT: Final = "http.disconnect"
MAX_PIPELINED: Final = 32
"""Parsed events that may wait behind the request being answered before the socket is not read any more."""
LINGER: Final = 2.0
"""Seconds in which what a client still sends is ignored once it was answered: closing at once might cost it the answer
(RFC 9112 section 9.6)."""
REFUSED_TIMEOUT: Final = 1.0
"""Seconds that a connection which is one too many gets for its request, so that it can be told."""
_SENTENCES: Final = {
    400: "This request cannot be understood.",
    403: "This request was refused.",
    404: "Nothing is here.",
    408: "This request took too long to arrive.",
    413: "This request is too large.",
    429: "Your address has too many connections open.",
    500: "Something went wrong here.",
    503: "Nobody could answer this request in time. Try again in a moment.",
}
_TOO_MUCH: Final = frozenset((413, 414, 431))
"""Answers to what the client is probably still sending."""
_OUTCOMES: Final = {RAISED: 500, LOST: 500, UNROUTED: 404}


class Phase(Enum):
    """What the connection waits for."""

    HEAD = 1
    BODY = 2
    """So much of the body that the request can be sent to the workers."""
    RESPONSE = 3
    """The response, or the rest of it, while the rest of the body may still come."""
    LINGER = 4
    """The client to have done with sending what nobody wants."""
    CLOSED = 5


class HttpConnection(asyncio.Protocol):
    """Requests of one connection, answered in their order (RFC 9112 section 9.3.2)."""

    __slots__ = (
        "_channel",
        "_download",
        "_events",
        "_is_slow",
        "_limit",
        "_parser",
        "_paused",
        "_phase",
        "_refusal",
        "_request",
        "_server",
        "_transport",
        "_unsent",
        "_upload",
        "due",
    )

    def __init__(self, server: Server) -> None:
        self.due = 0
        self._server = server
        self._parser = HttpParser(server.config)
        self._events: deque[Request | bytes | EndOfMessage | HttpError] = deque()
        self._phase = Phase.HEAD
        self._limit = 0.0
        self._refusal: Refusal | None = None
        self._request: Request | None = None
        self._channel = ""
        self._upload: Upload | None = None
        self._download: Download | None = None
        self._paused = False
        self._is_slow = False
        self._unsent = 0

    # -- from the peer ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        self._transport.set_write_buffer_limits(high=WRITE_SIZE)
        self._server.made(self)
        self._refusal = self._server.admitted.enter(transport)
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
        self._limit_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; whoever still answers it is told where somebody listens."""
        request = self._request
        if self._phase is Phase.RESPONSE and request is not None:
            self._server.log(access.http_access(request.method, request.target, request.http_version, 499, 0))
        self._phase = Phase.CLOSED
        self._server.deadlines.cancel(self)
        self._give_up_request()
        if self._refusal is None:
            self._server.admitted.leave(self._transport)
        self._server.lost(self)

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._is_slow = True
        self._unsent = self._transport.get_write_buffer_size()
        self._server.deadlines.within(self._server.config.send_timeout, self)
        if self._download is not None:
            self._download.pause()

    def resume_writing(self) -> None:
        """The client has taken what was sent."""
        self._is_slow = False
        if self._download is not None:
            self._download.resume()

    def on_deadline(self, now: float) -> float | None:
        """Something did not happen in time."""
        if self._phase is Phase.CLOSED:
            return None
        if self._is_slow:
            return self._look_at_slow_client(now)
        if now < self._limit:
            return self._limit
        if self._phase is Phase.RESPONSE:
            self._time_out()
        elif self._phase is Phase.BODY or self._parser.in_head:
            self._answer(408, "the request did not arrive in time (head_timeout, body_timeout)")
        else:
            self._transport.close()
        return None

    def _look_at_slow_client(self, now: float) -> float | None:
        """Give up a client that has taken nothing since the last look."""
        unsent, limit = self._transport.get_write_buffer_size(), self._server.config.send_timeout
        if unsent < self._unsent:
            self._unsent = unsent
            return now + limit
        detail = f"{self._shown()} is cut off: its client has taken nothing for {limit:g} s (send_timeout)"
        self._server.losses.count("slow client", detail)
        self._transport.abort()
        return None

    def _time_out(self) -> None:
        assert self._upload is not None
        if self._download is None or self._download.response.started:
            return  # what has begun takes as long as it takes
        if not self._upload.complete and not self._paused:
            self._answer(408, "the body of the request did not arrive in time (body_timeout)")
            return
        self._server.outbox.give_up(self._channel)
        self._answer(503, f"no response within {self._server.config.http_timeout:g} s (http_timeout)")

    # -- one event after another -----------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Handle parsed events until a request that is complete waits for its response."""
        while self._events and self._may_advance():
            self._handle(self._events.popleft())
        self._send_body()

    def _may_advance(self) -> bool:
        if self._phase is Phase.RESPONSE:
            return self._upload is not None and not self._upload.complete
        return self._phase in (Phase.HEAD, Phase.BODY)

    def _limit_reading(self) -> None:
        """Read no more than can be handled soon."""
        is_full = len(self._events) > MAX_PIPELINED or (self._upload is not None and self._upload.is_full)
        if self._phase is Phase.CLOSED or is_full == self._paused or self._transport.is_closing():
            return
        self._paused = is_full
        if is_full:
            self._transport.pause_reading()
            if self._phase is Phase.RESPONSE:  # what it waits for now is the application
                self._wait_for(Phase.RESPONSE, self._server.config.http_timeout)
        else:
            self._transport.resume_reading()

    def _handle(self, event: Request | bytes | EndOfMessage | HttpError) -> None:
        if isinstance(event, Request):
            self._begin(event)
        elif isinstance(event, HttpError):
            self._answer(event.status, event.reason)
        elif isinstance(event, bytes):
            self._add_to_body(event)
        else:
            self._end_body()

    def _begin(self, request: Request) -> None:
        self._request = request
        if self._refusal is not None:
            self._server.losses.count("connection refused", self._refusal.reason)
            self._answer(*self._refusal)
            return
        if request.is_websocket:
            self._upgrade(request)
            return
        self._upload = Upload(self._server)
        if request.has_body:
            if request.expect_continue:
                self._transport.write(CONTINUE)
            self._wait_for(Phase.BODY, self._server.config.body_timeout)

    def _add_to_body(self, piece: bytes) -> None:
        assert self._upload is not None
        self._upload.add(piece)
        config = self._server.config
        if self._server.bodies_size > config.max_bodies_size:
            self._answer(503, f"bodies of all requests exceed {config.max_bodies_size} bytes (max_bodies_size)")
        else:
            self._wait_for(self._phase, config.body_timeout)

    def _send_body(self) -> None:
        """Send on what has arrived by now, once it is more than the request itself takes along."""
        if self._upload is None:
            return
        if self._phase is Phase.RESPONSE:
            self._upload.send_chunks()
        elif self._upload.size > self._server.config.inline_body_size:
            self._dispatch()

    def _end_body(self) -> None:
        assert self._upload is not None
        self._upload.complete = True
        if self._phase is Phase.RESPONSE:
            self._wait_for(Phase.RESPONSE, self._server.config.http_timeout)
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        """Send the request to the workers: all of it, or its beginning and a channel for the rest."""
        request, upload, server = self._request, self._upload, self._server
        assert request is not None
        assert upload is not None
        self._channel = server.requests.new_channel()
        server.connections[self._channel] = self
        content = events.http_request(request, self._channel, self._transport, server.config)
        upload.begin(self._channel, content)
        response = Response(request.method, request.http_version, request.keep_alive)
        self._download = Download(server, self._transport, self, self._channel, response)
        if self._is_slow:
            self._download.pause()
        data = codec.encode_plain(content)
        server.outbox.post(Envelope(MESSAGE, REQUEST, data, self._channel, REQUEST_TOKEN))
        upload.send_chunks()
        limit = server.config.http_timeout if upload.complete else server.config.body_timeout
        self._wait_for(Phase.RESPONSE, limit)

    # -- from the application --------------------------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Send a message of the response."""
        self._respond(content)

    def deliver_piece(self, piece: Piece) -> None:
        """Send a piece of the response, which went round the inbox."""
        self._respond(piece)

    def _respond(self, part: dict[str, Any] | Piece) -> None:
        if self._download is None or self._phase is not Phase.RESPONSE:
            return
        if self._upload is not None and not self._upload.complete and not self._download.response.started:
            self._download.response.keep_alive = False  # what still comes of the body is in the way of another request
        self._download.add(part)

    def finished(self) -> None:
        """The response is complete."""
        if self._download is not None:
            self._finish(self._download.response)

    def failed(self, error: Exception) -> None:
        """The response cannot be sent on."""
        logger.error("the response to %s cannot be sent: %s", self._shown(), error)
        if self._has_begun():
            self._transport.abort()
        else:
            self._answer(500, "")

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """A chunk of the body was read, or the consumer has finished; it may have left the answer to somebody else."""
        if token != REQUEST_TOKEN:
            self._chunk_was_read(token)
            return
        envelope = self._server.outbox.settled(self._channel)
        if done.outcome == AGAIN and envelope is not None:
            again = next_attempt(envelope)
            self._server.loop.call_later(retry_delay(again.attempt), self._retry, again)
            return
        status = _OUTCOMES.get(done.outcome)
        if status is not None:
            self._fall_short(status, "")

    def _chunk_was_read(self, token: int) -> None:
        if self._upload is not None and self._phase is Phase.RESPONSE:
            self._upload.settle(token)
            self._limit_reading()
            limit = self._server.config.http_timeout if self._upload.complete else self._server.config.body_timeout
            self._wait_for(Phase.RESPONSE, limit)

    def _retry(self, envelope: Envelope) -> None:
        """Send a request again that its consumer wanted later, unless its client has been answered or has left."""
        if envelope.owner == self._channel and not self._has_begun():
            self._server.outbox.post(envelope)

    def _has_begun(self) -> bool:
        return self._download is not None and self._download.response.started

    def _fall_short(self, status: int, why: str) -> None:
        """Nothing more will come: answer, or cut a response that has begun, so that it does not pass for whole."""
        if self._phase is not Phase.RESPONSE or (self._download is not None and self._download.response.finished):
            return
        if not self._has_begun():
            self._answer(status, why)
            return
        self._phase = Phase.CLOSED
        logger.error("the response to %s is cut off: its consumer ended before it did", self._shown())
        self._transport.abort()

    def lost(self, envelope: Envelope) -> None:
        """The request was taken by a worker that died."""
        self._fall_short(500, f"the worker that had {self._shown()} died")

    def refused(self, envelope: Envelope, error: Exception) -> None:
        """The request was not taken, or given back because nobody reads it."""
        if self._phase is Phase.RESPONSE and not self._has_begun():
            hint = "; start a worker with: python manage.py runworker" if isinstance(error, NoWorker) else ""
            self._answer(503, f"{error}{hint}")

    def unserved(self, envelope: Envelope) -> bool:
        """A request does not wait long for a first worker."""
        return True

    def close(self, code: int, reason: str, by: str) -> None:
        """The server ends: an idle connection goes now, a response in progress may finish."""
        if self._phase in (Phase.HEAD, Phase.LINGER):
            self._transport.close()
        elif self._phase is Phase.BODY:
            self._answer(503, by)
            self._transport.close()
        elif self._download is not None:
            self._download.response.keep_alive = False

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    # -- answers of the server itself ------------------------------------------------------------------------------

    def _answer(self, status: int, why: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Answer with an error page and close; ``why`` is for the log, strangers learn it only in debug."""
        if self._has_begun():  # there is no way to say it within another answer
            self._transport.abort()
            return
        request = self._request
        if why:
            level = logging.INFO if status < 500 else logging.WARNING
            logger.log(level, "%s answered %d: %s", self._shown(), status, why)
        sentence = (self._server.config.debug and why) or _SENTENCES.get(status, _SENTENCES[400])
        page, body = error_page(status, sentence)
        more = [(b"Retry-After", b"1")] if status == 503 else []
        method, version = (request.method, request.http_version) if request else ("GET", "1.1")
        response = Response(method, version, keep_alive=False)
        self._transport.write(response.start(status, [*page, *more, *(headers or ())], body))
        self._finish(response)

    def _finish(self, response: Response) -> None:
        """The response is complete: log it, and go on with the next request or close."""
        request, upload = self._request, self._upload
        if request is None:
            self._server.log(access.http_access("-", b"-", "1.1", response.status, response.size))
        elif not request.is_websocket:  # a refused handshake has a line of its own
            version, status, size = request.http_version, response.status, response.size
            self._server.log(access.http_access(request.method, request.target, version, status, size))
        self._give_up_request()
        if response.keep_alive:
            self._wait_for(Phase.HEAD, self._server.config.keep_alive_timeout)
            self._advance()
            self._limit_reading()
        elif response.status in _TOO_MUCH or (upload is not None and not upload.complete):
            if self._transport.can_write_eof():  # not under TLS
                self._transport.write_eof()
            self._wait_for(Phase.LINGER, LINGER)
            self._limit_reading()
        else:
            self._phase = Phase.CLOSED
            self._server.deadlines.cancel(self)
            self._transport.close()

    def _give_up_request(self) -> None:
        """Forget the request at hand; replies to it are discarded from here on."""
        channel, request, server = self._channel, self._request, self._server
        if self._upload is not None:
            self._upload.close()
        if self._download is not None:
            self._download.close()
        self._request = self._upload = self._download = None
        self._channel = ""
        if not channel or request is None:
            return
        server.forget(channel)
        if server.is_read(DISCONNECT):
            content = codec.encode_plain({"reply_channel": channel, "path": request.path})
            server.outbox.send(Envelope(MESSAGE, DISCONNECT, content))

    # -- upgrade ---------------------------------------------------------------------------------------------------

    def _upgrade(self, request: Request) -> None:
        """Hand the connection over to a WebSocket handshake, if we may take it (RFC 6455 section 4.2)."""
        server = self._server
        try:
            offer = handshake.read_offer(request, server.config.compression_level and server.config.compression_window)
        except handshake.HandshakeError as error:
            self._refuse_upgrade(request, error.status, error.reason, list(error.headers))
            return
        verdict = check_origin(request.headers, server.config)
        if not verdict.allowed:
            self._refuse_upgrade(request, 403, verdict.reason)
            return
        if verdict.reason:
            logger.info("%s: %s", request.path, verdict.reason)
        self._hand_over(request, offer)

    def _refuse_upgrade(
        self, request: Request, status: int, why: str, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        client = events.peer_of(self._transport)
        self._server.log(access.websocket_refused(request.path, client, status, why))
        self._answer(status, "", headers)

    def _hand_over(self, request: Request, offer: handshake.Offer) -> None:
        server = self._server
        self._phase = Phase.CLOSED
        server.deadlines.cancel(self)
        opening = OpeningHandshake(server, self._transport, server.sockets.new_channel(), request, offer)
        server.connections[opening.channel] = opening
        server.handed_over(self, opening)
        self._transport.set_protocol(opening)
        opening.start(self._parser.rest)

    # -- shared ----------------------------------------------------------------------------------------------------

    def _wait_for_head(self) -> None:
        limit = self._server.config.head_timeout
        self._wait_for(Phase.HEAD, limit if self._refusal is None else min(limit, REFUSED_TIMEOUT))

    def _wait_for(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        self._limit = self._server.loop.time() + seconds
        self._server.deadlines.within(seconds, self)

    def _shown(self) -> str:
        return f"{self._request.method} {self._request.path}" if self._request else "a request"
