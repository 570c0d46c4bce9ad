"""One request and its response: a message to the workers, what comes back, and how it ends."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from channel_layers import codec
from channel_layers.envelope import AGAIN, LOST, MESSAGE, RAISED, UNROUTED, Done, Envelope, Piece, next_attempt
from daphne import events
from daphne.access import printable
from daphne.broadcast import Broadcast, Share
from daphne.connection import retry_delay
from daphne.download import Download
from daphne.outbox import NoWorker
from daphne.response import CONTINUE, Response
from daphne.upload import REQUEST_TOKEN, Upload

if TYPE_CHECKING:
    from daphne.http_connection import HttpConnection
    from daphne.request import Request
    from daphne.server import Server
    from daphne.source import Source

logger = logging.getLogger("daphne.http")

REQUEST: Final = "http.request"
DISCONNECT: Final = "http.disconnect"
COMMENT: Final = {"content": b":\n\n", "more_content": True}
"""What a silent event stream gets; browsers skip it (HTML, section 9.2.6)."""
_OUTCOMES: Final = {RAISED: 500, LOST: 500, UNROUTED: 404}


class Exchange:
    """A request from its head to the last byte of its response. Owned by a connection, which has one at a time.

    ``channel`` is its reply channel once it was sent to the workers, ``began`` when its head was there, ``upload`` its
    body. The response is in ``download``, from the same moment as the channel on. ``is_probe``: the server answers.
    """

    __slots__ = (
        "_connection",
        "_held",
        "_server",
        "_settled",
        "_silent_at",
        "began",
        "channel",
        "download",
        "is_probe",
        "request",
        "source",
        "upload",
    )

    def __init__(self, server: Server, connection: HttpConnection, request: Request, source: Source) -> None:
        self.request = request
        self.source = source
        self.channel = ""
        self.is_probe = False
        self.began = server.loop.time()
        self.upload = Upload(server)
        self.upload.complete = not request.has_body
        self.download: Download | None = None
        self._server = server
        self._connection = connection
        self._settled = False
        self._held: list[dict[str, Any]] = []
        self._silent_at = -1

    @property
    def has_begun(self) -> bool:
        """Whether something of the response has been sent."""
        return self.download is not None and self.download.response.started

    @property
    def size(self) -> int:
        """Bytes of the response's body that were sent."""
        return self.download.response.size if self.download is not None else 0

    def __str__(self) -> str:
        return f"{self.request.method} {printable(self.request.path)}"

    # -- the request -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The head is there: wait for a body if there is one."""
        if self.request.has_body:
            if self.request.expect_continue:
                self._connection.transport.write(CONTINUE)
            self._connection.wait_for_body(self._server.config.body_timeout)

    def add_to_body(self, piece: bytes) -> None:
        """A piece of the body has arrived."""
        self.upload.add(piece)
        config = self._server.config
        if self._server.bodies_size > config.max_bodies_size:
            limit = config.max_bodies_size
            self._connection.answer(503, f"bodies of all requests exceed {limit} bytes (max_bodies_size)")
        elif self.channel:
            self._connection.wait_for_response(config.body_timeout)
        else:
            self._connection.wait_for_body(config.body_timeout)

    def end_body(self) -> None:
        """All of the body has arrived."""
        self.upload.complete = True
        if self.channel:
            self._connection.wait_for_response(self._server.config.http_timeout)
        else:
            self._dispatch()

    def send_body(self) -> None:
        """Send on what has arrived by now, once it is more than the request itself takes along."""
        if self.channel:
            self.upload.send_chunks()
        elif self.upload.size > self._server.config.inline_body_size:
            self._dispatch()

    def _dispatch(self) -> None:
        """Send the request to the workers: all of it, or its beginning and a channel for the rest."""
        request, server = self.request, self._server
        self.channel = server.requests.new_channel()
        server.connections[self.channel] = self
        content = events.http_request(request, self.channel, self.source, server.config)
        self.upload.begin(self.channel, content)
        response = Response(request.method, request.http_version, request.keep_alive, self.source.request_id)
        self.download = Download(server, self._connection.transport, self, self.channel, response)
        if self._connection.is_slow:
            self.download.pause()
        data = codec.encode_plain(content)
        server.outbox.post(Envelope(MESSAGE, REQUEST, data, self.channel, REQUEST_TOKEN))
        self.upload.send_chunks()
        self._wait()

    def _wait(self) -> None:
        """Wait for the client while it still has to send, then for the application."""
        config = self._server.config
        self._connection.wait_for_response(config.http_timeout if self.upload.complete else config.body_timeout)

    # -- the response ----------------------------------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], broadcast: Broadcast | None) -> None:
        """Send a message of the response.

        One to a group that is no response by itself is part of a stream: it waits until that has begun, and the
        consumer which began it has finished, so that it never lands in the middle of something.
        """
        if broadcast is None or "status" in content:
            self._respond(content)
            self._release()
        elif self._settled and self.has_begun:
            self._respond(content)
            self._limit_stream()
        else:
            self._hold(content)

    def deliver_share(self, share: Share) -> bool:
        """Each message of a group is a response, or a part of one, of its own."""
        return False

    def deliver_piece(self, piece: Piece) -> None:
        """Send a piece of the response, which went round the inbox."""
        self._respond(piece)

    def _respond(self, part: dict[str, Any] | Piece) -> None:
        if self.download is None:  # it is over
            return
        if not self.upload.complete and not self.has_begun:
            self.download.response.keep_alive = False  # what still comes of the body is in the way of another request
        self.download.add(part)
        if self.download is None:
            return
        if self.download.response.is_event_stream and self._silent_at < 0:
            self._watch_silence()
        if self.download.held > self._server.config.max_write_size:
            self._give_up_slow_client("more waits than its spool has room for (max_spool_size)")

    def _hold(self, content: dict[str, Any]) -> None:
        limit = self._server.config.max_pending_messages
        if len(self._held) >= limit:
            self._fall_short(503, f"{limit} messages to a group waited for {self} to begin (max_pending_messages)")
        elif self.download is not None:
            self._held.append(content)

    def _release(self) -> None:
        """Send on what was held, if it is its time."""
        while self._held and self._settled and self.has_begun:
            self._respond(self._held.pop(0))

    def _limit_stream(self) -> None:
        """Cut a client off that does not keep up with its groups: it comes back and asks for what it has missed."""
        limit = self._server.config.max_write_size
        if self.download is not None and self.download.unsent > limit:
            self._give_up_slow_client(f"{limit} bytes of messages to groups wait for it (max_write_size)")

    def _give_up_slow_client(self, why: str) -> None:
        self._server.losses.count("slow client", f"{self} is cut off: its client does not keep up, {why}")
        self._connection.abort()

    def finished(self) -> None:
        """The response is complete."""
        if self.download is not None:
            self._connection.finish(self.download.response)

    def failed(self, error: Exception) -> None:
        """The response cannot be sent on."""
        logger.error("the response to %s cannot be sent: %s", self, error)
        if self.has_begun:
            self._connection.cut()
        else:
            self._connection.answer(500, "")

    # -- an event stream -------------------------------------------------------------------------------------------

    def _watch_silence(self) -> None:
        """See that an event stream says something now and then, and that a client which vanished is noticed."""
        self._silent_at = 0
        sock = self._connection.transport.get_extra_info("socket")
        if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            with suppress(OSError):  # a Unix socket
                milliseconds = int(self._server.config.send_timeout * 1000)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        if self._server.config.ping_interval:
            self._connection.wait_for_response(self._server.config.ping_interval)

    def break_silence(self) -> bool:
        """Send an event stream that has said nothing since the last call a comment; ``False`` if this is none."""
        download = self.download
        if download is None or self._silent_at < 0 or not self._server.config.ping_interval:
            return False
        response = download.response
        if response.size == self._silent_at and response.between_events and not download.unsent:
            download.add(COMMENT)
        self._silent_at = response.size
        return True

    def end_stream(self) -> bool:
        """End an event stream, whose client will come back; ``False`` if this is none."""
        if self.download is None or not self.download.response.is_event_stream:
            return False
        self.be_last()
        self.download.add({"content": b"", "more_content": False})
        return True

    # -- how it ends -----------------------------------------------------------------------------------------------

    def settle(self, token: int, done: Done, session: bytes | None) -> None:
        """A chunk of the body was read, or the consumer has finished; it may have left the answer to somebody else."""
        if token != REQUEST_TOKEN:
            self._chunk_was_read(token)
            return
        envelope = self._server.outbox.settled(self.channel)
        if done.outcome == AGAIN and envelope is not None:
            again = next_attempt(envelope)
            self.upload.begin_again()
            self._server.loop.call_later(retry_delay(again.attempt), self._retry, again)
            return
        self._settled = True
        if not self.channel:  # else somebody who answers later may read it still
            self.upload.end()
        status = _OUTCOMES.get(done.outcome)
        if status is not None:
            self._fall_short(status, "")
        self._release()

    def _chunk_was_read(self, token: int) -> None:
        self.upload.settle(token)
        self._connection.limit_reading()
        self._wait()

    def _retry(self, envelope: Envelope) -> None:
        """Send a request again that its consumer wanted later, unless its client has been answered or has left."""
        if envelope.owner == self.channel and not self.has_begun:
            self._server.outbox.post(envelope)

    def _fall_short(self, status: int, why: str) -> None:
        """Nothing more will come: answer, or cut a response that has begun, so that it does not pass for whole."""
        if self.download is None or self.download.response.finished:
            return
        if not self.has_begun:
            self._connection.answer(status, why)
            return
        logger.error("the response to %s is cut off: %s", self, why or "its consumer ended before it did")
        self._connection.cut()

    def lost(self, envelope: Envelope) -> None:
        """The request was taken by a worker that died."""
        self._fall_short(500, f"the worker that had {self} died")

    def refused(self, envelope: Envelope, error: Exception) -> None:
        """The request was not taken, or given back because nobody reads it."""
        if self.download is None or self.has_begun:
            return
        if isinstance(error, NoWorker):
            why, counted = f"{error}; start a worker with: python manage.py runworker", "request without worker"
        else:
            why, counted = str(error), "request refused"
        self._connection.answer(503, why, counted=counted)

    def unserved(self, envelope: Envelope) -> bool:
        """A request does not wait long for a first worker."""
        return True

    def time_out(self) -> None:
        """It takes too long; what has begun takes as long as it takes."""
        if self.has_begun:
            return
        if not self.upload.complete and not self._connection.is_paused:
            self._connection.answer(408, "the body of the request did not arrive in time (body_timeout)")
            return
        self._server.outbox.give_up(self.channel)
        self._connection.answer(503, f"no response within {self._server.config.http_timeout:g} s (http_timeout)")

    def close(self, code: int, reason: str, by: str) -> None:
        """Messages to a group of it were lost: let the client ask again."""
        if not self.end_stream() and not self.has_begun and self._settled:
            self._connection.answer(503, by)

    def be_last(self) -> None:
        """Let no other request follow on this connection."""
        if self.download is not None:
            self.download.response.keep_alive = False

    def give_up(self) -> None:
        """It is over: replies to it are discarded from here on, and whoever listens is told."""
        channel, server = self.channel, self._server
        self.upload.close()
        if self.download is not None:
            self.download.close()
        self.download = None
        self.channel = ""
        self._held.clear()
        if not channel:
            return
        server.forget(channel)
        if server.is_read(DISCONNECT):
            content = codec.encode_plain({"reply_channel": channel, "path": self.request.path})
            server.outbox.send(Envelope(MESSAGE, DISCONNECT, content))
