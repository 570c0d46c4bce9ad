"""What the head of a request means: target, host, framing of the body, life of the connection (RFC 9110, RFC 9112)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from daphne.config import Config
from daphne.grammar import length_of, show

# reg-name and IP-literal of RFC 3986 §3.2.2 without the comma, which would let two joined Host fields pass as one.
_HOST = rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z\-._~%!$&'()*+;=]+)(?::[0-9]{0,5})?"
_VALID_HOST = re.compile(_HOST)
_ORIGIN = re.compile(rb"(?i:https?)://(" + _HOST + rb")(?=[/?]|\Z)")
_AS_IT_WAS = "daphne.percent"


def _percent(error: UnicodeError) -> tuple[str, int]:
    """Leave encoded what is no UTF-8, as Django does under WSGI: two different paths remain two (RFC 3987 3.2)."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_AS_IT_WAS, _percent)


class HttpError(Exception):
    """A message that is refused: answer ``status`` and close the connection.

    ``reason`` is one sentence that names value and limit and may be logged: it never shows a request target, a cookie
    or a token. ``events`` are those that the failing call of the parser had parsed before.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.events: list[Any] = []

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


# Not frozen: a frozen dataclass of this size takes three times as long to make.
@dataclass(slots=True)
class Request:
    """The head of one request.

    ``path`` is percent-decoded UTF-8 with U+FFFD for what is none and ``+`` untouched; ``target`` and ``query_string``
    are raw. Names in ``headers`` are lower-case and values are stripped; order and duplicates are as received, but
    names with ``_`` are left out, since CGI-style names could not be told from those with ``-``. For a target in
    absolute form the Host field holds the authority of the target (RFC 9112 §3.2.2). ``content_length`` is None
    without such a field; a body without it is chunked.
    """

    method: str
    target: bytes
    path: str
    query_string: bytes
    http_version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool
    expect_continue: bool
    has_body: bool
    content_length: int | None
    is_websocket: bool


def build_request(
    method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]], config: Config
) -> Request:
    """Read the meaning of a head whose grammar has been checked; raises :exc:`HttpError`."""
    fields = _combine(headers)
    _check_host(fields, version)
    authority, path, query_string = _split_target(method, target)
    if authority:
        headers = [(b"host", authority), *(field for field in headers if field[0] != b"host")]
    has_body, content_length = _read_framing(fields, version, config)
    connection = _split_list(fields.get(b"connection", b""))
    upgrade = fields.get(b"upgrade", b"")
    if upgrade:
        _check_upgrade(upgrade, method, version, connection, has_body)
    return Request(
        method,
        target,
        unquote_to_bytes(path).decode("utf-8", _AS_IT_WAS) if 0x25 in path else path.decode(),
        query_string,
        version,
        headers,
        b"close" not in connection and (version == "1.1" or b"keep-alive" in connection),
        has_body and version == "1.1" and fields.get(b"expect", b"").lower() == b"100-continue",
        has_body,
        content_length,
        bool(upgrade),
    )


def check_body_size(size: int, config: Config) -> None:
    """Raise 413 for a body of ``size`` bytes or more that is too long."""
    if size > config.max_body_size:
        raise HttpError(413, f"The body exceeds {config.max_body_size} bytes (max_body_size).")


def is_host(value: bytes) -> bool:
    """Return whether ``value`` is one host with an optional port (RFC 9110 §7.2)."""
    return _VALID_HOST.fullmatch(value) is not None


def _combine(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Fields by name, repeated ones joined as RFC 9110 §5.2 has it: two Hosts or lengths then make an invalid one."""
    fields = dict(headers)
    if len(fields) != len(headers):
        fields = {}
        for name, value in headers:
            fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
    return fields


def _check_host(fields: dict[bytes, bytes], version: str) -> None:
    host = fields.get(b"host")
    if host is None:
        if version == "1.1":
            raise HttpError(400, "An HTTP/1.1 request needs a Host field.")
    elif not is_host(host):
        raise HttpError(400, f"The Host field {show(host)} is not one host with an optional port.")


def _split_target(method: str, target: bytes) -> tuple[bytes, bytes, bytes]:
    """Authority (empty unless in absolute form), path and query string of a target (RFC 9112 §3.2)."""
    if method == "CONNECT":
        raise HttpError(501, "This server is no proxy: CONNECT is not implemented.")
    if target.startswith(b"/"):
        path, _, query_string = target.partition(b"?")
        return b"", path, query_string
    if method == "OPTIONS" and target == b"*":
        return b"", target, b""
    origin = _ORIGIN.match(target)
    if origin is None:
        raise HttpError(400, "The target is neither a path nor an http URL.")
    path, _, query_string = target[origin.end() :].partition(b"?")
    return origin[1], path or b"/", query_string


def _read_framing(fields: dict[bytes, bytes], version: str, config: Config) -> tuple[bool, int | None]:
    """Whether there is a body, and its Content-Length (RFC 9112 §6)."""
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        _check_transfer_coding(coding, length, version)
        return True, None
    if length is None:
        return False, None
    try:
        size = length_of(length)
    except ValueError as error:
        raise HttpError(400, str(error)) from error
    check_body_size(size, config)
    return size > 0, size


def _check_transfer_coding(coding: bytes, length: bytes | None, version: str) -> None:
    if length is not None:
        raise HttpError(400, "Content-Length and Transfer-Encoding exclude each other.")
    if version == "1.0":
        raise HttpError(400, "HTTP/1.0 has no Transfer-Encoding.")
    codings = _split_list(coding)
    if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
        raise HttpError(400, f"Transfer-Encoding {show(coding)} does not end in one chunked.")
    if len(codings) > 1:
        raise HttpError(501, f"Of Transfer-Encoding {show(coding)} only chunked is implemented.")


def _check_upgrade(upgrade: bytes, method: str, version: str, connection: list[bytes], has_body: bool) -> None:
    """Refuse any upgrade but a WebSocket's, though RFC 9110 §7.8 lets a server ignore it.

    Parsers, and proxies in front, disagree on what follows such a request: another one or the new protocol.
    """
    if has_body:
        raise HttpError(400, f"A request to upgrade to {show(upgrade)} must not have a body.")
    if b"websocket" not in _split_list(upgrade):
        raise HttpError(400, f"A connection can become a WebSocket, not {show(upgrade)}.")
    if method != "GET" or version != "1.1":
        raise HttpError(400, f"A WebSocket is opened by GET over HTTP/1.1, not by {method} over HTTP/{version}.")
    if b"upgrade" not in connection:
        raise HttpError(400, "A WebSocket needs the field Connection: Upgrade; a proxy must pass it on.")


def _split_list(value: bytes) -> list[bytes]:
    """The members of a list of tokens, lower-case."""
    return list(map(bytes.strip, value.lower().split(b",")))
