"""Requests as messages: keys and their types."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daphne import events
from daphne.config import Config
from daphne.http import HttpParser, Request
from tests.daphne.wire import CLIENT, SERVER, Transport, get

COMMON = {"query_string": b"q=%20", "root_path": "/app", "headers": [(b"host", b"testserver")]}


def parse(data: bytes) -> Request:
    """Return the request at the beginning of ``data``."""
    request = HttpParser(Config()).receive_data(data)[0]
    assert isinstance(request, Request)
    return request


def transport(**extra: Any) -> Transport:
    """Return a transport with these pieces of information."""
    return Transport(asyncio.Protocol(), **extra)


def test_an_http_request_has_every_key_of_its_format() -> None:
    """Text path, raw query, header pairs, both addresses; the body is added by whoever has it."""
    request = parse(get("/caf%C3%A9?q=%20"))
    content = events.http_request(request, "http.response.p!1", transport(), Config(root_path="/app"))
    assert content == COMMON | {
        "reply_channel": "http.response.p!1",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café",
        "client": CLIENT,
        "server": SERVER,
    }


def test_a_handshake_has_every_key_that_its_lane_does_not_add() -> None:
    """Scheme and subprotocols take the place of what only HTTP has."""
    content = events.websocket_connect(parse(get("/?q=%20")), transport(), Config(root_path="/app"), ["chat"])
    assert content == COMMON | {"scheme": "ws", "subprotocols": ["chat"], "client": CLIENT, "server": SERVER}


def test_tls_shows_in_the_scheme() -> None:
    """A transport that has an SSL object is encrypted."""
    encrypted = transport(ssl_object=object())
    assert events.http_request(parse(get()), "c!1", encrypted, Config())["scheme"] == "https"
    assert events.websocket_connect(parse(get()), encrypted, Config(), [])["scheme"] == "wss"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (("192.0.2.7", 1), ("192.0.2.7", 1)),
        (("2001:db8::7", 1, 0, 0), ("2001:db8::7", 1)),
        ("/run/daphne.sock", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses(name: object, expected: object) -> None:
    """IPv6 addresses lose flow and scope; unix sockets have none."""
    assert events.peer_of(transport(peername=name)) == expected
