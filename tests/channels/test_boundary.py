import asyncio
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.signals import got_request_exception
from django.db import ProgrammingError, close_old_connections, connection, connections, transaction
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import DatabaseWrapper
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
from tests.channels.calls import Calls, as_slot
from tests.channels.workers import in_thread, layer_of

leaking: ContextVar[str] = ContextVar("leaking", default="clean")


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
def closings(monkeypatch: pytest.MonkeyPatch, private_database: Path) -> list[bool]:
    """Record each look at the old connections."""
    seen: list[bool] = []
    close = close_old_connections

    def closing() -> None:
        close()
        seen.append(connection.connection is not None)

    monkeypatch.setattr(boundary, "close_old_connections", closing)
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


def test_connection_of_another_context_is_closed(closings: list[bool]) -> None:
    """Connections belong to the thread, whatever context they are opened in."""
    as_slot(lambda call: call(lambda message: Context().run(query, message)))
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


def test_connection_lives_as_long_as_it_may(closings: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """CONN_MAX_AGE counts from its opening; the consumer after that has another."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 60)
    used: list[object] = []

    def consumer(message: Message) -> None:
        query(message)
        used.append(connection.connection)

    def run(call: Calls) -> None:
        for _ in range(3):
            call(consumer)
        connection.close_at = time.monotonic() - 1
        call(consumer)
        connections.close_all()

    as_slot(run)
    first, second, third, other = used
    assert first is second is third
    assert other is not first


@pytest.mark.parametrize("max_age", [0, None])
def test_consumer_that_closes_its_connection_harms_nobody(
    closings: list[bool], monkeypatch: pytest.MonkeyPatch, max_age: int | None
) -> None:
    """The next one opens another, inside a transaction or not."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)

    def closing(message: Message) -> None:
        query(message)
        connection.close()

    def cut_off(message: Message) -> None:
        with transaction.atomic():
            query(message)
            connection.connection.close()
            query(message)

    def closing_in_transaction(message: Message) -> None:
        with pytest.raises(ProgrammingError, match="closed"):
            cut_off(message)

    def run(call: Calls) -> None:
        for each in (closing, query, closing_in_transaction, query, closing, idle):
            call(each)
        connections.close_all()

    as_slot(run)


def is_usable(wrapper: DatabaseWrapper) -> bool:
    """Ask the database, as the wrappers of servers do; that of SQLite believes that a file is always there."""
    try:
        wrapper.connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_connection_that_has_broken_costs_one_message(closings: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the database was restarted: the consumer that finds out fails, and the next has another connection."""
    monkeypatch.setattr(DatabaseWrapper, "is_usable", is_usable)
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)

    def run(call: Calls) -> None:
        call(query)
        connection.connection.close()  # by the other side, so to say
        with pytest.raises(ProgrammingError):
            call(query)
        for _ in range(3):
            call(query)
        connections.close_all()

    as_slot(run)


# -- async def consumers -----------------------------------------------------------------------------------------------


@contextmanager
def connecting() -> Iterator[list[str]]:
    """Record the thread of each new connection to a database."""
    threads: list[str] = []

    def note(**kwargs: object) -> None:
        threads.append(threading.current_thread().name)

    connection_created.connect(note)
    try:
        yield threads
    finally:
        connection_created.disconnect(note)


@sync_to_async
def is_connected() -> bool:
    """Return whether the thread of all code under ``sync_to_async`` has a connection."""
    return connection.connection is not None


async def aquery(message: Message) -> None:
    """Use the database as such code has to, and as the asynchronous half of Django's ORM does."""
    await sync_to_async(query)(message)


def coroutines(*consumers: Callable[..., Any]) -> None:
    """Run ``consumers`` one after another as a worker does, then close what is open."""

    async def run(call: Calls) -> None:
        for consumer in consumers:
            call.pending.begin("jobs")
            await call.boundary.acall(Route("jobs", consumer), Message({}, "jobs", call.layer), {})
            call.pending.end()
        await sync_to_async(connections.close_all)()

    as_slot(lambda call: asyncio.run(run(call)))


@pytest.mark.parametrize(("max_age", "opened"), [(0, 3), (60, 1)])
def test_connection_of_coroutines_is_closed_as_around_a_request(
    closings: list[bool], monkeypatch: pytest.MonkeyPatch, max_age: int, opened: int
) -> None:
    """Behind each, or once it has lived as long as it may."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", max_age)
    found: list[bool] = []

    async def look(message: Message) -> None:
        found.append(await is_connected())

    with connecting() as threads:
        coroutines(aquery, look, aquery, look, aquery)
    assert found == [max_age > 0] * 2
    assert len(threads) == opened


def test_connection_of_a_coroutine_that_raises_is_closed(closings: list[bool]) -> None:
    """And one that was closed by a coroutine itself is opened anew."""
    found: list[bool] = []

    @sync_to_async
    def close() -> None:
        connection.close()

    async def closing(message: Message) -> None:
        await aquery(message)
        await close()

    async def failing(message: Message) -> None:
        await aquery(message)
        raise LookupError

    async def look(message: Message) -> None:
        found.append(await is_connected())

    with pytest.raises(LookupError):
        coroutines(closing, aquery, failing)
    coroutines(look)
    assert found == [False]
    assert closings == [False, False, False, False, False]


def test_coroutines_share_one_connection(closings: list[bool]) -> None:
    """However many of them use the database at the same time: it is that of Django's thread for such code."""

    async def run() -> None:
        layer = layer_of()

        async def one() -> None:
            pending = Pending(layer.channel_layer, partial(report_refused, layer.channel_layer))
            boundary = Context().run(Boundary, pending, Worker)
            pending.begin("jobs")
            await boundary.acall(Route("jobs", aquery), Message({}, "jobs", layer), {})

        await asyncio.gather(*(one() for _ in range(50)))
        assert not await is_connected()

    with connecting() as threads:
        in_thread(lambda: asyncio.run(run()))
    assert len(set(threads)) == 1
    assert closings[-1] is False
