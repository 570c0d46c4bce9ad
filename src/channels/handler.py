"""Django's views behind ``http.request``: a message in, reply messages out."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from threading import Lock
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished, request_started
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseServerError
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix

from channel_layers.exceptions import ReaderGone
from channels.answer import Reply, send_all
from channels.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels.request import AsgiRequest, script_name_of
from channels.sse import EventStream

if TYPE_CHECKING:
    from channels.message import Message

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer"]

logger = logging.getLogger("django.request")

UNANSWERED = (ResponseLater, RequestAborted)
"""What a view raises when this handler is to send nothing."""


class NoResponse(HttpResponse):
    """Goes through the middleware in place of a response that is not sent.

    Its status is an interim one, which no middleware stores, compares or turns into an error.
    """

    status_code = 102


class AsgiHandler(BaseHandler):
    """Runs Django's middleware and views for one message at a time; safe to share between threads.

    Called with an ``http.request`` message it yields the messages of the response: ``status`` and ``headers`` in the
    first, ``content`` (bytes) and ``more_content`` in all. It yields nothing after
    :exc:`~channels.exceptions.ResponseLater` and for a client that has gone. A body is cut into pieces of
    ``chunk_size`` bytes. Synchronous views need no event loop; ``async def`` views get one from Django.
    """

    request_class: type[AsgiRequest] = AsgiRequest
    chunk_size = 512 * 1024

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[Reply]:
        """Yield the messages of the response to ``message``."""
        set_script_prefix(script_name_of(message.content))
        request_started.send(sender=type(self), message=message)
        with closing(self.respond(message)) as response:
            if not isinstance(response, NoResponse):
                yield from self.encode_response(response)

    def respond(self, message: Message) -> HttpResponseBase:
        """Return the response to ``message``, a :class:`NoResponse` if there is none; the caller closes it."""
        try:
            request = self.request_class(message)
        except UnicodeDecodeError:
            logger.warning("Bad Request (UnicodeDecodeError)", exc_info=True, extra={"status_code": 400})
            response: HttpResponseBase = HttpResponseBadRequest()
        else:
            response = self._answered(request)
            if isinstance(response, FileResponse):
                response.block_size = self.chunk_size
            if request.method == "HEAD":
                drop_body(response)
        response._handler_class = type(self)  # type: ignore[attr-defined]  # the sender of request_finished
        return response

    @classmethod
    def encode_response(cls, response: HttpResponseBase) -> Iterator[Reply]:
        """Yield the messages of ``response``; a streaming one ends with a message of its own without content.

        An :class:`~channels.sse.EventStream` does not end: others go on with it.
        """
        head: Reply = {"status": response.status_code, "headers": encode_headers(response)}
        for content, more_content in cls._pieces(response):
            yield {**head, "content": content, "more_content": more_content}
            head = {}

    @classmethod
    def chunk_bytes(cls, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield ``(piece, is_last)`` with at most ``chunk_size`` bytes each; one empty piece for no data."""
        for start in range(0, len(data) or 1, cls.chunk_size):
            end = start + cls.chunk_size
            yield data[start:end], end >= len(data)

    def process_exception_by_middleware(self, exception: Exception, request: HttpRequest) -> HttpResponse:
        """Ask the exception middleware, unless the exception is no error but a decision about the response."""
        if isinstance(exception, (*UNANSWERED, RequestTimeout)):
            raise exception
        return super().process_exception_by_middleware(exception, request)

    def _get_response(self, request: HttpRequest) -> HttpResponseBase:
        # Django calls this inside the middleware, which would make a 500 of these exceptions.
        try:
            response: HttpResponseBase = super()._get_response(request)  # type: ignore[misc]  # Django's, without stub
        except UNANSWERED:
            return NoResponse()
        except RequestTimeout as error:
            return HttpResponse(f"408 Request Timeout: {error}", status=408, content_type="text/plain")
        return response

    def _answered(self, request: AsgiRequest) -> HttpResponseBase:
        try:
            return self.get_response(request)
        except BaseException as error:  # the error page itself has failed, and nobody further up could answer
            if settings.DEBUG_PROPAGATE_EXCEPTIONS or not isinstance(error, Exception):
                request.close()
                request_finished.send(sender=type(self))  # there is no response that would, when it is closed
                raise
            logger.exception("Internal Server Error: %s", request.path, extra={"status_code": 500, "request": request})
            request.close()  # only now: who reports the error may read the form
            text = traceback.format_exc() if settings.DEBUG else "Internal Server Error"
            return HttpResponseServerError(text, content_type="text/plain")

    @classmethod
    def _pieces(cls, response: HttpResponseBase) -> Iterator[tuple[bytes, bool]]:
        """Yield the body as ``(content, more_content)``."""
        if response.streaming:
            for part in parts_of(cast("StreamingHttpResponse", response)):
                for piece, _ in cls.chunk_bytes(part):
                    yield piece, True
            if not (isinstance(response, EventStream) and response.is_joined):
                yield b"", False
        else:
            for piece, is_last in cls.chunk_bytes(cast("HttpResponse", response).content):
                yield piece, not is_last


class ViewConsumer:
    """Consumer of ``http.request`` that answers with Django's views.

    A response of up to 128 KiB leaves with the consumer's other sends, the beginning of a longer one with its first
    piece. The rest goes round the inbox of its server (:mod:`channel_layers.body`), as fast as the client takes it; a
    client that has gone ends it. Parts of a stream that follow one another quickly leave together, and no later than
    the watchdog of the worker comes by. Where nothing moves for ``send_timeout`` seconds the response is given up.
    """

    handler_class: type[AsgiHandler] = AsgiHandler
    send_timeout: float = 60.0

    def __init__(self) -> None:
        self._handler: AsgiHandler | None = None
        self._lock = Lock()

    @property
    def handler(self) -> AsgiHandler:
        """The handler, made at first use, when Django is set up."""
        with self._lock:
            if self._handler is None:
                self._handler = self.handler_class()
            return self._handler

    def __call__(self, message: Message) -> None:
        """Answer ``message``."""
        channel = message.reply_channel
        if channel is None:
            raise ValueError(f"a message on {message.channel_name!r} without reply channel cannot be answered")
        with closing(self.handler(message)) as replies, suppress(ReaderGone):
            send_all(replies, channel, self.send_timeout)


def encode_headers(response: HttpResponseBase) -> list[list[bytes]]:
    """Return headers and cookies as pairs of name, its case preserved, and value."""
    headers = [[name.encode("ascii"), value.encode("latin-1")] for name, value in response.items()]
    cookies = [[b"Set-Cookie", cookie.OutputString().encode("ascii")] for cookie in response.cookies.values()]
    return headers + cookies


def drop_body(response: HttpResponseBase) -> None:
    """Empty the response to a HEAD request but for the length of the body (RFC 9110 section 9.3.2)."""
    if isinstance(response, HttpResponse):
        response.setdefault("Content-Length", str(len(response.content)))
        response.content = b""
    else:
        cast("StreamingHttpResponse", response).streaming_content = ()


def parts_of(response: StreamingHttpResponse) -> Iterator[bytes]:
    """Yield the parts of a streaming response as they come, from an iterator of either kind."""
    return _async_parts_of(response) if response.is_async else iter(response)


def _async_parts_of(response: StreamingHttpResponse) -> Iterator[bytes]:
    parts = aiter(response)

    async def next_part() -> bytes | None:
        return await anext(parts, None)

    # One loop from the first part to the last, because what the iterator waits for belongs to its loop.
    with asyncio.Runner() as runner:
        while (part := runner.run(next_part())) is not None:
            yield part
