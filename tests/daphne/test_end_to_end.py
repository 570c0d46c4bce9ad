"""Server, layer and worker together, over real sockets on both event loops."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channel_layers import codec
from channel_layers.envelope import RETURNED, Envelope, done
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from channel_layers.slot import Refused
from daphne.access import Access
from daphne.config import Config
from daphne.server import Server
from tests.daphne.serving import CONNECT, DISCONNECT, RECEIVE, REQUEST, USUAL

LIMIT = 20.0
"""Seconds after which a test that waits in vain is ended."""
Reply = dict[str, Any]
Factory = Callable[[], asyncio.AbstractEventLoop]


class Worker(threading.Thread):
    """A thread that runs :func:`consume` for every message; ``seen`` is what it was given, by channel."""

    def __init__(self, layer: MemoryChannelLayer) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, list[dict[str, Any]]] = {channel: [] for channel in USUAL}
        self._layer = layer
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
            replies += [self._layer.message(envelope.owner, reply) for reply in self._consume(envelope.target, each)]
            with self._changed:
                self.seen[envelope.target].append(each)
                self._changed.notify_all()
        return [*replies, done(envelope.owner, envelope.token, RETURNED)]

    def _consume(self, channel: str, content: dict[str, Any]) -> list[Reply]:
        """Echo, broadcast, refuse and answer, as path and text ask for."""
        if channel == CONNECT:
            self._layer.group_add("all", content["reply_channel"])
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
            self._layer.send_group("all", {"text": said[4:]})
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


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def play(request: pytest.FixtureRequest) -> Iterator[Callable[[Awaitable[None]], None]]:
    """Run a coroutine on one loop and on the other, within the limit."""

    async def limited(scene: Awaitable[None]) -> None:
        async with asyncio.timeout(LIMIT):
            await scene

    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda scene: runner.run(limited(scene))


Play = Callable[[Awaitable[None]], None]


async def welcomed(client: ClientConnection) -> None:
    """Read the first message of every socket."""
    assert await client.recv() == "welcome"


def test_messages_are_echoed_in_order(play: Play) -> None:
    """Of many sockets at once, text and bytes, short and long, as fast as they can be sent."""

    async def chat(site: Site, number: int) -> None:
        messages: list[str | bytes] = [f"{number}-{index}" for index in range(100)]
        messages[50:50] = [b"\0" * 100_000, "", "ä" * 40_000]
        async with site.connect() as client:
            await welcomed(client)
            sending = asyncio.create_task(send_all(client, messages))
            assert [await client.recv() for _ in messages] == messages
            await sending

    async def send_all(client: ClientConnection, messages: list[str | bytes]) -> None:
        for message in messages:
            await client.send(message)

    async def scene() -> None:
        async with running() as site:
            await asyncio.gather(*(chat(site, number) for number in range(10)))
            codes = [content["code"] for content in await site.seen(DISCONNECT, 10)]
            assert codes == [1000] * 10
            assert site.server.lanes_size == 0

    play(scene())


def test_a_client_that_sends_more_than_a_lane_holds_loses_nothing(play: Play) -> None:
    """Its TCP waits while the worker is behind."""

    async def scene() -> None:
        limits = {"max_lane_messages": 2, "max_lane_size": 2000, "max_lanes_size": 3000}
        async with running(**limits) as site, site.connect() as client:
            await welcomed(client)
            messages = [str(index) * 100 for index in range(300)]
            for message in messages:
                await client.send(message)
            assert [await client.recv() for _ in messages] == messages

    play(scene())


def test_a_broadcast_reaches_everybody(play: Play) -> None:
    """Each member gets each message, and those of one sender in their order."""

    async def scene() -> None:
        async with running() as site:
            clients = [await site.connect() for _ in range(40)]
            for client in clients:
                await welcomed(client)
            for number in range(20):
                await clients[0].send(f"all {number}")
            for client in clients:
                assert [await client.recv() for _ in range(20)] == [str(number) for number in range(20)]
            await asyncio.gather(*(client.close() for client in clients))
            await site.seen(DISCONNECT, 40)

    play(scene())


def test_a_refused_handshake_is_403(play: Play) -> None:
    """And the application hears nothing more of it."""

    async def scene() -> None:
        async with running() as site:
            with pytest.raises(InvalidStatus) as caught:
                await site.connect("/closed")
            assert caught.value.response.status_code == 403
            async with site.connect() as client:
                await welcomed(client)
            (gone,) = await site.seen(DISCONNECT, 1)
            assert gone["path"] == "/chat"

    play(scene())


def test_a_consumer_closes_with_its_code(play: Play) -> None:
    """The client learns code and reason, and the disconnect carries what the client answered."""

    async def scene() -> None:
        async with running() as site, site.connect() as client:
            await welcomed(client)
            await client.send("close")
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "asked for")
            assert (await site.seen(DISCONNECT, 1))[0]["code"] == 4001

    play(scene())


def test_a_client_that_vanishes_is_noticed(play: Play) -> None:
    """A reset without a close frame is one disconnect with 1006."""

    async def scene() -> None:
        async with running() as site:
            client = await site.connect()
            await welcomed(client)
            client.transport.abort()
            assert (await site.seen(DISCONNECT, 1))[0]["code"] == 1006
            await client.wait_closed()

    play(scene())


def test_a_message_that_is_too_long_closes_with_1009(play: Play) -> None:
    """The answers to what came before it arrive first."""

    async def scene() -> None:
        async with running(max_message_size=1000, max_frame_size=1000) as site, site.connect() as client:
            await welcomed(client)
            await client.send("before")
            await client.send("x" * 1001)
            assert await client.recv() == "before"
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
            assert (await site.seen(DISCONNECT, 1))[0]["code"] == 1009

    play(scene())


def test_a_client_that_does_not_read_is_closed(play: Play) -> None:
    """Others get everything meanwhile; the slow one is cut when it does not answer the close frame."""

    async def scene() -> None:
        async with running(max_write_size=100_000, close_timeout=0.2) as site:
            slow = await site.connect()
            await welcomed(slow)
            slow.transport.pause_reading()
            async with site.connect() as quick:
                await welcomed(quick)
                quantity = 0
                while not site.server.losses.counts["slow client"]:
                    await quick.send("all " + "x" * 200_000)
                    assert len(await quick.recv()) == 200_000
                    quantity += 1
                (gone,) = await site.seen(DISCONNECT, 1)
                assert (gone["code"], quantity < 200) == (1006, True)
            slow.transport.abort()
            await slow.wait_closed()

    play(scene())


def test_pipelined_requests_are_answered_in_order(play: Play) -> None:
    """With and without a body, whole and in parts, until the client wants no more."""

    async def scene() -> None:
        async with running() as site:
            data = (
                b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
                b"POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
                b"GET /parts HTTP/1.1\r\nHost: a\r\n\r\n"
                b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            answer = await site.ask(data)
            positions = [answer.index(part) for part in (b"/one ", b"/two body", b"3\r\none\r\n", b"/last ")]
            assert positions == sorted(positions)
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4
            assert [access.status for access in site.log] == [200] * 4

    play(scene())


def test_many_requests_at_once_are_all_answered(play: Play) -> None:
    """Each by its own answer."""

    async def scene() -> None:
        async with running() as site:
            paths = [f"/page/{number}" for number in range(100)]
            request = "GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            answers = await asyncio.gather(*(site.ask(request.format(path).encode()) for path in paths))
            assert [answer.split()[-1].decode() for answer in answers] == paths
            assert site.server.connections == {}

    play(scene())


def test_a_server_that_stops_closes_with_1012(play: Play) -> None:
    """Every client learns that the server restarts, and every disconnect is sent."""

    async def scene() -> None:
        async with running() as site:
            clients = [await site.connect() for _ in range(10)]
            for client in clients:
                await welcomed(client)
            await site.server.stop()
            for client in clients:
                await client.wait_closed()
                assert client.close_code == 1012
            codes = [content["code"] for content in await site.seen(DISCONNECT, 10)]
            assert codes == [1012] * 10

    play(scene())
