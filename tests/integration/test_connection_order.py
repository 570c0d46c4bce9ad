"""Five hundred sockets and eight workers that are slow by chance: each connection's events are in order."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.signals import connection_created
from websockets.asyncio.client import connect

from channel_layers.base import BaseChannelLayer
from channel_layers.memory import MemoryChannelLayer
from channel_layers.redis import RedisChannelLayer
from channels.auth import channel_session_user
from channels.message import Message
from channels.routing import Route
from channels.sessions import channel_session, enforce_ordering
from daphne.config import Config
from daphne.server import Server
from tests.channel_layers.redis.server import RedisServer
from tests.channels.workers import layer_of, working

SOCKETS, WORKERS, FRAMES = 500, 8, 3
DELAY = 0.02
"""Seconds that a consumer takes at most."""
LIMIT = 60.0
EVENTS = ["websocket.connect", *["websocket.receive"] * FRAMES, "websocket.disconnect"]


class Record:
    """What consumers were called with, by connection, and whether two of one connection ever ran at a time."""

    def __init__(self) -> None:
        self.events: dict[str, list[tuple[str, int, Any]]] = defaultdict(list)
        self.overlaps: list[str] = []
        self.ended = 0
        self._running: set[str] = set()
        self._changed = threading.Condition()
        self._random = random.Random(20)

    def note(self, message: Message) -> None:
        """Be slow by chance, and count in the session of the connection."""
        name = message["reply_channel"]
        with self._changed:
            if name in self._running:
                self.overlaps.append(name)
            self._running.add(name)
        time.sleep(self._random.uniform(0, DELAY))
        number = message.channel_session["count"] = message.channel_session.get("count", 0) + 1
        with self._changed:
            self._running.discard(name)
            self.events[name].append((message.channel_name, message["order"], number))
            self.ended += message.channel_name == "websocket.disconnect"
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until every connection has ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.ended == SOCKETS, LIMIT), self.ended


@contextmanager
def memory(directory: Path) -> Iterator[Callable[[], BaseChannelLayer]]:
    """One layer for all."""
    layer = MemoryChannelLayer()
    yield lambda: layer


@contextmanager
def redis(directory: Path) -> Iterator[Callable[[], BaseChannelLayer]]:
    """A layer for each, as for processes of their own."""
    server = RedisServer(directory)
    server.start()
    with ExitStack() as stack:

        def make() -> BaseChannelLayer:
            layer = RedisChannelLayer(hosts=server.url)
            stack.callback(layer.close)
            return layer

        yield make
    server.kill()


@pytest.fixture
def _no_database() -> Iterator[None]:
    """Nobody opens a connection to a database, so nobody makes a query."""
    opened: list[Any] = []

    def note(**kwargs: Any) -> None:
        opened.append(threading.current_thread().name)

    connection_created.connect(note)
    yield
    connection_created.disconnect(note)
    assert opened == []


@pytest.mark.usefixtures("_no_database")
@pytest.mark.parametrize(
    ("layers", "decorate"),
    [(memory, enforce_ordering), (redis, channel_session), (redis, enforce_ordering(slight=True))],
    ids=["memory, strict", "redis, none", "redis, slight"],
)
def test_every_connection_is_in_order(tmp_path: Path, layers: Any, decorate: Callable[[Any], Any]) -> None:
    """One at a time, from connect to disconnect, each with the session of the one before, and without a query."""
    record = Record()
    consumer = channel_session_user(decorate(record.note))
    route = Route(["websocket.connect", "websocket.receive", "websocket.disconnect"], consumer)
    with layers(tmp_path) as make, ExitStack() as stack:
        for _ in range(WORKERS):
            stack.enter_context(working(layer_of(route, layer=make())))
        asyncio.run(asyncio.wait_for(visit(make(), record), LIMIT))
    assert record.overlaps == []
    expected = [(event, number, number + 1) for number, event in enumerate(EVENTS)]
    assert list(record.events.values()) == [expected] * SOCKETS


async def visit(layer: BaseChannelLayer, record: Record) -> None:
    """Serve, open all sockets, say something on each without a wait, and close them."""
    server = Server(layer, Config(), lambda access: None)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start([listener])
    try:
        await asyncio.gather(*(talk(listener.getsockname()[1]) for _ in range(SOCKETS)))
        await asyncio.to_thread(record.wait)
    finally:
        await server.stop()


async def talk(port: int) -> None:
    """One client: its frames leave as fast as they can."""
    async with connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None, open_timeout=LIMIT) as client:
        for number in range(FRAMES):
            await client.send(str(number))
