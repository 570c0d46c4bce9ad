"""Connections to the server that are a slot's or an inbox's own, for as long as it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channel_layers.redis.connection import Connection
    from channel_layers.redis.connections import Connections
    from channel_layers.redis.loop_connection import LoopConnection


class OwnConnections:
    """Lent by ``connections`` when they are first wanted; ``lent`` is called with each before it is used."""

    def __init__(self, connections: Connections, lent: Callable[[Connection | LoopConnection], object]) -> None:
        self._connections = connections
        self._lent = lent
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
            self._blocking = self._connections.lend()
            self._lent(self._blocking)
        return self._blocking

    def of_loop(self) -> LoopConnection:
        """Return that of the running event loop."""
        if self._of_loop is None or self._of_loop.loop is not asyncio.get_running_loop():
            self._of_loop = self._connections.alend()
            self._lent(self._of_loop)
        return self._of_loop

    def give_back(self) -> None:
        """Leave them to others."""
        if self._blocking is not None:
            self._connections.take_back(self._blocking)
        if self._of_loop is not None:
            self._connections.atake_back(self._of_loop)
        self._blocking = self._of_loop = None
