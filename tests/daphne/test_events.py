"""Requests as messages: keys and their types."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daphne import events
from daphne.config import Config
from daphne.http import HttpParser, Request
from daphne.source import Address, Source
from tests.daphne.wire import CLIENT, SERVER, Transport, get

COMMON = {"query_string": b"q=%20", "root_path": "/app", "headers": [(b"host", b"testserver")]}


def parse(data: bytes) -> Request:
    """Return the request at the beginning of ``data``."""
    request = HttpParser(Config()).receive_data(data)[0]
    assert isinstance(request, Request)
    return request


def source(**extra: Any) -> Source:
    """Return what a transport with these pieces of information says."""
    return events.source_of(Transport(asyncio.Protocol(), **extra))


def test_an_http_request_has_every_key_of_its_format() -> None:
    """Text path, raw query, header pairs, both addresses; the body is added by whoever has it."""
    request = parse(get("/caf%C3%A9?q=%20"))
    content = events.http_request(request, "http.response.p!1", source(), Config(root_path="/app"))
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
    content = events.websocket_connect(parse(get("/?q=%20")), source(), Config(root_path="/app"), ["chat"])
    assert content == COMMON | {"scheme": "ws", "subprotocols": ["chat"], "client": CLIENT, "server": SERVER}


def test_tls_shows_in_the_scheme() -> None:
    """A transport that has an SSL object is encrypted."""
    encrypted = source(ssl_object=object())
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
def test_addresses(name: object, expected: Address) -> None:
    """IPv6 addresses lose flow and scope; unix sockets have none."""
    assert source(peername=name, sockname=name) == Source(expected, expected)


def test_a_proxy_may_say_where_the_application_is_mounted() -> None:
    """Also that it is at the root, whatever the configuration says."""
    config = Config(root_path="/app")
    for said, expected in ((None, "/app"), ("/elsewhere", "/elsewhere"), ("", "")):
        content = events.http_request(parse(get()), "c!1", Source(CLIENT, root_path=said), config)
        assert content["root_path"] == expected


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("websocket.disconnect", True),
        ("http.disconnect", True),
        ("websocket.receive", False),
        ("http.request", False),
    ],
)
def test_disconnects_may_go_unread(channel: str, expected: bool) -> None:
    """Every other event has a client that waits for it."""
    assert events.may_go_unread(channel) is expected
