"""The messages of HTTP and WebSocket as types, and the check of replies before they are sent.

Formats are those of the 1.x specification (text paths, lists of header pairs, all bytes lower-case). A received
message may be sent on as it is: its own keys are ignored in a reply. Any other key is an error, because a misspelt
key would otherwise be a message that never arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from channel_layers.codec import is_lazy
from channel_layers.exceptions import InvalidContent
from channel_layers.names import inbox_kind
from channel_layers.suggestions import closest

Headers = list[tuple[bytes, bytes]]

CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
"""Codes that a WebSocket close frame may carry (RFC 6455 section 7.4; 1012 to 1014 from IANA's registry)."""

WEBSOCKET_KIND = "websocket.send"
HTTP_KIND = "http.response"


class HttpRequest(TypedDict, total=False):
    """On ``http.request``. ``body`` is the beginning of the body when ``body_channel`` is given."""

    reply_channel: str
    http_version: str
    method: str
    scheme: str
    path: str
    query_string: bytes
    root_path: str
    headers: Headers
    body: bytes
    body_channel: str | None
    client: tuple[str, int] | None
    server: tuple[str, int] | None


class HttpBodyChunk(TypedDict, total=False):
    """On the request's ``body_channel``."""

    content: bytes
    offset: int
    """Bytes of the body before this chunk."""
    closed: bool
    more_content: bool


class HttpResponse(TypedDict, total=False):
    """On the request's reply channel; messages after the first have no ``status`` and ``headers``."""

    status: int
    headers: Headers
    content: bytes
    more_content: bool


class HttpDisconnect(TypedDict, total=False):
    """On ``http.disconnect``."""

    reply_channel: str
    path: str


class WebSocketConnect(TypedDict, total=False):
    """On ``websocket.connect``; ``order`` is 0."""

    reply_channel: str
    scheme: str
    path: str
    query_string: bytes
    root_path: str
    headers: Headers
    client: tuple[str, int] | None
    server: tuple[str, int] | None
    subprotocols: list[str]
    order: int


class WebSocketReceive(TypedDict, total=False):
    """On ``websocket.receive``; either ``text`` or ``bytes``."""

    reply_channel: str
    path: str
    order: int
    text: str
    bytes: bytes


class WebSocketDisconnect(TypedDict, total=False):
    """On ``websocket.disconnect``; ``code`` and ``reason`` are those of the close (RFC 6455 section 7.1.5)."""

    reply_channel: str
    path: str
    order: int
    code: int
    reason: str


class WebSocketReply(TypedDict, total=False):
    """On a socket's reply channel. ``status``, ``headers`` and ``body`` describe a refusal (``accept`` False)."""

    accept: bool
    text: str | None
    bytes: bytes | None
    close: bool | int
    reason: str | None
    subprotocol: str | None
    headers: Headers
    status: int | None
    body: bytes | None


_REPLY_KEYS = {
    WEBSOCKET_KIND: frozenset(WebSocketReply.__annotations__),
    HTTP_KIND: frozenset(HttpResponse.__annotations__) | {"status_text"},
}
_RECEIVED_KEYS = {
    WEBSOCKET_KIND: frozenset(
        WebSocketConnect.__annotations__.keys()
        | WebSocketReceive.__annotations__.keys()
        | WebSocketDisconnect.__annotations__.keys()
    ),
    HTTP_KIND: frozenset(HttpRequest.__annotations__) | frozenset(HttpBodyChunk.__annotations__),
}
_ACTING_KEYS = frozenset({"accept", "close", "headers"})
"""Keys that mean something to a WebSocket without data."""
_WEBSOCKET_PREFIX = WEBSOCKET_KIND + "."
_PROTOCOLS = {WEBSOCKET_KIND: "a WebSocket", HTTP_KIND: "an HTTP request"}


def check_reply(channel: str, content: dict[str, Any]) -> None:
    """Raise :exc:`InvalidContent` if the server that holds ``channel`` could not act on ``content``.

    The name tells the kind of connection; kinds of other protocols are not judged.
    """
    if len(content) == 1 and type(content.get("text")) is str and channel.startswith(_WEBSOCKET_PREFIX):
        return  # nearly every reply
    kind = inbox_kind(channel)
    if kind in _CHECKS:
        check_reply_of_kind(kind, content)


def check_reply_of_kind(kind: str, content: dict[str, Any]) -> None:
    """As :func:`check_reply`, for a connection of ``kind``; the server's own check of group messages."""
    if len(content) == 1 and type(content.get("text")) is str and kind == WEBSOCKET_KIND:
        return  # nearly every reply to a WebSocket
    unknown = content.keys() - _REPLY_KEYS[kind] - _RECEIVED_KEYS[kind]
    if unknown:
        names = sorted(map(str, unknown))
        raise InvalidContent(_unknown_keys(kind, names), names[0])
    _CHECKS[kind](content)


def check_effect(content: dict[str, Any]) -> None:
    """Raise :exc:`InvalidContent` if a WebSocket has nothing to do for ``content``; asked by its server.

    Senders may send such a message, since a received one may be sent on as it is: it must not go unnoticed.
    """
    if content.get("text") is None and content.get("bytes") is None and not _ACTING_KEYS & content.keys():
        keys = sorted(map(str, content))
        found = f"with nothing but {', '.join(map(repr, keys))}" if keys else "without any key"
        raise InvalidContent(
            f"a message to a WebSocket {found} does nothing: put what the client is to get into 'text' or 'bytes', "
            f"or send 'close' or 'accept'. Keys: {', '.join(sorted(_REPLY_KEYS[WEBSOCKET_KIND]))}"
        )


def _unknown_keys(kind: str, unknown: list[str]) -> str:
    known = sorted(_REPLY_KEYS[kind])
    near = closest(unknown[0], known)
    place = "text" if kind == WEBSOCKET_KIND else "content"
    hint = f"did you mean {near!r}?" if near else f"put data of your own into the {place}, as JSON for instance."
    names = ", ".join(map(repr, unknown))
    return f"a reply to {_PROTOCOLS[kind]} has no key {names}: {hint} Keys: {', '.join(known)}"


def _check_websocket(content: dict[str, Any]) -> None:
    text, data = content.get("text"), content.get("bytes")
    if text is not None and data is not None:
        raise InvalidContent("a reply to a WebSocket has 'text' or 'bytes', not both: send two messages", "bytes")
    _check_type("text", text, (str, type(None)))
    _check_type("bytes", data, (bytes, bytearray, memoryview, type(None)))
    _check_type("accept", content.get("accept", False), (bool,))
    _check_close(content.get("close", False))
    _check_type("reason", content.get("reason", ""), (str, type(None)))
    _check_type("status", content.get("status", 403), (int, type(None)))
    _check_type("body", content.get("body", b""), (bytes, bytearray, memoryview, type(None)))


def _check_close(close: object) -> None:
    _check_type("close", close, (bool, int, type(None)))
    if isinstance(close, bool) or close is None or close == 0:
        return
    assert isinstance(close, int)
    if close not in CLOSE_CODES:
        raise InvalidContent(
            f"close code {close} cannot be sent: use True (1000), 1000-1003, 1007-1014, or your own in 3000-4999",
            "close",
        )


def _check_http(content: dict[str, Any]) -> None:
    status = content.get("status", 200)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
        raise InvalidContent(f"the status of a response is a number from 100 to 999, not {status!r}", "status")
    _check_type("content", content.get("content", b""), (bytes, bytearray, memoryview))
    if "status" not in content and "content" not in content and "more_content" not in content:
        raise InvalidContent("a reply to an HTTP request begins with 'status'; nothing in this one can be sent")


def _check_type(key: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds) and not (str in kinds and is_lazy(type(value))):
        expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
        hint = "; encode it first, json.dumps(value) for instance" if key == "text" else ""
        raise InvalidContent(f"{key!r} in a reply is {expected}, not {type(value).__name__}: {value!r:.80}{hint}", key)


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    WEBSOCKET_KIND: _check_websocket,
    HTTP_KIND: _check_http,
}
