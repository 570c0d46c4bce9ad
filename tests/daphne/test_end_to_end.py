"""Server, layer and worker together, over real sockets on both event loops."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.daphne.certificates import make_certificate, trusting
from tests.daphne.serving import CONNECT, DISCONNECT
from tests.daphne.site import Play, Site, running, welcomed


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


def test_sockets_over_tls(play: Play, tmp_path: Path) -> None:
    """Text and bytes of any size pass, the application knows the scheme, and a close arrives both ways."""
    certificate = make_certificate(tmp_path, "one")

    async def scene() -> None:
        async with running() as site:
            listener = socket.create_server(("127.0.0.1", 0))
            await site.server.listen(listener, certificate.context())
            url = f"wss://127.0.0.1:{listener.getsockname()[1]}/chat"
            async with connect(url, ssl=trusting(certificate), proxy=None) as client:
                await welcomed(client)
                for message in ("hello", b"\0" * 100_000, "ä" * 40_000):
                    await client.send(message)
                    assert await client.recv() == message
                await client.send("close")
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 4001
            assert (await site.seen(CONNECT, 1))[0]["scheme"] == "wss"
            assert (await site.seen(DISCONNECT, 1))[0]["code"] == 4001

    play(scene())


def test_compressed_messages_pass(play: Play) -> None:
    """As an ordinary client offers it, both ways; a group message to members with and without it."""

    async def scene() -> None:
        async with running() as site, site.connect(compression="deflate") as small, site.connect() as plain:
            await welcomed(small)
            await welcomed(plain)
            for message in ("short", "long " * 10_000, b"\0" * 100_000, "ä" * 999):
                await small.send(message)
                assert await small.recv() == message
            await plain.send("all " + "for everybody " * 100)
            assert await small.recv() == await plain.recv() == "for everybody " * 100

    play(scene())
