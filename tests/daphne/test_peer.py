"""Who is at the other end of a connection, and for whom its requests count."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daphne.admission import Connections, Refusal
from daphne.config import Config
from daphne.forwarded import Proxies
from daphne.peer import Peer
from daphne.source import REQUEST_ID, Headers, Source
from tests.daphne.wire import CLIENT, SERVER, Transport

OTHER = "198.51.100.4"
FORWARDED = (b"x-forwarded-for", OTHER.encode())


class Scene:
    """A server that lets one connection of each client in, and what it knows of proxies."""

    def __init__(self, *proxies: str, **options: Any) -> None:
        self.config = Config(max_connections_per_address=1, **options)
        self.admitted = Connections(self.config)
        self.proxies = Proxies(proxies, ["x-forwarded-for"])

    def peer(self, given: Source | None = None) -> Peer:
        """Return the other end of a new connection."""
        return Peer(cast("Any", self), Transport(asyncio.Protocol()), given)


def identified(peer: Peer, *headers: tuple[bytes, bytes]) -> tuple[Refusal | None, Source, Headers]:
    """Let ``peer`` send a request; return why that is one too many, where it is from, and the headers that are left."""
    request: Any = SimpleNamespace(headers=list(headers))
    source = peer.source.copy()
    return peer.identify(request, source), source, request.headers


def test_a_client_counts_from_its_connection_on() -> None:
    """Its second one is told so with whatever it asks, and leaves no gap when it ends."""
    scene = Scene()
    first, second = scene.peer(), scene.peer()
    assert (first.source, first.is_proxy, first.refusal) == (Source(CLIENT, SERVER), False, None)
    assert second.refusal is not None
    assert identified(second)[0] is second.refusal
    assert identified(first)[0] is None
    second.leave()
    assert scene.admitted.count == 1
    first.request_ended()
    assert scene.peer().refusal is not None
    first.leave()
    assert scene.peer().refusal is None


def test_a_proxy_counts_for_the_client_of_each_request() -> None:
    """From the head of the request to its end, whichever of its connections that comes through."""
    scene = Scene("192.0.2.0/24")
    one, other = scene.peer(), scene.peer()
    assert one.is_proxy
    refusal, source, _ = identified(one, FORWARDED)
    assert (refusal, source.client) == (None, (OTHER, 0))
    assert one.source.client == CLIENT
    refusal, _, _ = identified(other, FORWARDED)
    assert refusal is not None
    assert refusal.status == 429
    one.request_ended()
    assert identified(other, FORWARDED)[0] is None


def test_a_client_speaks_for_nobody() -> None:
    """What it says of others is taken away; where there are no proxies at all, it is the application's affair."""
    _, source, headers = identified(Scene("10.0.0.1").peer(), FORWARDED)
    assert source.client == CLIENT
    assert [name for name, _ in headers] == [REQUEST_ID]
    _, source, headers = identified(Scene().peer(), FORWARDED)
    assert source.client == CLIENT
    assert FORWARDED in headers


@pytest.mark.parametrize(
    ("proxies", "options", "kept"),
    [([], {}, True), (["192.0.2.0/24"], {}, True), (["10.0.0.1"], {}, False), ([], {"request_ids": False}, True)],
)
def test_who_may_name_a_request(proxies: list[str], options: dict[str, Any], kept: bool) -> None:
    """A proxy, and where there is none anybody; without names of our own a header is one like any other."""
    _, source, headers = identified(Scene(*proxies, **options).peer(), (REQUEST_ID, b"abc"))
    assert (headers == [(REQUEST_ID, b"abc")]) is kept
    assert (source.request_id == "abc") is (kept and not options)


def test_a_source_that_is_given_counts() -> None:
    """Whoever accepts connections for the server knows better where they come from."""
    given = Source((OTHER, 1))
    assert Scene("192.0.2.0/24").peer(given).source is given
