import asyncio
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import close_old_connections, connection, connections
from django.dispatch import Signal
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from channels import boundary
from channels.boundary import Boundary
from channels.message import Message
from channels.pending import Pending
from channels.routing import Route
from channels.runner import report_refused
from channels.signals import consumer_finished, consumer_started
from channels.worker import Worker
from tests.channels.workers import in_thread, layer_of

leaking: ContextVar[str] = ContextVar("leaking", default="clean")


class Calls:
    """Calls consumers through one boundary."""

    def __init__(self) -> None:
        self.layer = layer_of()
        self.pending = Pending(self.layer.channel_layer, partial(report_refused, self.layer.channel_layer))
        self.boundary = Boundary(self.pending, Worker)

    def __call__(self, consumer: Callable[..., Any], **kwargs: Any) -> None:
        route = Route("jobs", consumer)
        self.pending.begin(route.name)
        try:
            self.boundary.call(route, Message({"n": 1}, "jobs", self.layer), kwargs)
        finally:
            self.pending.end()


def as_slot(function: Callable[[Calls], None]) -> None:
    """Run ``function`` in a thread of its own, as a slot would be, with a boundary made there."""
    in_thread(lambda: function(Calls()))


@contextmanager
def heard(*signals: Signal) -> Iterator[list[Any]]:
    """Record ``(signal, sender)`` of ``signals``."""
    seen: list[Any] = []
    receivers = []
    for signal in signals:

        def receive(sender: object, signal: Signal, **kwargs: object) -> None:
            seen.append((signal, sender))

        signal.connect(receive)
        receivers.append((signal, receive))
    yield seen
    for signal, receive in receivers:
        signal.disconnect(receive)


# -- calling -----------------------------------------------------------------------------------------------------------


def test_consumer_gets_message_and_keywords() -> None:
    """What the route captured is a keyword argument."""
    seen = []

    def run(call: Calls) -> None:
        call(lambda message, room: seen.append((message["n"], room)), room="lobby")

    as_slot(run)
    assert seen == [(1, "lobby")]


def test_exception_passes() -> None:
    """The runner translates it; the boundary only closes behind it."""

    def consumer(message: Message) -> None:
        raise LookupError("no such room")

    async def coroutine(message: Message) -> None:
        raise LookupError("no such room")

    def run(call: Calls) -> None:
        for each in (consumer, coroutine):
            with pytest.raises(LookupError, match="no such room"):
                call(each)

    as_slot(run)


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_consumer_took_is_given_back_when_there_is_no_more(is_async: bool) -> None:
    """Before anybody is told: that takes memory as well."""
    took: list[weakref.ref[set[int]]] = []
    left: list[object] = []

    def consumer(message: Message) -> None:
        large = {1}
        took.append(weakref.ref(large))
        raise MemoryError

    async def coroutine(message: Message) -> None:
        consumer(message)

    def receive(**kwargs: object) -> None:
        left.append(took[0]())

    def awaited(call: Calls) -> None:
        asyncio.run(call.boundary.acall(Route("jobs", coroutine), Message({}, "jobs", call.layer), {}))

    def run(call: Calls) -> None:
        with pytest.raises(MemoryError):
            awaited(call) if is_async else call(consumer)

    consumer_finished.connect(receive)
    try:
        as_slot(run)
    finally:
        consumer_finished.disconnect(receive)
    assert left == [None]


# -- nothing is left behind --------------------------------------------------------------------------------------------


def state() -> tuple[object, ...]:
    """Return everything that a request may leave in its thread."""
    return (
        translation.get_language(),
        timezone.get_current_timezone_name(),
        get_urlconf(),
        get_script_prefix(),
        leaking.get(),
    )


def spoil() -> None:
    """Change all of it."""
    translation.activate("de")
    timezone.activate("Asia/Tokyo")
    set_urlconf("tests.other_urls")
    set_script_prefix("/other/")
    leaking.set("leaked")


