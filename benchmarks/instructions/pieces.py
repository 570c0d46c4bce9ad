"""What is counted: hot paths of one message, each as a function that can be called again and again."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import django
import msgspec

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site.settings"
django.setup()

from benchmarks.load import frames as client  # noqa: E402 -- needs settings, as what follows
from channel_layers import codec  # noqa: E402
from channel_layers.envelope import Envelope  # noqa: E402
from channel_layers.redis import protocol  # noqa: E402
from channels import Group, route  # noqa: E402
from channels.layers import channel_layers  # noqa: E402
from channels.message import Message  # noqa: E402
from channels.request import AsgiRequest  # noqa: E402
from channels.routing import Router  # noqa: E402
from daphne import events, frames, framing, handshake  # noqa: E402
from daphne.config import Config  # noqa: E402
from daphne.http import HttpParser  # noqa: E402
from daphne.request import Request  # noqa: E402
from daphne.response import Response  # noqa: E402
from daphne.source import Source  # noqa: E402

Piece = Callable[[], object]

CONFIG: Final = Config()
LAYER: Final = channel_layers["default"]
TEXT: Final = {
    "reply_channel": "daphne.response.aBcDeFgH!iJkLmNoP",
    "path": "/rooms/one/",
    "order": 7,
    "text": "x" * 32,
}
HEAD: Final = (
    b"GET /rooms/one/?page=2 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip, br\r\n"
    b"Cookie: sessionid=abcdefghijklmnopqrstuvwxyz012345\r\n"
)
UPGRADE: Final = (
    HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


SOURCE: Final = Source(("127.0.0.1", 50000), ("127.0.0.1", 8000))


def nothing() -> None:
    """Do nothing: what calling costs, which is subtracted from the others."""


def encode() -> object:
    """Encode a WebSocket message as interface servers send it."""
    return codec.encode(TEXT)


def decode() -> Piece:
    """Decode it."""
    encoded = codec.encode(TEXT)
    return lambda: codec.decode(encoded)


def nested() -> Piece:
    """Encode and decode what has lists and dicts in it."""
    content = {"type": "rows", "rows": [{"id": number, "tags": ["a", "b"]} for number in range(10)]}
    return lambda: codec.decode(codec.encode(content))


def frame_in() -> Piece:
    """Parse a short masked text frame."""
    parser, data = _parser(), client.masked(client.TEXT, b"x" * 32)
    return lambda: parser.receive_data(data)


def frame_in_long() -> Piece:
    """Parse a text frame of 1 KiB that arrives in two parts."""
    parser, data = _parser(), client.masked(client.TEXT, b"x" * 1024)
    first, rest = data[:700], data[700:]
    return lambda: (parser.receive_data(first), parser.receive_data(rest))


def frame_out() -> object:
    """Make a short text frame."""
    return framing.text_frame("x" * 32)


def http_in() -> Piece:
    """Parse a request and make its message."""
    parser, data = HttpParser(CONFIG), HEAD + b"\r\n"
    return lambda: [
        events.http_request(event, "daphne.response.a!b", SOURCE, CONFIG)
        for event in parser.receive_data(data)
        if isinstance(event, Request)
    ]


def http_out() -> object:
    """Make a response."""
    response = Response("GET", "1.1", True)
    return response.start(200, [(b"Content-Type", b"text/html; charset=utf-8")], b"Hello, world", more_content=False)


def upgrade() -> Piece:
    """Check a handshake and make its message."""
    request = _request(UPGRADE)

    def accept() -> object:
        offer = handshake.read_offer(request)
        return events.websocket_connect(request, SOURCE, CONFIG, offer.subprotocols)

    return accept


def routed() -> Piece:
    """Make a message and find its route, the twentieth for its channel, with a captured name."""
    rooms = [route("websocket.receive", _consumer, path=rf"^/kind{number}/(?P<room>\w+)/$") for number in range(19)]
    router = Router([*rooms, route("websocket.receive", _consumer, path=r"^/rooms/(?P<room>\w+)/$")])
    return lambda: router.find(Message(TEXT, "websocket.receive", LAYER))


def group_send() -> None:
    """Send to a group of nobody, over the memory layer: names, codec, envelope."""
    Group("room-one").send({"text": "x" * 32}, immediately=True)


def command() -> Piece:
    """Make an envelope and a command that carries it, and read the reply."""
    content, parser = codec.encode(TEXT), protocol.Parser()

    def exchanged() -> object:
        entry = encoder.encode(Envelope(1, "websocket.receive", content, "daphne.response.a!b", 7))
        return protocol.pack("EVALSHA", "0" * 40, 2, "a", "b", entry, 7, 1.5), parser.replies(b"$2\r\nok\r\n")

    encoder = msgspec.msgpack.Encoder()
    return exchanged


def django_request() -> Piece:
    """Make Django's request of a message."""
    content = events.http_request(_request(HEAD + b"\r\n"), "daphne.response.a!b", SOURCE, CONFIG)
    return lambda: AsgiRequest(Message(dict(content), "http.request", LAYER))


def _consumer(message: Message, **kwargs: Any) -> None:
    """Stand in a route."""


def _parser() -> frames.FrameParser:
    return frames.FrameParser(1 << 20, 1 << 20, 1024)


def _request(data: bytes) -> Request:
    return next(event for event in HttpParser(CONFIG).receive_data(data) if isinstance(event, Request))


PIECES: Final[dict[str, Piece]] = {
    "nothing": nothing,
    "codec: encode": encode,
    "codec: decode": decode(),
    "codec: nested, there and back": nested(),
    "WebSocket: a short frame in": frame_in(),
    "WebSocket: a frame of 1 KiB in two parts": frame_in_long(),
    "WebSocket: a short frame out": frame_out,
    "WebSocket: handshake": upgrade(),
    "HTTP: request in": http_in(),
    "HTTP: response out": http_out,
    "routing: message and route": routed(),
    "arguments: an envelope in a command": command(),
    "group: send": group_send,
    "Django: request": django_request(),
}
