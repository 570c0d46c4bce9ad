"""A server with a worker over real sockets, for tests of both together."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from channel_layers import codec
from channel_layers.envelope import RETURNED, Envelope, done
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channel_layers.slot import Refused
from daphne.access import Access
from daphne.config import Config
from daphne.server import Server
from tests.daphne.serving import CONNECT, RECEIVE, REQUEST, USUAL

LIMIT = 20.0
"""Seconds after which a test that waits in vain is ended."""
Reply = dict[str, Any]
Play = Callable[[Awaitable[None]], None]
"""Runs a coroutine on an event loop, within the limit."""


class Worker(threading.Thread):
    """A thread that runs :func:`consume` for every message; ``seen`` is what it was given, by channel."""

    def __init__(self, layer: MemoryChannelLayer) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, list[dict[str, Any]]] = {channel: [] for channel in USUAL}
        self.layer = layer
        self._slot = layer.open_slot()
        self._ends = False
        self._changed = threading.Condition()
        layer.announce(Announcement("worker", USUAL, slots=1))

    def run(self) -> None:
        while not self._ends:
            replies: list[Envelope] = []
            for envelope in self._slot.take(dict.fromkeys(USUAL, 16), 16, LIMIT):
                replies += self._run_one(envelope)
            refused: list[Refused] = self._slot.settle(replies)
            assert refused == []

    def stop(self) -> None:
        """End the thread."""
        self._ends = True
        self._slot.interrupt()
        self.join(LIMIT)
        assert not self.is_alive()
        self._slot.close()

    def wait_for(self, channel: str, number: int) -> list[dict[str, Any]]:
        """Return what came on ``channel`` once there are ``number`` messages."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen[channel]) >= number, LIMIT)
            return self.seen[channel]

    def _run_one(self, envelope: Envelope) -> list[Envelope]:
        content = codec.decode(envelope.content)
        replies = []
        for each in content if isinstance(content, list) else [content]:
            replies += [self.layer.message(envelope.owner, reply) for reply in self._consume(envelope.target, each)]
            with self._changed:
                self.seen[envelope.target].append(each)
                self._changed.notify_all()
        return [*replies, done(envelope.owner, envelope.token, RETURNED)]

    def _consume(self, channel: str, content: dict[str, Any]) -> list[Reply]:
        """Echo, broadcast, refuse and answer, as path and text ask for."""
        if channel == CONNECT:
            self.layer.group_add("all", content["reply_channel"])
            return [{"accept": False}] if content["path"] == "/closed" else [{"text": "welcome"}]
        if channel == RECEIVE:
            return self._said(content)
        if channel == REQUEST:
            return self._answer(content)
        return []

    def _said(self, content: dict[str, Any]) -> list[Reply]:
        said = content.get("text")
        if said == "close":
            return [{"close": 4001, "reason": "asked for"}]
        if said is not None and said.startswith("all "):
            self.layer.send_group("all", {"text": said[4:]})
            return []
        return [{"text": said}] if said is not None else [{"bytes": content["bytes"]}]

    def _answer(self, content: dict[str, Any]) -> list[Reply]:
        if content["path"] == "/parts":
            return [{"status": 200, "content": b"one", "more_content": True}, {"content": b"two"}]
        return [{"status": 200, "content": content["path"].encode() + b" " + content["body"]}]


class Site:
    """A server that runs, where it is, and what it has logged."""

    def __init__(self, server: Server, worker: Worker, port: int, log: list[Access]) -> None:
        self.server = server
        self.worker = worker
        self.port = port
        self.log = log
        self.cycles = 0

    def connect(self, path: str = "/chat", compression: str | None = None) -> connect:
        """Open a WebSocket as an ordinary client does, without a proxy."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, compression=compression)

    async def seen(self, channel: str, number: int) -> list[dict[str, Any]]:
        """Wait for messages that the worker is given."""
        return await asyncio.to_thread(self.worker.wait_for, channel, number)

    async def ask(self, data: bytes) -> bytes:
        """Send requests of which the last closes the connection, and return everything that is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Site]:
    """Run a server and a worker."""
    layer = MemoryChannelLayer()
    worker = Worker(layer)
    worker.start()
    log: list[Access] = []
    server = Server(layer, Config(**options), log.append)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start([listener])
    try:
        yield Site(server, worker, listener.getsockname()[1], log)
    finally:
        await server.stop()
        await asyncio.to_thread(worker.stop)
    assert (len(server.handshakes), server.bodies_size, server.paused) == (0, 0, {})
    assert server.admitted.count == 0


async def welcomed(client: ClientConnection) -> None:
    """Read the first message of every socket."""
    assert await client.recv() == "welcome"
