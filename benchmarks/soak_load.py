"""The load of ``benchmarks.soak``: everything at a steady pace, everything checked."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Coroutine
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.chaos.sockets import PATIENCE, close, connect, get

ECHOING, HEARING = 100, 200
PACE = 0.2
"""Seconds between two messages of one socket that echoes."""
BATCH = 20
"""Messages of the stream, each second."""
GUESTS, PAGES = 10, 20
"""Sockets that come and go, and pages, each second."""
SIZES = (16, 16, 16, 200, 2_000, 30_000)
"""Bytes of what is echoed, one of these by chance."""
LATENCIES = 100_000
"""Round trips that are remembered at most."""


class Peer(WSListener):
    """A socket that expects the numbers from 0 on, each before the blank of a message."""

    def __init__(self) -> None:
        self.expected = 0
        self.sent = 0
        self.faults: list[str] = []
        self.closed = False
        self.came = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is over."""
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """It is over, which is a fault while it is meant to stay."""
        self.closed = True
        self.came.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Compare a text with what has to come."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        number = int(frame.get_payload_as_bytes().partition(b" ")[0])
        if number != self.expected:
            self.faults.append(f"{number} came in place of {self.expected}")
        self.expected = number + 1
        self.came.set()

    def say(self, size: int) -> None:
        """Send the next number, and so many bytes."""
        self.transport.send(WSMsgType.TEXT, b"%d %s" % (self.sent, b"x" * size))
        self.sent += 1


class Load:
    """Sockets and pages of the server at ``port``; :meth:`jobs` run until they are cancelled."""

    def __init__(self, port: int) -> None:
        self._site = f"127.0.0.1:{port}"
        self._chance = random.Random(1)
        self._echoing: list[Peer] = []
        self._hearing: list[Peer] = []
        self._latencies: list[float] = []
        self._streamed = self._guests = self._pages = 0

    async def start(self) -> None:
        """Open the sockets that stay."""
        self._echoing = [await self._open("/echo/") for _ in range(ECHOING)]
        self._hearing = [await self._open("/rooms/all/") for _ in range(HEARING)]

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Return what runs side by side."""
        return [*map(self._echo, self._echoing), self._stream(), self._visit(), self._browse()]

    async def end(self) -> list[str]:
        """Wait for what is under way and return what went wrong."""
        deadline = time.monotonic() + PATIENCE
        while self._missing() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        faults = [f"{n} messages have not come" for n in [self._missing()] if n]
        for peer in (*self._echoing, *self._hearing):
            faults += peer.faults + ["a socket was closed"] * peer.closed
            if not peer.closed:
                peer.transport.disconnect()
        return faults

    def summary(self) -> str:
        """Return what it was, as a sentence."""
        third = len(self._latencies) // 3
        early, late = (statistics.median(part) * 1000 for part in (self._latencies[:third], self._latencies[-third:]))
        echoes = sum(peer.expected for peer in self._echoing)
        return (
            f"{echoes:,} echoes (median {early:.1f} ms, later {late:.1f} ms), {self._streamed:,} messages to "
            f"{HEARING} members, {self._guests:,} guests, {self._pages:,} pages"
        )

    def _missing(self) -> int:
        echoes = sum(peer.sent - peer.expected for peer in self._echoing)
        return echoes + sum(self._streamed - peer.expected for peer in self._hearing)

    async def _echo(self, peer: Peer) -> None:
        await asyncio.sleep(self._chance.random() * PACE)
        while not peer.closed:
            begun = time.monotonic()
            peer.came.clear()
            peer.say(self._chance.choice(SIZES))
            async with asyncio.timeout(PATIENCE):
                await peer.came.wait()
            self._note(time.monotonic() - begun)
            await asyncio.sleep(max(0.0, begun + PACE - time.monotonic()))

    def _note(self, latency: float) -> None:
        self._latencies.append(latency)
        if len(self._latencies) > LATENCIES:  # every second one: early and late ones stay comparable
            del self._latencies[::2]

    async def _stream(self) -> None:
        while True:
            begun = time.monotonic()
            first, self._streamed = self._streamed, self._streamed + BATCH
            await get(f"http://{self._site}/trials/stream/all/{first}/{BATCH}/")
            await asyncio.sleep(max(0.0, begun + 1 - time.monotonic()))

    async def _visit(self) -> None:
        while True:
            begun = time.monotonic()
            guests = await connect(f"ws://{self._site}/echo/", GUESTS)
            for guest in guests:
                guest.say("hello")
            for guest in guests:
                assert await guest.heard(1) == ["hello"]
                guest.reset() if self._chance.random() < 0.5 else guest.leave()
            self._guests += GUESTS
            await asyncio.sleep(max(0.0, begun + 1 - time.monotonic()))
            close(guests)

    async def _browse(self) -> None:
        while True:
            assert await get(f"http://{self._site}/") == "Hello, world"
            self._pages += 1
            await asyncio.sleep(1 / PAGES)

    async def _open(self, path: str) -> Peer:
        return await open_peer(f"ws://{self._site}{path}")


async def open_peer(url: str) -> Peer:
    """Open a socket."""
    peer = Peer()
    await ws_connect(lambda: peer, url, websocket_handshake_timeout=PATIENCE)
    return peer
