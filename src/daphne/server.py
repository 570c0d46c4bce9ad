"""An interface server: one loop, one layer, any number of sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import socket
import ssl
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from channel_layers.base import BaseChannelLayer
from channel_layers.exceptions import LayerDeclined
from channel_layers.losses import Losses
from channel_layers.messages import HTTP_KIND, WEBSOCKET_KIND
from channel_layers.registry import HEARTBEAT_INTERVAL, Announcement
from daphne.access import AccessLog
from daphne.access_format import access_log
from daphne.admission import Connections, Handshakes
from daphne.broadcast import WritePolicies
from daphne.compression import Deflaters
from daphne.config import Config
from daphne.connection import LaneConnection
from daphne.deadlines import Deadlines
from daphne.delivery import Delivery
from daphne.exchange import Exchange
from daphne.forwarded import Proxies
from daphne.http_connection import HttpConnection
from daphne.outbox import Outbox
from daphne.pace import IdleLimits
from daphne.probes import Probes

try:
    from uvloop import new_event_loop
except ImportError:  # where uvloop does not exist: Windows, PyPy
    from asyncio import new_event_loop  # type: ignore[assignment]  # the same without the narrower return type

__all__ = ["Server", "new_event_loop"]

logger = logging.getLogger("daphne.server")

BACKLOG: Final = 2048
DRAIN_TIMEOUT: Final = 10.0
"""Seconds that requests in flight and closing handshakes get when the server ends."""


class Server:
    """Sockets of one process and everything they share.

    ``connections`` maps reply channels to what they lead to. Sizes are bytes: ``lanes_size`` of events that wait or
    are under way (``lanes_full``: as much as may be), ``bodies_size`` of request bodies not yet sent on,
    ``spools_size`` of responses that wait for slow clients.
    """

    def __init__(self, layer: BaseChannelLayer, config: Config, log: AccessLog | None = None) -> None:
        self.layer = layer
        self.config = config
        self.log = log or access_log(config.access_log_format)
        self.loop = asyncio.get_running_loop()
        self.losses = Losses(logging.getLogger("daphne"))
        self.connections: dict[str, LaneConnection | Exchange] = {}
        self._live: set[LaneConnection | HttpConnection] = set()
        self.paused: dict[str, LaneConnection] = {}
        self.proxies = Proxies(config.trusted_proxies, config.forwarded_headers)
        self.probes = Probes(self)
        self.is_ending = False
        self.admitted = Connections(config)
        self.handshakes = Handshakes(config)
        self.deflaters = Deflaters(config.compression_level, config.min_compressed_size)
        self.idle_limits = IdleLimits(config.idle_timeout, config.idle_timeouts)
        self.lanes_size = 0
        self.lanes_full = False
        self.bodies_size = 0
        self.spools_size = 0
        self.sockets = layer.open_inbox(WEBSOCKET_KIND)
        self.requests = layer.open_inbox(HTTP_KIND)
        self.deadlines = Deadlines(self.loop)
        self.outbox = Outbox(layer, self.connections.get)
        self._delivery = Delivery(self.connections, self.losses, WritePolicies(config.write_policies))
        self._listeners: list[asyncio.Server] = []
        self._probed: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._started: set[asyncio.Task[None]] = set()
        self._reads: frozenset[str] | None = None
        self._all_lost = asyncio.Event()

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on bound ``sockets``."""
        await self._beat()
        coroutines = (
            self._delivery.run(self.sockets),
            self._delivery.run(self.requests),
            self._heartbeat(),
        )
        self._tasks = [self.loop.create_task(coroutine) for coroutine in coroutines]
        for sock in sockets:
            await self.listen(sock)

    async def listen(
        self, sock: socket.socket, context: ssl.SSLContext | None = None, only_probes: bool = False
    ) -> None:
        """Accept connections on a bound socket, with TLS where there is a ``context`` for it.

        One for ``only_probes`` is served until the server has ended.
        """
        listener = await self.loop.create_server(
            partial(HttpConnection, self, only_probes),
            sock=sock,
            backlog=BACKLOG,
            ssl=context,
            ssl_handshake_timeout=self.config.head_timeout if context else None,
            ssl_shutdown_timeout=self.config.close_timeout if context else None,
        )
        (self._probed if only_probes else self._listeners).append(listener)

    async def stop(self) -> None:
        """End in order: stop accepting, let requests finish, close sockets with 1012, say so to the layer."""
        self.is_ending = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self._live):
            connection.close(1012, "server restarts", "server (stops)")
        await self._drain()
        await self.outbox.drain()
        await self.layer.awithdraw(self.layer.process)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.outbox.close()
        self.deadlines.close()
        self.sockets.close()
        self.requests.close()

    # -- what connections share ------------------------------------------------------------------------------------

    def is_read(self, channel: str) -> bool:
        """Return whether workers read ``channel``; while none has announced itself, the next may."""
        return self._reads is None or channel in self._reads

    async def channels_read(self) -> frozenset[str]:
        """Return the channels that workers read, by what they say of themselves."""
        return frozenset(channel for process in await self.layer.aprocesses() for channel in process.channels)

    def retire(self, channel: str) -> None:
        """End the memberships of a socket; its last events may still be under way."""
        self.sockets.retire(channel)

    def forget(self, channel: str) -> None:
        """Give a reply channel up: its last event is settled, or its request answered."""
        inbox = self.requests if channel.startswith(self.requests.name) else self.sockets
        inbox.forget(channel)
        self.outbox.settled(channel)
        self.connections.pop(channel, None)

    def made(self, connection: LaneConnection | HttpConnection) -> None:
        """A connection has a transport."""
        self._live.add(connection)

    def handed_over(self, former: LaneConnection | HttpConnection, connection: LaneConnection) -> None:
        """The transport of ``former`` is that of ``connection`` now."""
        self._live.discard(former)
        self._live.add(connection)

    def lost(self, connection: LaneConnection | HttpConnection) -> None:
        """A connection has no transport any more."""
        self._live.discard(connection)
        if not self._live:
            self._all_lost.set()

    def charge(self, size: int) -> None:
        """Take ``size`` bytes of the lanes' budget; once it is used up, no socket is read."""
        self.lanes_size += size
        if self.lanes_size >= self.config.max_lanes_size:
            self.lanes_full = True

    def release(self, size: int) -> None:
        """Give ``size`` bytes of the lanes' budget back; sockets that waited for it are read again."""
        self.lanes_size -= size
        if self.lanes_full and self.lanes_size < self.config.max_lanes_size:
            self.lanes_full = False
            for connection in list(self.paused.values()):
                connection.reconsider_reading()

    def spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run what somebody need not wait for; a layer that is away has said so."""
        task = self.loop.create_task(_tolerating(coroutine))
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return task

    # -- heartbeat -------------------------------------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL)
            try:
                await self._beat()
            except LayerDeclined as error:
                self.losses.count("no heartbeat", f"no heartbeat: {error}")
            except OSError:
                pass  # the layer is away and has said so

    async def _beat(self) -> None:
        """Say that this process is alive, learn what the workers read, and leave groups nobody here is in."""
        announcement = Announcement(
            self.layer.process, connections=len(self.connections), host=platform.node(), pid=os.getpid()
        )
        await self.layer.aannounce(announcement)
        self._reads = await self.channels_read() or None
        self.sockets.beat()
        self.requests.beat()
        self.losses.report()

    async def _drain(self) -> None:
        """Wait for the last transport; cut those that take too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await self._until_all_lost()
        for listener in self._probed:
            listener.close()
        for connection in list(self._live):
            connection.abort()
        await self._until_all_lost()

    async def _until_all_lost(self) -> None:
        while self._live:
            self._all_lost.clear()
            await self._all_lost.wait()


async def _tolerating(coroutine: Coroutine[None, None, None]) -> None:
    with suppress(OSError):
        await coroutine
