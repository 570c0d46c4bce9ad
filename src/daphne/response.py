"""HTTP/1.1 responses without I/O: what the application says in, bytes out (RFC 9110, RFC 9112)."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from daphne.grammar import is_token, length_of, show

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Asks a client that sent ``Expect: 100-continue`` for its body (RFC 9110 §10.1.1)."""

_SERVER = b"Server: Daphne\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CONTROL = bytes({*range(0x20), 0x7F} - {0x09})
# What concerns this connection is the server's business (RFC 9110 §7.6.1), though a "Connection: close" is heeded.
_WITHHELD = frozenset(
    (
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_NO_BODY = frozenset((*range(100, 200), 204, 304))
_NO_LENGTH = _NO_BODY - {304}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{status} {title}</title></head>
<body><h1>{status} {title}</h1><p>{sentence}</p></body>
</html>
"""
_LAST_CHUNK = b"0\r\n\r\n"
_EVENT_ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n")


class ResponseError(RuntimeError):
    """The application has sent what does not fit what it sent before; nothing of it may go to the client."""


class ResponseFinished(ResponseError):
    """A message for a response that is complete; the protocol says to ignore it."""


class Response:
    """The outgoing half of one exchange.

    ``keep_alive`` says whether the connection may be used again once ``finished``; ``size`` counts the bytes of the
    body that were sent, without chunk framing. After an error of :meth:`start` nothing has been sent and it may be
    called again; after one of :meth:`send` the response is cut short, and the connection has to be closed.

    ``is_event_stream``: the body consists of server-sent events and ends when somebody says so; ``between_events``:
    what was sent of it ends with a whole one.
    """

    __slots__ = (
        "_chunked",
        "_has_body",
        "_http_version",
        "_length",
        "_method",
        "_request_id",
        "between_events",
        "finished",
        "is_event_stream",
        "keep_alive",
        "size",
        "started",
        "status",
    )

    def __init__(self, method: str, http_version: str, keep_alive: bool, request_id: str = "") -> None:
        self.keep_alive = keep_alive
        self.started = False
        self.finished = False
        self.status = 0
        self.size = 0
        self.is_event_stream = False
        self.between_events = True
        self._request_id = request_id
        self._method = method
        self._http_version = http_version
        # How the client learns where the body ends: there is none, its length, chunks, or the end of the connection.
        self._has_body = True
        self._length: int | None = None
        self._chunked = False

    def start(
        self,
        status: int,
        headers: Iterable[tuple[bytes | str, bytes | str]],
        content: bytes = b"",
        more_content: bool = False,
    ) -> bytes:
        """Return the head with the beginning of the body, or all of it, as one piece.

        Text in headers is sent as latin-1. Raises :exc:`ValueError` for a status or header that cannot be sent, naming
        it, and :exc:`ResponseError` for a second start or a body that differs from its Content-Length.
        """
        if self.started:
            raise ResponseError(f"A response with status {self.status} has been started already.")
        status_line = _status_line(status)
        lines, fields = _encode_headers(headers)
        lines.append(self._frame(status, _parse_length(fields), content, more_content))
        self._check_length(len(content), more_content)
        self.started, self.status = True, status
        self.is_event_stream = self._has_body and self._length is None and _is_event_stream(fields)
        lines.append(self._end_or_keep(fields.get(b"connection", b"")))
        if b"server" not in fields:
            lines.append(_SERVER)
        if b"date" not in fields:
            lines.append(_date_line(int(time.time())))
        if self._request_id and b"x-request-id" not in fields:
            lines.append(b"X-Request-ID: %b\r\n" % self._request_id.encode())
        return b"".join((status_line, *lines, b"\r\n", self._encode(content, more_content)))

    def send(self, content: bytes, more_content: bool) -> bytes:
        """Return the bytes of the next part of the body.

        Raises :exc:`ResponseFinished` when the body is complete, and :exc:`ResponseError` before the start or for a
        body that differs from its Content-Length.
        """
        if self.finished:
            raise ResponseFinished("The response is complete.")
        if not self.started:
            raise ResponseError("The first message of a response must have a status.")
        try:
            self._check_length(self.size + len(content), more_content)
        except ResponseError:
            self.finished, self.keep_alive = True, False
            raise
        return self._encode(content, more_content)

    def _frame(self, status: int, length: int | None, content: bytes, more_content: bool) -> bytes:
        """Decide how the client learns where the body ends (RFC 9112 §6.3), and return the line that says so."""
        is_head = self._method == "HEAD"
        self._has_body = not is_head and status not in _NO_BODY
        if length is None and not more_content and (self._has_body or (is_head and content)):
            length = len(content)
        self._length = length
        self._chunked = self._has_body and length is None and self._http_version == "1.1"
        if self._chunked:
            return b"Transfer-Encoding: chunked\r\n"
        return b"" if length is None or status in _NO_LENGTH else b"Content-Length: %d\r\n" % length

    def _end_or_keep(self, connection: bytes) -> bytes:
        """Decide whether the connection may be used again; an interim status leaves the client waiting for another."""
        ends_by_closing = self._has_body and self._length is None and not self._chunked
        asked_to_close = b"close" in map(bytes.strip, connection.lower().split(b","))
        if ends_by_closing or asked_to_close or self.status < 200:
            self.keep_alive = False
        if not self.keep_alive:
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if self._http_version == "1.0" else b""

    def _check_length(self, size: int, more_content: bool) -> None:
        length = self._length
        if length is None or not self._has_body:
            return
        if size > length or (size < length and not more_content):
            relation = "more" if size > length else "less"
            raise ResponseError(f"The body has {size} bytes, {relation} than its Content-Length of {length}.")

    def _encode(self, content: bytes, more_content: bool) -> bytes:
        self.finished = not more_content
        if not self._has_body:
            return b""
        self.size += len(content)
        if self.is_event_stream and content:
            self.between_events = content.endswith(_EVENT_ENDS)
        if not self._chunked:
            return content
        # A chunk of no bytes would end the body.
        chunk = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
        return chunk if more_content else chunk + _LAST_CHUNK


def error_page(status: int, sentence: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of a small page: the status, its title and one sentence, which is escaped here."""
    title = HTTPStatus(status).phrase if status in _STATUS_LINES else "Error"
    page = _PAGE.format(status=status, title=html.escape(title), sentence=html.escape(sentence))
    return [(b"Content-Type", b"text/html; charset=utf-8")], page.encode()


def _status_line(status: int) -> bytes:
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
        raise ValueError(f"The status of a response is a whole number from 100 to 999, not {status!r}.")
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _encode_headers(headers: Iterable[tuple[bytes | str, bytes | str]]) -> tuple[list[bytes], dict[bytes, bytes]]:
    """The lines to send, and the values of all fields by lower-case name."""
    lines: list[bytes] = []
    fields: dict[bytes, bytes] = {}
    for name, given in headers:
        # Other characters than those of latin-1 cannot be in a name; the replacement is refused there.
        encoded = name if isinstance(name, bytes) else name.encode("latin-1", "backslashreplace")
        key = _check_name(encoded)
        value = given if isinstance(given, bytes) else _encode_value(key, given)
        if len(value.translate(None, _CONTROL)) != len(value):
            byte = next(byte for byte in value if byte in _CONTROL)
            raise ValueError(f"The header {show(key)} contains the control byte {byte:#04x}.")
        fields[key] = b"%b, %b" % (fields[key], value) if key in fields else value
        if key not in _WITHHELD:
            lines.append(b"%b: %b\r\n" % (encoded, value))
    return lines, fields


@lru_cache(maxsize=1024)
def _check_name(name: bytes) -> bytes:
    """The name in lower case, by which fields are compared."""
    if not is_token(name):
        raise ValueError(f"The header name {show(name)} is not a token (RFC 9110 §5.6.2).")
    return name.lower()


def _encode_value(key: bytes, value: str) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"The header {show(key)} has a value of type {type(value).__name__}; give bytes or text.")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        fault = value[error.start]
        raise ValueError(f"The header {show(key)} contains {fault!r}, which latin-1 does not have.") from error


def _is_event_stream(fields: dict[bytes, bytes]) -> bool:
    """Whether a body is of the format of events as it is, in no further coding (HTML, section 9.2.5)."""
    media_type = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type == b"text/event-stream" and b"content-encoding" not in fields


def _parse_length(fields: dict[bytes, bytes]) -> int | None:
    value = fields.get(b"content-length")
    return None if value is None else length_of(value)


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    """Date as an IMF-fixdate (RFC 9110 §5.6.7), made once a second."""
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
