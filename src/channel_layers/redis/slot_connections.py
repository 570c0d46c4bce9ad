"""What a slot of the Redis layer talks to the server over: connections that are its own for as long as it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from channel_layers.redis.protocol import pack

if TYPE_CHECKING:
    from channel_layers.redis.connection import Connection
    from channel_layers.redis.connections import Connections
    from channel_layers.redis.link import Link
    from channel_layers.redis.loop_connection import LoopConnection


class SlotConnections:
    """Lent by ``connections`` when they are first wanted. ``pause`` waits some seconds between attempts to connect."""

    def __init__(self, connections: Connections, pause: Callable[[float], object]) -> None:
        self._connections = connections
        self._pause = pause
        self._blocking: Connection | None = None
        self._of_loop: LoopConnection | None = None

    @property
    def run(self) -> str:
        """The run of the server they have reached; empty if it does not tell."""
        connection = self._blocking or self._of_loop
        return (connection.run if connection is not None else "") or ""

    def blocking(self) -> Connection:
        """Return the one that blocks."""
        if self._blocking is None:
            self._blocking = connection = self._connections.lend()
            connection.welcome = lambda link: end_of(connection.lost, link)
            connection.pause = self._pause
        return self._blocking

    def of_loop(self) -> LoopConnection:
        """Return that of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._of_loop is None or self._of_loop.loop is not loop:
            self._of_loop = connection = self._connections.alend()
            connection.welcome = lambda link: end_of(connection.lost, link)
        return self._of_loop

    def give_back(self) -> None:
        """Lend others what was lent."""
        if self._blocking is not None:
            self._connections.take_back(self._blocking)
        if self._of_loop is not None:
            self._connections.atake_back(self._of_loop)
        self._blocking = self._of_loop = None


def end_of(lost: Link | None, link: Link) -> list[bytes]:
    """Return what ends by ``link`` a link that the server may not know to be lost, and that may still take.

    Another run of the server has given its number to somebody else. Numbers grow, and tell so where runs are not told.
    """
    if lost is None or lost.run != link.run or not 0 < lost.client_id < link.client_id:
        return []
    return [pack("CLIENT", "KILL", "ID", lost.client_id)]
