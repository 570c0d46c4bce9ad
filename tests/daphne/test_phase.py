"""How long a connection waits, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from channel_layers.losses import Losses
from daphne.config import Config
from daphne.phase import Phase, PhasedConnection
from tests.daphne.wire import Transport


class Connection(PhasedConnection):
    """Remembers in which phase it waited in vain, and may wait for ``more`` seconds."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.overdue: list[Phase] = []
        self.more: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def _overdue(self, now: float) -> float | None:
        self.overdue.append(self._phase)
        return None if self.more is None else now + self.more

    def __str__(self) -> str:
        return "GET /"


class Server:
    """The clock and the deadlines of one connection."""

    def __init__(self) -> None:
        self.now = 0.0
        self.config = Config(send_timeout=20.0)
        self.loop = SimpleNamespace(time=lambda: self.now)
        self.losses = Losses(logging.getLogger("daphne"))
        self.deadlines = self
        self.asked: list[float] = []

    def within(self, seconds: float, watched: PhasedConnection) -> None:
        self.asked.append(seconds)

    def cancel(self, watched: PhasedConnection) -> None:
        self.asked.clear()


@pytest.fixture
def connection() -> Connection:
    """A connection that has a transport."""
    connection = Connection(Server())
    Transport(connection)
    return connection


def server_of(connection: Connection) -> Server:
    """Return the server of a connection."""
    return cast("Server", connection._server)


@pytest.mark.parametrize(
    ("wait", "phase"),
    [(PhasedConnection.wait_for_body, Phase.BODY), (PhasedConnection.wait_for_response, Phase.RESPONSE)],
)
def test_what_is_waited_for_has_its_time(
    connection: Connection, wait: Callable[[Connection, float], None], phase: Phase
) -> None:
    """A look before that says when to look again; one after it acts, and says whether to wait on."""
    wait(connection, 5)
    assert server_of(connection).asked == [5]
    assert connection.on_deadline(4.9) == 5
    assert connection.overdue == []
    assert connection.on_deadline(5) is None
    connection.more = 2
    assert connection.on_deadline(6) == 8
    assert connection.overdue == [phase, phase]


def test_an_earlier_deadline_does_not_cut_a_later_wait_short(connection: Connection) -> None:
    """The timer may have been set for something that has come by now."""
    connection.wait_for_body(5)
    server_of(connection).now = 4
    connection.wait_for_response(60)
    assert connection.on_deadline(5) == 64
    assert connection.overdue == []


def test_a_connection_that_waits_for_nothing_is_left_alone(connection: Connection) -> None:
    """Its deadline is cancelled; one that comes all the same does nothing."""
    connection.wait_for_body(5)
    connection._wait_for_nothing()
    assert server_of(connection).asked == []
    assert connection.on_deadline(100) is None
    assert connection.overdue == []


def test_a_client_that_takes_something_is_waited_for(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is late: it is given up once it has taken nothing from one look to the next."""
    unsent, cut = [1000, 900, 900], list[bool]()
    monkeypatch.setattr(connection.transport, "get_write_buffer_size", lambda: unsent.pop(0))
    monkeypatch.setattr(connection.transport, "abort", lambda: cut.append(True))
    connection.wait_for_response(5)
    connection.pause_writing()
    assert connection.is_slow
    assert server_of(connection).asked == [5, 20]
    assert connection.on_deadline(20) == 40
    assert cut == []
    assert connection.on_deadline(40) is None
    assert cut == [True]
    assert connection.overdue == []
    assert server_of(connection).losses.counts == {"slow client": 1}


def test_a_client_that_has_taken_all_is_slow_no_more(connection: Connection) -> None:
    """Then the application's time counts again."""
    connection.wait_for_response(5)
    connection.pause_writing()
    connection.resume_writing()
    assert not connection.is_slow
    assert connection.on_deadline(6) is None
    assert connection.overdue == [Phase.RESPONSE]
