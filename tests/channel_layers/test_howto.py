"""The interface server of docs/howto/write-an-interface-server.md serves datagrams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from channel_layers.memory import MemoryChannelLayer
from tests.documents import ROOT, blocks

PAGE = ROOT / "docs/howto/write-an-interface-server.md"


class Client(asyncio.DatagramProtocol):
    """A socket that keeps what it receives."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.received.put_nowait(data)


class Scene:
    """A server on a port of its own, its layer, and clients."""

    def __init__(self, names: dict[str, Any], server: Any) -> None:
        self.names = names
        self.server = server
        self.layer: MemoryChannelLayer = server.layer
        self.transports: list[asyncio.DatagramTransport] = []

    async def client(self) -> tuple[Client, asyncio.DatagramTransport]:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=tuple(self.server.server))
        self.transports.append(transport)
        return client, transport

    async def hear(self) -> dict[str, Any]:
        """Return the next message that a consumer would get."""
        _, content = await self.layer.areceive(["udp.receive"], block=True)
        assert content is not None
        return content


def play(scene: Callable[[Scene], Awaitable[None]], **options: Any) -> MemoryChannelLayer:
    """Run ``scene`` with a server, for ten seconds at most, and return the layer after the server has stopped."""
    names: dict[str, Any] = {"__name__": "udp"}
    for block in blocks(PAGE):
        if block.marker == "run":
            exec(compile(block.source, block.where, "exec"), names)
    layer = MemoryChannelLayer(**options)

    async def main() -> None:
        started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(names["serve"](layer, "127.0.0.1", 0, started.set_result))
        playing = Scene(names, await started)
        try:
            async with asyncio.timeout(10):
                await scene(playing)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            for transport in playing.transports:
                transport.close()

    asyncio.run(main())
    return layer


def test_a_datagram_becomes_a_message_and_a_reply_a_datagram() -> None:
    """The formats are those of the specification; every client hears its own replies only."""

    async def scene(scene: Scene) -> None:
        (one, to_server), (other, also_to_server) = await scene.client(), await scene.client()
        to_server.sendto(b"hello")
        first = await scene.hear()
        assert first["data"] == b"hello"
        assert first["client"] == list(to_server.get_extra_info("sockname"))
        assert first["server"] == scene.server.server
        assert first["reply_channel"].startswith("udp.send.")
        also_to_server.sendto(b"hi")
        second = await scene.hear()
        to_server.sendto(b"again")
        assert (await scene.hear())["reply_channel"] == first["reply_channel"] != second["reply_channel"]
        await scene.layer.asend_many(
            [(second["reply_channel"], {"data": b"two"}), (first["reply_channel"], {"data": b"one"})]
        )
        assert (await one.received.get(), await other.received.get()) == (b"one", b"two")

    play(scene)


def test_clients_can_be_members_of_groups() -> None:
    """A message to the group comes to each; a bad one is counted and comes to none."""

    async def scene(scene: Scene) -> None:
        clients = [await scene.client() for _ in range(3)]
        for _, transport in clients:
            transport.sendto(b"hello")
            await scene.layer.agroup_add("devices", (await scene.hear())["reply_channel"])
        await scene.layer.asend_group("devices", {"data": "text"})
        await scene.layer.asend_group("devices", {"data": b"all"})
        assert [await client.received.get() for client, _ in clients] == [b"all"] * 3
        assert scene.layer.losses.counts == {"reply refused": 1}

    play(scene)


def test_what_is_too_much_is_dropped_and_counted() -> None:
    """By the server where the layer is slow, by the layer where there are no workers."""

    async def scene(scene: Scene) -> None:
        scene.names["MAX_WAITING"] = 2
        for n in range(5):
            scene.server.datagram_received(b"%d" % n, ("127.0.0.1", 9))
        assert [(await scene.hear())["data"]] == [b"0"]
        assert scene.layer.losses.counts["datagram dropped"] == 3
        assert scene.layer.losses.counts["datagram refused"] == 1

    play(scene, capacity=1)


def test_silent_clients_are_forgotten() -> None:
    """Their memberships end, and a late reply comes to nobody; a client that speaks again is a new one."""

    async def scene(scene: Scene) -> None:
        client, transport = await scene.client()
        transport.sendto(b"hello")
        before = (await scene.hear())["reply_channel"]
        await scene.layer.agroup_add("devices", before)
        scene.server.forget_silent(time.monotonic() - 1)
        assert scene.server.clients.keys() == {before}
        scene.server.forget_silent(time.monotonic() + 1)
        assert not scene.server.clients
        transport.sendto(b"hello")
        after = (await scene.hear())["reply_channel"]
        assert after != before
        await scene.layer.asend(before, {"data": b"late"})
        await scene.layer.asend_group("devices", {"data": b"late"})
        await scene.layer.asend(after, {"data": b"in time"})
        assert await client.received.get() == b"in time"

    play(scene)


def test_the_server_is_known_while_it_lives() -> None:
    """It announces itself at once, and leaves nothing behind."""

    async def scene(scene: Scene) -> None:
        (process,) = await scene.layer.aprocesses()
        assert process.process == scene.layer.process

    layer = play(scene)
    assert layer.processes() == []
    assert layer.inboxes == {}


@pytest.mark.parametrize("name", ["TestMemoryChannelLayer"])
def test_the_suite_can_be_used_as_shown(name: str) -> None:
    """The class on the page about layers is collected by its name and has what the suite asks for."""
    names: dict[str, Any] = {"__name__": "layer"}
    for block in blocks(ROOT / "docs/howto/write-a-layer.md"):
        if block.marker == "run":
            exec(compile(block.source, block.where, "exec"), names)
    suite = names[name]()
    layer = suite.make_layer(expiry=5)
    layer.send("a", {})
    suite.advance(6)
    assert layer.receive(["a"]) == (None, None)