def test_nothing_leaks_into_the_next_consumer() -> None:
    """Language, time zone, URL configuration, script prefix and context variables are as before, also after errors."""
    states: list[tuple[object, ...]] = []

    def consumer(message: Message) -> None:
        states.append(state())
        spoil()
        raise LookupError

    async def coroutine(message: Message) -> None:
        states.append(state())
        spoil()

    def run(call: Calls) -> None:
        states.append(state())
        for each in (consumer, coroutine, consumer, coroutine):
            try:
                call(each)
            except LookupError:
                states.append(state())

    as_slot(run)
    assert len(states) == 7
    assert len(set(states)) == 1


# -- signals -----------------------------------------------------------------------------------------------------------


def test_signals_frame_the_call() -> None:
    """Started before, finished behind, also after an exception; the sender is the worker's class."""
    with heard(consumer_started, consumer_finished) as seen:

        def consumer(message: Message) -> None:
            seen.append("runs")
            raise LookupError

        def run(call: Calls) -> None:
            with pytest.raises(LookupError):
                call(consumer)

        as_slot(run)
    assert seen == [(consumer_started, Worker), "runs", (consumer_finished, Worker)]


def test_started_has_an_environ() -> None:
    """Receivers of 1.x expect it."""
    environs = []

    def receive(environ: object, **kwargs: object) -> None:
        environs.append(environ)

    consumer_started.connect(receive)
    try:
        as_slot(lambda call: call(lambda message: None))
    finally:
        consumer_started.disconnect(receive)
    assert environs == [{}]


def test_report_tells_monitors() -> None:
    """As a failed request would, with no request."""
    with heard(got_request_exception) as seen:
        as_slot(lambda call: call.boundary.report())
    assert seen == [(got_request_exception, Worker)]


# -- the database ------------------------------------------------------------------------------------------------------


@pytest.fixture
def closings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """Record each look at the old connections, and give threads a database of their own."""
    seen: list[bool] = []
    close = close_old_connections

    def closing() -> None:
        close()
        seen.append(connection.connection is not None)

    monkeypatch.setattr(boundary, "close_old_connections", closing)
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "db.sqlite3"))
    return seen


def query(message: Message) -> None:
    """Use the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def idle(message: Message) -> None:
    """Use nothing."""


def test_consumer_without_database_pays_nothing(closings: list[bool]) -> None:
    """No look at the connections, before or behind it."""

    def run(call: Calls) -> None:
        call(idle)
        assert not call.pending.uses_database

    as_slot(run)
    assert closings == []


def test_connection_is_closed_behind_its_consumer(closings: list[bool]) -> None:
    """CONN_MAX_AGE is 0: the connection goes, and the next consumer pays nothing again."""

    def run(call: Calls) -> None:
        call(query)
        assert connection.connection is None
        assert not call.pending.uses_database
        call(idle)

    as_slot(run)
    assert closings == [False]


def test_connection_is_closed_behind_an_error(closings: list[bool]) -> None:
    """As behind a request that failed."""

    def consumer(message: Message) -> None:
        query(message)
        raise LookupError

    def run(call: Calls) -> None:
        with pytest.raises(LookupError):
            call(consumer)
        assert connection.connection is None

    as_slot(run)
    assert closings == [False]


def test_connection_that_is_kept_is_looked_at(closings: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """With CONN_MAX_AGE it stays, and is looked at before and behind each consumer until it is closed."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)

    def run(call: Calls) -> None:
        call(query)
        assert call.pending.uses_database
        call(idle)
        connections.close_all()
        call(idle)
        call(idle)

    as_slot(run)
    assert closings == [True, True, True, False, False]


def test_connection_outside_a_consumer_is_not_ours(closings: list[bool]) -> None:
    """A thread that runs no consumers opens connections as it likes."""

    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connections.close_all()

    in_thread(run)
    assert closings == []


def test_receiver_that_raises_does_not_keep_the_connection(closings: list[bool]) -> None:
    """An error of a receiver is the consumer's; what it left is closed before the next one at the latest."""

    def receive(**kwargs: object) -> None:
        raise LookupError("a receiver")

    def run(call: Calls) -> None:
        with pytest.raises(LookupError, match="a receiver"):
            call(query)
        consumer_finished.disconnect(receive)
        call(lambda message: connected.append(connection.connection is not None))

    connected: list[bool] = []
    consumer_finished.connect(receive)
    try:
        as_slot(run)
    finally:
        consumer_finished.disconnect(receive)
    assert connected == [False]
