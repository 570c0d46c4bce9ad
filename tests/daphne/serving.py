"""A server in virtual time on the in-memory layer, and a worker that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from channel_layers import codec
from channel_layers.envelope import RETURNED, done
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemorySlot
from channel_layers.registry import HEARTBEAT_INTERVAL, Announcement
from daphne.access import Access
from daphne.access_format import as_text
from daphne.config import Config
from daphne.http_connection import HttpConnection
from daphne.server import Server
from tests.daphne.virtual_time import idle
from tests.daphne.wire import Frame, Transport, frame, read_frames, text, upgrade

CONNECT, RECEIVE, DISCONNECT = "websocket.connect", "websocket.receive", "websocket.disconnect"
REQUEST, HTTP_DISCONNECT = "http.request", "http.disconnect"
SOCKETS: Final = (CONNECT, RECEIVE, DISCONNECT)
USUAL: Final = (*SOCKETS, REQUEST)
"""What a worker reads that has consumers for everything but ``http.disconnect``."""


class Job:
    """An entry that a worker has taken, and what it can do about it."""

    def __init__(self, layer: MemoryChannelLayer, slot: MemorySlot) -> None:
        self.envelope = slot.claimed[0]
        content = codec.decode(self.envelope.content)
        self.contents: list[dict[str, Any]] = content if isinstance(content, list) else [content]
        self.reply_channel: str = self.contents[0].get("reply_channel", "")
        self._layer = layer
        self._slot = slot

    @property
    def content(self) -> dict[str, Any]:
        """The content of an entry that is one message."""
        assert len(self.contents) == 1
        return self.contents[0]

    def send(self, *contents: dict[str, Any]) -> None:
        """Reply to the connection."""
        for content in contents:
            self._layer.send(self.reply_channel, content)

    def join(self, group: str) -> None:
        """Add the connection to ``group``."""
        self._layer.group_add(group, self.reply_channel)

    def end(
        self,
        *replies: dict[str, Any],
        outcome: int = RETURNED,
        handled: int = 0,
        session: bytes | None = None,
    ) -> None:
        """Finish the entry behind ``replies``."""
        self.send(*replies)
        envelope = self.envelope
        self._slot.settle([done(envelope.owner, envelope.token, outcome, handled, session)])
        self._slot.close()

    def end_with(self, reply: dict[str, Any], session: bytes | None = None) -> None:
        """Finish the entry with ``reply`` itself, as a worker does for one answer."""
        message = self._layer.message(self.reply_channel, reply)
        message.token, message.session = self.envelope.token, session
        self._slot.settle([message])
        self._slot.close()

    def die(self) -> None:
        """End as a worker does that is killed."""
        self._slot.close()


class Rig:
    """One server, one worker, any number of clients. ``log`` is the access log."""

    def __init__(self, config: Config) -> None:
        self.layer = MemoryChannelLayer(clock=asyncio.get_running_loop().time)
        self.log: list[Access] = []
        self.server = Server(self.layer, config, self.log.append)
        self.transports: list[Transport] = []
        self.reads: Sequence[str] = ()

    # -- the worker ------------------------------------------------------------------------------------------------

    def read(self, *channels: str) -> None:
        """Announce a worker that reads ``channels``."""
        self.reads = channels
        self.layer.announce(Announcement("worker", channels, slots=1))

    async def keep_reading(self) -> None:
        """Announce what was read last for as long as the server runs."""
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL - 1)
            if self.reads:
                self.read(*self.reads)

    def depth(self, channel: str) -> int:
        """Return how many entries wait in ``channel``."""
        return self.layer.depth(channel)

    async def job(self, channel: str) -> Job:
        """Take the next entry of ``channel``, which must be there."""
        await idle()
        slot = self.layer.open_slot()
        assert slot.take({channel: 1}, 1, 0), f"nothing waits in {channel}"
        return Job(self.layer, slot)

    async def is_quiet(self) -> bool:
        """Return whether nothing waits for a worker."""
        await idle()
        return not any(self.layer.depth(channel) for channel in (*USUAL, HTTP_DISCONNECT))

    # -- clients ---------------------------------------------------------------------------------------------------

    def connect(self, **extra: Any) -> Transport:
        """Return a new connection."""
        transport = Transport(HttpConnection(self.server), **extra)
        self.transports.append(transport)
        return transport

    def handshake(self, path: str = "/chat", *lines: str, early: bytes = b"", **extra: Any) -> Transport:
        """Return a connection that has sent an opening handshake, with ``early`` behind it."""
        transport = self.connect(**extra)
        transport.feed(upgrade(path, *lines) + early)
        return transport

    async def open(self, *groups: str, session: bytes | None = None) -> Socket:
        """Return an accepted WebSocket in ``groups``."""
        transport = self.handshake()
        job = await self.job(CONNECT)
        for group in groups:
            job.join(group)
        job.end(session=session)
        await idle()
        assert transport.take().startswith(b"HTTP/1.1 101 ")
        return Socket(transport, job.reply_channel)

    @property
    def lines(self) -> list[str]:
        """The access log as text."""
        return [as_text(access) for access in self.log]


class Socket:
    """The client of an accepted WebSocket. ``channel`` is its reply channel."""

    def __init__(self, transport: Transport, channel: str) -> None:
        self.transport = transport
        self.channel = channel

    def say(self, *messages: str) -> None:
        """Send text messages, each as a segment of its own."""
        for message in messages:
            self.transport.feed(text(message))

    def send(self, opcode: int, payload: bytes = b"") -> None:
        """Send one frame."""
        self.transport.feed(frame(opcode, payload))

    def frames(self) -> list[Frame]:
        """Return what was received since the last call."""
        return read_frames(self.transport.take())

    def texts(self) -> list[str]:
        """Return what was received since the last call, which must be text."""
        return [payload.decode() for _, payload in self.frames()]


@asynccontextmanager
async def serving(reads: Sequence[str] = USUAL, **options: Any) -> AsyncIterator[Rig]:
    """Run a server with these options; whatever was done to it, nothing of it is left afterwards."""
    rig = Rig(Config(**options))
    if reads:
        rig.read(*reads)
    await rig.server.start([])
    beating = asyncio.get_running_loop().create_task(rig.keep_reading())
    try:
        yield rig
        await idle()
    finally:
        await rig.server.stop()
        beating.cancel()
        await idle()
    server = rig.server
    assert (len(server.handshakes), server.bodies_size, server.paused) == (0, 0, {})
    assert server.admitted.count == 0
    assert all(not transport.late for transport in rig.transports)
