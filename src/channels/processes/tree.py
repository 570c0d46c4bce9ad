"""An interface server and its workers: begun together, ended in order."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from channels.layers import ChannelLayerWrapper
from channels.processes.fleet import Fleet
from channels.processes.workers import Workers

SERVED: Final = ("http.request", "websocket.connect", "websocket.receive", "websocket.disconnect")
"""The channels that an interface server sends to."""
PAUSE: Final = 0.05
"""Seconds between two looks at the queues while the tree ends: other processes empty them, and nothing tells when."""


class Tree:
    """Keeps ``server`` and ``workers`` running, and ends them together.

    The server ends first: it lets requests finish and closes its sockets, and the workers handle what that leaves in
    the queues, for at most ``patience`` seconds. Then they end.
    """

    def __init__(self, server: Fleet, workers: Workers, layer: ChannelLayerWrapper, patience: float) -> None:
        self._server = server
        self._workers = workers
        self._layer = layer
        self._patience = patience
        self._stops = 0

    async def run(self) -> bool:
        """Run until :meth:`stop`, or until one of them gives up; return whether all has begun and ended in order."""
        server = asyncio.create_task(self._server.run())
        workers = asyncio.create_task(self._workers.run())
        await asyncio.wait([server, workers], return_when=asyncio.FIRST_COMPLETED)
        if not self._stops:  # then a server that still runs has not been told
            self._server.stop()
        is_served = await server
        if not workers.done():
            await self._until_taken()
            self._workers.stop()
        return await workers and is_served

    @property
    def fault(self) -> str:
        """Why nothing is started, if that is so."""
        return self._server.fault or self._workers.fleet.fault

    def stop(self) -> None:
        """End, in order; told again, at once."""
        self._stops += 1
        self._server.stop()
        if self._stops > 1:
            self._workers.stop()

    def roll(self) -> None:
        """Replace the workers one by one; the server and its sockets stay."""
        self._workers.roll()

    async def _until_taken(self) -> None:
        deadline = time.monotonic() + self._patience
        with suppress(OSError):  # the layer is away, and nobody can take anything
            while self._is_patient(deadline) and await asyncio.to_thread(self._waiting):  # noqa: ASYNC110 - no event
                await asyncio.sleep(PAUSE)

    def _is_patient(self, deadline: float) -> bool:
        return self._stops < 2 and time.monotonic() < deadline

    def _waiting(self) -> bool:
        read = {channel for process in self._layer.processes() for channel in process.channels}
        return any(self._layer.depth(channel) for channel in SERVED if channel in read)
