"""One HTTP/1.1 connection: its requests become messages one after another, its replies become responses."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast

from channel_layers import codec
from channel_layers.envelope import AGAIN, EVENT, LOST, MESSAGE, RAISED, UNROUTED, Done, Envelope, next_attempt
from channel_layers.names import Keys
from daphne import access, events, handshake
from daphne.admission import Refusal
from daphne.broadcast import Broadcast
from daphne.connection import retry_delay
from daphne.http import END, EndOfMessage, HttpError, HttpParser, Request
from daphne.opening import OpeningHandshake
from daphne.origin import check_origin
from daphne.outbox import NoWorker
from daphne.response import CONTINUE, Response, error_page

if TYPE_CHECKING:
    from daphne.server import Server

logger = logging.getLogger("daphne.http")

REQUEST: Final = "http.request"
DISCONNECT: Final = "http.disconnect"
BODY_CHUNK_SIZE: Final = 256 * 1024
MAX_PIPELINED: Final = 32
"""Parsed events that may wait behind the request being answered before the socket is not read any more."""
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
_OUTCOMES: Final = {RAISED: 500, LOST: 500, UNROUTED: 404}


class Phase(Enum):
    """What the connection waits for."""

    HEAD = 1
    BODY = 2
    RESPONSE = 3
    REST = 4
    """Further messages of a response that has begun; they take as long as they take."""
    CLOSED = 5


class HttpConnection(asyncio.Protocol):
    """Requests of one connection, answered in their order (RFC 9112 section 9.3.2)."""

    __slots__ = (
        "_body",
        "_body_size",
        "_channel",
        "_events",
        "_limit",
        "_parser",
        "_paused",
        "_phase",
        "_refusal",
        "_request",
        "_response",
        "_server",
        "_transport",
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
        self._response: Response | None = None
        self._channel = ""
        self._body: list[bytes] = []
        self._body_size = 0
        self._paused = False

    # -- from the peer ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        self._server.made(self)
        self._refusal = self._server.admitted.enter(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Parse requests; answer the first, keep the others in order."""
        if self._parser.idle and self._phase is Phase.HEAD:
            self._wait_for_head()
        try:
            self._events += self._parser.receive_data(data)
        except HttpError as error:
            self._events += error.events
            self._events.append(error)
        self._advance()
        if len(self._events) > MAX_PIPELINED and not self._paused and self._phase is not Phase.CLOSED:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; whoever still answers it is told where somebody listens."""
        request = self._request
        if self._phase in (Phase.RESPONSE, Phase.REST) and request is not None:
            self._server.log(access.http_access(request.method, request.target, request.http_version, 499, 0))
        self._phase = Phase.CLOSED
        self._server.deadlines.cancel(self)
        self._give_up_request()
        if self._refusal is None:
            self._server.admitted.leave(self._transport)
        self._server.lost(self)

    def on_deadline(self, now: float) -> float | None:
        """Something did not happen in time."""
        if self._phase in (Phase.REST, Phase.CLOSED):
            return None
        if now < self._limit:
            return self._limit
        if self._phase is Phase.RESPONSE:
            self._server.outbox.give_up(self._channel)
            self._answer(503, f"no response within {self._server.config.http_timeout:g} s (http_timeout)")
        elif self._phase is Phase.BODY or self._parser.in_head:
            self._answer(408, "the request did not arrive in time (head_timeout, body_timeout)")
        else:
            self._transport.close()
        return None

    # -- one event after another -----------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Handle parsed events until a request waits for its response."""
        while self._events and self._phase in (Phase.HEAD, Phase.BODY):
            self._handle(self._events.popleft())
        if self._paused and len(self._events) <= MAX_PIPELINED // 2 and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _handle(self, event: Request | bytes | EndOfMessage | HttpError) -> None:
        if isinstance(event, Request):
            self._begin(event)
        elif isinstance(event, bytes):
            self._add_to_body(event)
        elif event is END:
            self._dispatch()
        elif isinstance(event, HttpError):
            self._answer(event.status, event.reason)

    def _begin(self, request: Request) -> None:
        self._request = request
        if self._refusal is not None:
            self._server.losses.count("connection refused", self._refusal.reason)
            self._answer(*self._refusal)
        elif request.is_websocket:
            self._upgrade(request)
        elif request.has_body:
            if request.expect_continue:
                self._transport.write(CONTINUE)
            self._wait_for(Phase.BODY, self._server.config.body_timeout)

    def _add_to_body(self, piece: bytes) -> None:
        self._body.append(piece)
        self._body_size += len(piece)
        self._server.bodies_size += len(piece)
        limit = self._server.config.max_bodies_size
        if self._server.bodies_size > limit:
            self._answer(503, f"request bodies of all clients exceed {limit} bytes (max_bodies_size)")
        else:
            self._wait_for(Phase.BODY, self._server.config.body_timeout)

    def _dispatch(self) -> None:
        """Send the complete request to the workers."""
        request = self._request
        assert request is not None
        server = self._server
        self._channel = server.requests.new_channel()
        server.connections[self._channel] = self
        content = events.http_request(request, self._channel, self._transport, server.config)
        chunks = self._add_body(content)
        self._response = Response(request.method, request.http_version, request.keep_alive)
        data = codec.encode_plain(content)
        server.outbox.post(Envelope(MESSAGE, REQUEST, data, self._channel, 1))
        for chunk in chunks:
            server.outbox.send(chunk)
        self._wait_for(Phase.RESPONSE, server.config.http_timeout)

    def _add_body(self, content: dict[str, Any]) -> list[Envelope]:
        """Put the beginning of the body into the request; return the rest as chunks for its body channel."""
        body = b"".join(self._body)
        self._release_body()
        inline = self._server.config.inline_body_size
        if len(body) <= inline:
            content["body"] = body
            return []
        content["body"] = body[:inline]
        channel = content["body_channel"] = "http.request.body?" + next(Keys())
        return [
            _body_chunk(channel, body[start : start + BODY_CHUNK_SIZE], start + BODY_CHUNK_SIZE < len(body))
            for start in range(inline, len(body), BODY_CHUNK_SIZE)
        ]

    def _release_body(self) -> None:
        self._server.bodies_size -= self._body_size
        self._body, self._body_size = [], 0

    # -- from the application --------------------------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Send a message of the response."""
        response = self._response
        if response is None or self._phase not in (Phase.RESPONSE, Phase.REST):
            return
        try:
            if not response.started:
                data = self._start(response, content)
            else:
                data = response.send(bytes(content.get("content", b"")), bool(content.get("more_content")))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            self._fail(response, error)
            return
        if data:
            self._transport.write(data)
        if response.finished:
            self._finish(response)

    def _start(self, response: Response, content: dict[str, Any]) -> bytes:
        if "status" not in content:
            raise ValueError("the first message of a response has no 'status'")
        self._phase = Phase.REST
        body = bytes(content.get("content", b""))
        headers = [(name, value) for name, value in content.get("headers", ())]
        return response.start(content["status"], headers, body, bool(content.get("more_content")))

    def _fail(self, response: Response, error: Exception) -> None:
        logger.error("the response to %s cannot be sent: %s", self._shown(), error)
        if response.started:
            self._transport.abort()
        else:
            self._answer(500, "")

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """The consumer has finished; without an answer somebody else may still give one (``ResponseLater``)."""
        envelope = self._server.outbox.settled(self._channel)
        if done.outcome == AGAIN and envelope is not None:
            again = next_attempt(envelope)
            self._server.loop.call_later(retry_delay(again.attempt), self._retry, again)
            return
        status = _OUTCOMES.get(done.outcome)
        if status is not None:
            self._fall_short(status, "")

    def _retry(self, envelope: Envelope) -> None:
        """Send a request again that its consumer wanted later, unless its client has been answered or has left."""
        if envelope.owner == self._channel and self._phase is Phase.RESPONSE:
            self._server.outbox.post(envelope)

    def _fall_short(self, status: int, why: str) -> None:
        """Nothing more will come: answer, or cut a response that has begun, so that it does not pass for whole."""
        if self._phase is Phase.RESPONSE:
            self._answer(status, why)
        elif self._phase is Phase.REST:
            self._phase = Phase.CLOSED
            logger.error("the response to %s is cut off: its consumer ended before it did", self._shown())
            self._transport.abort()

    def lost(self, envelope: Envelope) -> None:
        """The request was taken by a worker that died."""
        self._fall_short(500, f"the worker that had {self._shown()} died")

    def refused(self, envelope: Envelope, error: Exception) -> None:
        """The request was not taken, or given back because nobody reads it."""
        if self._phase is Phase.RESPONSE:
            hint = "; start a worker with: python manage.py runworker" if isinstance(error, NoWorker) else ""
            self._answer(503, f"{error}{hint}")

    def unserved(self, envelope: Envelope) -> bool:
        """A request does not wait long for a first worker."""
        return True

    def close(self, code: int, reason: str, by: str) -> None:
        """The server ends: an idle connection goes now, a response in progress may finish."""
        if self._phase is Phase.HEAD:
            self._transport.close()
        elif self._phase is Phase.BODY:
            self._answer(503, by)
        elif self._response is not None:
            self._response.keep_alive = False

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    # -- answers of the server itself ------------------------------------------------------------------------------

    def _answer(self, status: int, why: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Answer with an error page and close; ``why`` is for the log, strangers learn it only in debug."""
        request = self._request
        if why:
            level = logging.INFO if status < 500 else logging.WARNING
            logger.log(level, "%s answered %d: %s", self._shown(), status, why)
        sentence = (self._server.config.debug and why) or _SENTENCES.get(status, _SENTENCES[400])
        page, body = error_page(status, sentence)
        more = [(b"Retry-After", b"1")] if status == 503 else []
        method, version = (request.method, request.http_version) if request else ("GET", "1.1")
        response = self._response = Response(method, version, keep_alive=False)
        self._transport.write(response.start(status, [*page, *more, *(headers or ())], body))
        self._finish(response)

    def _finish(self, response: Response) -> None:
        """The response is complete: log it, and go on with the next request or close."""
        request = self._request
        if request is None:
            self._server.log(access.http_access("-", b"-", "1.1", response.status, response.size))
        elif not request.is_websocket:  # a refused handshake has a line of its own
            version, status, size = request.http_version, response.status, response.size
            self._server.log(access.http_access(request.method, request.target, version, status, size))
        self._give_up_request()
        if response.keep_alive:
            self._wait_for(Phase.HEAD, self._server.config.keep_alive_timeout)
            self._advance()
        else:
            self._phase = Phase.CLOSED
            self._server.deadlines.cancel(self)
            self._transport.close()

    def _give_up_request(self) -> None:
        """Forget the request at hand; replies to it are discarded from here on."""
        channel, request = self._channel, self._request
        self._release_body()
        self._request = self._response = None
        self._channel = ""
        if not channel or request is None:
            return
        server = self._server
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


def _body_chunk(channel: str, content: bytes, more: bool) -> Envelope:
    """A chunk is bounded by ``max_body_size``, so its queue refuses none (kind EVENT)."""
    return Envelope(EVENT, channel, codec.encode_plain({"content": content, "more_content": more}))
