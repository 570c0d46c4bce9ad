"""What an HTTP connection waits for, and for how long."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daphne.server import Server


class Phase(Enum):
    """What the connection waits for."""

    HEAD = 1
    BODY = 2
    """So much of the body that the request can be sent to the workers."""
    RESPONSE = 3
    """The response, or the rest of it, while the rest of the body may still come."""
    LINGER = 4
    """The client to have done with sending what nobody wants."""
    CLOSED = 5


class PhasedConnection(asyncio.Protocol):
    """A connection that waits for one thing after another, each for a time, and for its client to take what was sent.

    ``is_slow``: the client does not take what is written to it. Text of the connection says what it is busy with.
    """

    __slots__ = ("_limit", "_phase", "_server", "_unsent", "due", "is_slow", "transport")

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.due = 0
        self.is_slow = False
        self._server = server
        self._phase = Phase.HEAD
        self._limit = 0.0
        self._unsent = 0

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self.is_slow = True
        self._unsent = self.transport.get_write_buffer_size()
        self._server.deadlines.within(self._server.config.send_timeout, self)

    def resume_writing(self) -> None:
        """The client has taken what was sent."""
        self.is_slow = False

    def wait_for_body(self, seconds: float) -> None:
        """Wait for more of the body."""
        self._wait_for(Phase.BODY, seconds)

    def wait_for_response(self, seconds: float) -> None:
        """Wait for the application, or for what it waits for."""
        self._wait_for(Phase.RESPONSE, seconds)

    def on_deadline(self, now: float) -> float | None:
        """Something did not happen in time."""
        if self._phase is Phase.CLOSED:
            return None
        if self.is_slow:
            return self._look_at_slow_client(now)
        return self._limit if now < self._limit else self._overdue(now)

    @abstractmethod
    def _overdue(self, now: float) -> float | None:
        """Act on what did not happen in this phase; return the next deadline on the loop's clock, or ``None``."""

    def _wait_for(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        self._limit = self._server.loop.time() + seconds
        self._server.deadlines.within(seconds, self)

    def _wait_for_nothing(self) -> None:
        self._phase = Phase.CLOSED
        self._server.deadlines.cancel(self)

    def _look_at_slow_client(self, now: float) -> float | None:
        """Give up a client that has taken nothing since the last look."""
        unsent, limit = self.transport.get_write_buffer_size(), self._server.config.send_timeout
        if unsent < self._unsent:
            self._unsent = unsent
            return now + limit
        detail = f"{self} is cut off: its client has taken nothing for {limit:g} s (send_timeout)"
        self._server.losses.count("slow client", detail)
        self.transport.abort()
        return None
