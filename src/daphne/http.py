"""HTTP/1.1 requests without I/O: bytes in, events out (RFC 9110, RFC 9112).

One parser decides what a request is: where its head and body end is found here, what a head says in ``head.py``. Bodies
are framed here alone: ``httptools`` hides chunk extensions and skips the body of an ``Upgrade``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from itertools import groupby
from typing import Final, TypeAlias

from daphne.config import Config
from daphne.head import check_trailer, read_head
from daphne.request import HttpError, Request, check_body_size

__all__ = ["END", "EndOfMessage", "Event", "HttpError", "HttpParser", "Request"]

_START = re.compile(rb"(?:\r\n)*+(?=([!-~])|\r?\Z)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_CHUNK_SIZE_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,16}\r?")

# What a request line holds beside its target: the longest registered method has 17 letters.
_LINE_ALLOWANCE = 64


class EndOfMessage(Enum):
    """The type of :data:`END`."""

    END = "end of message"


END: Final = EndOfMessage.END
"""The event after the last piece of a message."""

Event: TypeAlias = Request | bytes | EndOfMessage


class HttpParser:
    """The requests of one connection.

    After a request with ``is_websocket`` nothing more is parsed: it has no :data:`END`, and what follows its head is
    gathered in ``rest`` until the caller feeds somebody else. What follows a request without ``keep_alive``, or an
    :exc:`HttpError`, is dropped.
    """

    __slots__ = (
        "_body_size",
        "_buffer",
        "_config",
        "_keep_alive",
        "_position",
        "_remaining",
        "_seen",
        "_step",
        "rest",
    )

    def __init__(self, config: Config) -> None:
        self.rest = b""
        self._config = config
        self._step: Callable[[HttpParser, list[Event]], bool] = HttpParser._read_head
        self._buffer = b""
        # Where in the buffer the next step begins, and how much behind that has been searched in vain for an end.
        self._position = 0
        self._seen = 0
        # Of the present message: may another follow, bytes of the body or chunk to come, bytes in all chunks so far.
        self._keep_alive = True
        self._remaining = 0
        self._body_size = 0

    @property
    def idle(self) -> bool:
        """Nothing of a next message has arrived."""
        return self._step is HttpParser._read_head and not self._buffer

    @property
    def in_head(self) -> bool:
        """A message has begun and its head is not complete."""
        return self._step is HttpParser._read_head and bool(self._buffer)

    def receive_data(self, data: bytes) -> list[Event]:
        """Parse what can be parsed; raises :exc:`HttpError` at the first byte that makes the input a refused one."""
        events: list[Event] = []
        self._buffer = self._buffer + data if self._buffer else data
        try:
            while self._position < len(self._buffer) and self._step(self, events):
                pass
        except HttpError as error:
            error.events = _join_pieces(events)
            self._step = HttpParser._discard
            self._position = len(self._buffer)
            raise
        finally:
            self._buffer = self._buffer[self._position :]
            self._position = 0
        return _join_pieces(events) if len(events) > 3 else events

    # Each step takes what it can from the buffer and says whether the next one may try.

    def _read_head(self, events: list[Event]) -> bool:
        if not self._seen and not self._skip_empty_lines():
            return False
        head = self._take_section(self._config.max_target_size + _LINE_ALLOWANCE)
        if head is None:
            return False
        request = read_head(head, self._config)
        events.append(request)
        self._keep_alive = request.keep_alive
        if request.is_websocket:
            self._step = HttpParser._keep_rest
        elif not request.has_body:
            self._end_message(events)
        elif request.content_length is None:
            self._body_size = 0
            self._step = HttpParser._read_chunk_size
        else:
            self._remaining = request.content_length
            self._step = HttpParser._read_body
        return True

    def _read_body(self, events: list[Event]) -> bool:
        if self._take_piece(events):
            self._end_message(events)
        return True

    def _read_chunk_size(self, _events: list[Event]) -> bool:
        line = _CHUNK_SIZE.match(self._buffer, self._position)
        if line is None:
            self._check_chunk_size_begun()
            return False
        self._remaining = int(line[1], 16)
        self._body_size += self._remaining
        check_body_size(self._body_size, self._config)
        if self._remaining:
            self._position = line.end()
            self._step = HttpParser._read_chunk
        else:
            # The trailer section is taken with the line end before it, so that it ends as a head does, also if empty.
            self._position = line.end(1)
            self._step = HttpParser._read_trailer
        return True

    def _read_chunk(self, events: list[Event]) -> bool:
        if self._take_piece(events):
            self._step = HttpParser._read_chunk_end
        return True

    def _read_chunk_end(self, _events: list[Event]) -> bool:
        line_end = self._buffer[self._position : self._position + 2]
        if not b"\r\n".startswith(line_end):
            raise HttpError(400, f"A chunk is followed by {line_end!r} instead of a line end.")
        if len(line_end) < 2:
            return False
        self._position += 2
        self._step = HttpParser._read_chunk_size
        return True

    def _read_trailer(self, events: list[Event]) -> bool:
        trailer = self._take_section(2)
        if trailer is None:
            return False
        check_trailer(trailer, self._config)
        self._end_message(events)
        return True

    def _keep_rest(self, events: list[Event]) -> bool:
        self.rest += self._buffer[self._position :]
        return self._discard(events)

    def _discard(self, _events: list[Event]) -> bool:
        self._position = len(self._buffer)
        return False

    def _end_message(self, events: list[Event]) -> None:
        events.append(END)
        self._step = HttpParser._read_head if self._keep_alive else HttpParser._discard

    def _skip_empty_lines(self) -> bool:
        """Skip line ends before a request (RFC 9112 §2.2); refuse at once what is no text, a TLS hello for one."""
        if 0x20 < self._buffer[self._position] < 0x7F:
            return True
        start = _START.match(self._buffer, self._position)
        if start is None:
            first = self._buffer[self._position : self._position + 8]
            raise HttpError(400, f"{first!r} does not begin an HTTP request.")
        self._position = start.end()
        return start[1] is not None

    def _take_section(self, line_limit: int) -> bytes | None:
        """A first line of up to ``line_limit`` bytes, field lines and the empty line, or None while incomplete."""
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\r\n\r\n", max(start + self._seen - 3, start)) + 4
        if end < 4:
            self._check_section(len(buffer), line_limit)
            self._seen = len(buffer) - start
            return None
        # What is shorter than both limits needs no look here: bare LFs are found by _check_bytes() as well.
        if end - start > min(line_limit, self._config.max_header_size):
            self._check_section(end, line_limit)
        self._position, self._seen = end, 0
        return buffer[start:end]

    def _check_section(self, end: int, line_limit: int) -> None:
        """Raise what the bytes before ``end`` have earned, whatever comes after them.

        The earliest violation wins, so that input cut anywhere gets the same answer as the whole.
        """
        buffer, start = self._buffer, self._position
        seen = start + self._seen
        line_end = buffer.find(b"\n", start, start + line_limit) + 1
        limit = line_end + self._config.max_header_size + 2 if line_end else start + line_limit
        stop = min(end, limit)
        if buffer.count(b"\n", seen, stop) != buffer.count(b"\r\n", max(seen - 1, start), stop):
            raise HttpError(400, "A line ends in LF instead of CRLF.")
        if end > limit and line_end:
            raise HttpError(431, f"The header fields exceed {self._config.max_header_size} bytes (max_header_size).")
        if end > limit:
            raise HttpError(414, f"The request line exceeds {line_limit} bytes (from max_target_size).")

    def _check_chunk_size_begun(self) -> None:
        line = self._buffer[self._position : self._position + 18]
        if not _CHUNK_SIZE_BEGUN.fullmatch(line):
            raise HttpError(400, f"{line!r} is no chunk size: up to 16 hexadecimal digits, no extension, CRLF.")

    def _take_piece(self, events: list[Event]) -> bool:
        """Pass on what is here of the body or chunk; whether that was the last of it."""
        piece = self._buffer[self._position : self._position + self._remaining]
        events.append(piece)
        self._position += len(piece)
        self._remaining -= len(piece)
        return not self._remaining


def _join_pieces(events: list[Event]) -> list[Event]:
    """Make one piece of those that adjoin: a body in tiny chunks would take many times its size in memory."""
    joined: list[Event] = []
    for _, group in groupby(events, type):
        run = list(group)
        pieces = [event for event in run if isinstance(event, bytes)]
        joined += [b"".join(pieces)] if pieces else run
    return joined
