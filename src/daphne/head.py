"""The head of a request without I/O: its grammar (RFC 9110, RFC 9112).

Two judges have to agree on every head: ``httptools`` on methods and field names, and the refusals here and in
``request.py`` on everything that another parser in front of us might read differently.
"""

from __future__ import annotations

import re
from typing import Final

import httptools

from daphne.config import Config
from daphne.grammar import TOKEN, show
from daphne.request import HttpError, Request, build_request

CONTROL: Final = bytes({*range(0x20), *range(0x7F, 0xA0)} - {0x09})
"""C0 without the tab, DEL, and C1: a latin-1 reader takes 0x85 for a line end. CR and LF are counted against line ends.
"""

_REQUEST_LINE = re.compile(rb"(" + TOKEN + rb') ([!"$-~]+) HTTP/([0-9]\.[0-9])\r\n')
_VERSIONS = {b"1.1": "1.1", b"1.0": "1.0"}


def read_head(head: bytes, config: Config) -> Request:
    """Return the request that a head, with the empty line it ends in, begins; raises :exc:`HttpError`."""
    _check_bytes(head, config)
    method, target, version = _parse_request_line(head, config)
    return build_request(method, target, version, _parse_fields(head), config)


def check_trailer(trailer: bytes, config: Config) -> None:
    """Raise :exc:`HttpError` for a trailer section that is none; it begins with the line end before it."""
    _check_bytes(trailer, config)
    _parse_fields(b"GET / HTTP/1.1" + trailer)


def _check_bytes(section: bytes, config: Config) -> None:
    """Refuse control bytes, each CR or LF outside a line end, and too many lines."""
    line_ends = section.count(b"\r\n")
    if len(section.translate(None, CONTROL)) != len(section) - 2 * line_ends:
        byte = next(byte for byte in section.replace(b"\r\n", b"") if byte in CONTROL)
        raise HttpError(400, f"The header contains the control byte {byte:#04x}.")
    if line_ends - 2 > config.max_headers:
        raise HttpError(431, f"More than {config.max_headers} header fields (max_headers).")


def _parse_request_line(head: bytes, config: Config) -> tuple[str, bytes, str]:
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise HttpError(400, "The request line is not of the form METHOD TARGET HTTP/1.1.")
    method, target, version = line.groups()
    if version not in _VERSIONS:
        raise HttpError(505, f"HTTP version {version.decode()} is neither 1.0 nor 1.1.")
    if len(target) > config.max_target_size:
        raise HttpError(414, f"The target exceeds {config.max_target_size} bytes (max_target_size).")
    return method.decode(), target, _VERSIONS[version]


def _parse_fields(section: bytes) -> list[tuple[bytes, bytes]]:
    fields = _Fields()
    try:
        # A new parser each time: a body or an upgrade leaves the last one in the middle of a message.
        httptools.HttpRequestParser(fields).feed_data(section)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError as error:
        raise HttpError(501, f"The method {show(section.split(b' ', 1)[0])} is not known.") from error
    except httptools.HttpParserError as error:
        raise HttpError(400, f"The header is malformed: {error}.") from error
    return fields.headers


class _Fields:
    """What ``httptools`` reports of a head."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        # 0x5F is "_": a search for bytes takes six times as long. Of what strip() takes only SP and HTAB are left here.
        if 0x5F not in name:
            self.headers.append((name.lower(), value.strip()))
