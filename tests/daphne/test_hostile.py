"""Clients that mean no good, and too many that do: what they get, and what everybody else notices of it."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import zlib
from typing import Any, cast

import pytest

from tests.daphne.serving import CONNECT, DISCONNECT, serving
from tests.daphne.site import Play, Site, running, welcomed
from tests.daphne.virtual_time import elapse
from tests.daphne.wire import (
    BINARY,
    CLOSE,
    MASK,
    PING,
    TEXT,
    Frame,
    close,
    frame,
    read_answer,
    read_frames,
    text,
    upgrade,
)
from tests.services import many_files

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"


class Raw(asyncio.Protocol):
    """A client that sends what the test says and keeps what comes. ``opened`` is done with the 101."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = asyncio.get_running_loop().create_future()
        self.opened = asyncio.get_running_loop().create_future()
        self._wanted: tuple[int, asyncio.Future[None]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.opened.done() and b"\r\n\r\n" in self.received:
            head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
            self.received = bytearray(rest)
            self.opened.set_result(int(head[9:12]))
        if self._wanted is not None and len(self.received) >= self._wanted[0]:
            self._wanted[1].set_result(None)
            self._wanted = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)
        if not self.opened.done():
            self.opened.set_exception(exc or EOFError("closed before its answer"))

    async def holds(self, size: int) -> None:
        """Wait until so many bytes have come."""
        if len(self.received) < size:
            future = asyncio.get_running_loop().create_future()
            self._wanted = size, future
            await future

    def frames(self) -> list[Frame]:
        """Return the frames that have come."""
        return read_frames(bytes(self.received))


async def arrive(site: Site, *lines: str, buffer: int = 0) -> Raw:
    """Connect and send a handshake; ``buffer`` is how much the system may keep for the client."""
    sock = socket.socket()
    sock.setblocking(False)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", site.port))
    _, client = await loop.create_connection(Raw, sock=sock)
    client.transport.write(upgrade("/chat", *lines))
    return client


async def enter(site: Site, *lines: str, buffer: int = 0) -> Raw:
    """Return a client that was let in and welcomed."""
    client = await arrive(site, *lines, buffer=buffer)
    assert await client.opened == 101
    await client.holds(len(b"\x81\x07welcome"))
    client.received.clear()
    return client


# -- too many at once --------------------------------------------------------------------------------------------------


def test_five_thousand_handshakes_at_once_all_succeed(play: Play) -> None:
    """Against a hundred in flight: none is refused or reset, and an open socket is served in between."""

    async def scene() -> None:
        async with running(max_handshakes=100) as site, site.connect() as guest:
            await welcomed(guest)
            crowd = asyncio.gather(*(arrive(site) for _ in range(5000)))
            answered = 0
            while not crowd.done():
                await guest.send(str(answered))
                assert await guest.recv() == str(answered)
                answered += 1
            clients = await crowd
            assert await asyncio.gather(*(client.opened for client in clients)) == [101] * 5000
            assert answered
            for client in clients:
                client.transport.abort()
            await asyncio.gather(*(client.lost for client in clients))

    with many_files(10_500):
        play(scene())


