"""The writing half of a socket: what its client has not read waits where it can still be dropped."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from daphne.backlog import Backlog
from daphne.broadcast import Broadcast
from daphne.connection import LaneConnection
from daphne.lane import Lane

if TYPE_CHECKING:
    from daphne.server import Server

IN_TRANSPORT: Final = 64 * 1024
"""Unsent bytes that are left to the transport; what is more waits in the backlog."""


class WritingConnection(LaneConnection):
    """A connection whose client may read more slowly than it is written to."""

    __slots__ = ("_backlog", "_sent")

    def __init__(self, server: Server, transport: asyncio.Transport, lane: Lane) -> None:
        super().__init__(server, transport, lane)
        self._backlog: Backlog | None = None
        self._sent = 0

    def _limit_transport(self) -> None:
        self._transport.set_write_buffer_limits(high=min(IN_TRANSPORT, self._server.config.max_write_size))

    def pause_writing(self) -> None:
        """The client is behind: from here on frames wait."""
        if self._backlog is None and self._may_wait():
            self._backlog = Backlog()

    def resume_writing(self) -> None:
        """The client has read: send it what waited, as far as it reads on."""
        backlog, self._backlog = self._backlog, None
        while backlog and not self._transport.is_closing():
            self._sent += 1
            self._transport.write(backlog.pop())
            if self._backlog is not None:  # pause_writing() was called
                self._backlog = backlog
                return

    def _hold(self, frame: bytes, broadcast: Broadcast | None) -> None:
        """Let a frame wait; beyond ``max_write_size`` what may be dropped is dropped, or the client is given up."""
        backlog, dropped = self._backlog, 0
        assert backlog is not None
        replaced = backlog.add(frame, broadcast)
        limit, unsent = self._server.config.max_write_size, self._transport.get_write_buffer_size()
        while unsent + backlog.size > limit and backlog.drop_oldest():
            dropped += 1
        if replaced:
            self._count_dropped("coalesced", broadcast, 1)
        if dropped:
            self._count_dropped("dropped", broadcast, dropped)
        if unsent + backlog.size > limit:
            self._give_up(limit)

    def _count_dropped(self, how: str, broadcast: Broadcast | None, number: int) -> None:
        cause = f" by one of group {broadcast.group!r}" if broadcast else ""
        detail = f"messages were {how}{cause}: the client of {self.lane.path} does not read fast enough"
        self._server.losses.count(f"{how} for a slow client", detail, number)

    def _write_last(self, frame: bytes) -> None:
        """Write a close frame, and before it whatever waits."""
        backlog, self._backlog = self._backlog, None
        while backlog:
            self._sent += 1
            self._transport.write(backlog.pop())
        self._transport.write(frame)

    @abstractmethod
    def _give_up(self, limit: int) -> None:
        """End a connection whose client has left more than ``limit`` bytes unread."""

    @abstractmethod
    def _may_wait(self) -> bool:
        """Whether this phase sends anything that could wait."""
