"""One server for all tests, and one of its own for those that end it: the embedded layer's program, and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from channel_layers.local.binary import BINARY
from channel_layers.redis import RedisChannelLayer
from tests.channel_layers.redis.server import RedisServer, TlsServer
from tests.runserver import free_port
from tests.services import require

_prefixes = count(1)


@pytest.fixture(scope="session", params=["embedded", "redis-server"])
def program(request: pytest.FixtureRequest) -> str:
    """The server that the embedded layer brings along, and then the one that the system has."""
    return BINARY if request.param == "embedded" else require("redis-server")


def port_of(program: str) -> int:
    """The system's server is reached over TCP, the embedded one as the embedded layer reaches it."""
    return 0 if program == BINARY else free_port()


@pytest.fixture(scope="session")
def server(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that lives as long as the tests."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), program, port_of(program))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_server(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that a test may end and start as it likes."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), program, port_of(program))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A server that speaks TLS, and that a test may end."""
    server = TlsServer(tmp_path_factory.mktemp("tls"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"test{next(_prefixes)}:"


@pytest.fixture
def new_layer(server: RedisServer, prefix: str) -> Iterator[Callable[..., RedisChannelLayer]]:
    """Layers that share a prefix of the test's own."""
    made: list[RedisChannelLayer] = []

    def new(**options: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(**{"hosts": server.url, "prefix": prefix, **options}))
        return made[-1]

    yield new
    for layer in made:
        layer.close()


@pytest.fixture
def layer(new_layer: Callable[..., RedisChannelLayer]) -> RedisChannelLayer:
    """A layer with its default options."""
    return new_layer()