def test_one_client_that_never_reads_costs_the_others_nothing(play: Play) -> None:
    """Nine hundred and ninety-nine get every message; what is kept for the one that does not is bounded."""
    number, size, limit = 1000, 4000, 200_000

    async def scene() -> None:
        async with running(max_write_size=limit, close_timeout=0.2) as site:
            slow = await enter(site)
            slow.transport.pause_reading()
            [connect] = await site.seen(CONNECT, 1)
            others = await asyncio.gather(*(enter(site) for _ in range(number - 1)))
            socket: Any = site.server.connections[connect["reply_channel"]]
            while socket._backlog is None:
                await site.worker.layer.asend(socket.channel, {"bytes": bytes(60_000)})
                await asyncio.sleep(0.001)  # until the system keeps no more for it
            sent = 0
            while not site.server.losses.counts["slow client"]:
                text = f"{sent:04}" * (size // 4)
                await site.worker.layer.asend_group("all", {"text": text})
                await asyncio.gather(*(client.holds(size + 4) for client in others))
                assert all(client.frames() == [(TEXT, text.encode())] for client in others)
                for client in others:
                    client.received.clear()
                assert kept_for(socket) <= limit + size
                sent += 1
            assert sent > 5
            [gone] = await site.seen(DISCONNECT, 1)
            assert (gone["reply_channel"], gone["code"]) == (socket.channel, 1006)
            for client in (slow, *others):
                client.transport.abort()

    with many_files(2500):
        play(scene())


def kept_for(socket: Any) -> int:
    """Return how many bytes are kept for one client."""
    backlog = socket._backlog
    return int(socket._transport.get_write_buffer_size()) + (backlog.size if backlog else 0)


def test_cycles_of_connect_and_disconnect_leave_nothing_behind(play: Play) -> None:
    """After a thousand of them as much is allocated as after the first hundreds, within 5 %."""

    async def cycles(site: Site, number: int) -> int:
        for _ in range(number // 50):
            clients = await asyncio.gather(*(enter(site) for _ in range(50)))
            for client in clients:
                client.transport.abort()
            await asyncio.gather(*(client.lost for client in clients))
        await site.seen(DISCONNECT, site.cycles + number)
        site.cycles += number
        site.log.clear()
        for seen in site.worker.seen.values():
            seen[:] = [{}] * len(seen)
        while site.server.connections:  # noqa: ASYNC110 - the last event is settled soon, and nobody tells
            await asyncio.sleep(0)
        gc.collect()
        return sys.getallocatedblocks()

    async def scene() -> None:
        async with running() as site:
            before = await cycles(site, 300)
            after = await cycles(site, 1000)
            assert after < before * 1.05

    play(scene())


# -- too much at once --------------------------------------------------------------------------------------------------

GIANT = b"\x82\xff" + (2**62).to_bytes(8) + MASK


def fragments(number: int) -> bytes:
    """Return a message in so many frames of one byte, without its end."""
    return frame(TEXT, b"a", fin=False) + frame(0, b"a", fin=False) * (number - 1)


def bomb() -> bytes:
    """Return a compressed message of 100 KiB that stands for 100 MiB."""
    compressor = zlib.compressobj(9, wbits=-15)
    data = compressor.compress(bytes(100 << 20)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(0x40 | BINARY, data[:-4])


ATTACKS = {
    "giant frame": (GIANT, 1009),
    "a million fragments": (fragments(1_000_000), 1008),
    "deflate bomb": (bomb(), 1009),
    "message in large frames": (frame(BINARY, bytes(600_000), fin=False) + frame(0, bytes(600_000)), 1009),
    "unmasked": (b"\x81\x05hello", 1002),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_closed_with_its_code(play: Play, attack: str) -> None:
    """What came before it is answered, the application hears of the end once, others are served."""
    data, code = ATTACKS[attack]

    async def scene() -> None:
        async with running() as site, site.connect() as guest:
            await welcomed(guest)
            client = await enter(site, OFFER)
            client.transport.write(text("before") + data)
            await client.lost
            before, end = client.frames()
            assert (before, end.opcode, end.payload[:2]) == ((TEXT, b"before"), CLOSE, close(code))
            [gone] = await site.seen(DISCONNECT, 1)
            assert (gone["code"], gone["order"]) == (code, 2)
            await guest.send("served")
            assert await guest.recv() == "served"

    play(scene())


def test_a_flood_of_pings_is_answered_and_passes(play: Play) -> None:
    """Each by its own pong, while another socket is served."""

    async def scene() -> None:
        async with running() as site, site.connect() as guest:
            await welcomed(guest)
            client = await enter(site)
            for _ in range(20):
                client.transport.write(frame(PING, b"flood") * 1000)
                await guest.send("served")
                assert await guest.recv() == "served"
            await client.holds(20_000 * len(b"\x8a\x05flood"))
            client.transport.abort()

    play(scene())


# -- too slowly --------------------------------------------------------------------------------------------------------


async def test_a_handshake_that_never_ends_is_answered_408() -> None:
    """A byte a second keeps nothing open beyond the limit (head_timeout)."""
    async with serving(head_timeout=20) as rig:
        client = rig.connect()
        for byte in upgrade():
            if client.is_closing():
                break
            client.feed(bytes([byte]))
            await elapse(1)
        assert read_answer(client.written).status == 408
        assert client.lost


async def test_peers_that_vanish_without_a_word_are_noticed() -> None:
    """A thousand of them, in the time of a ping and its pong; each has its disconnect."""
    async with serving(ping_interval=20, ping_timeout=30) as rig:
        for _ in range(1000):
            await rig.open("all")
        await elapse(20 + 20 + 30 + 2)
        assert rig.layer.group_channels("all") == []
        codes = []
        while rig.depth(DISCONNECT):
            job = await rig.job(DISCONNECT)
            codes.append(job.content["code"])
            job.end()
        assert codes == [1006] * 1000
