"""What is tidied up around a request in a process of workers: all that was used, and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import close_caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, connections
from django.dispatch import Signal
from django.test import override_settings
from django.urls import set_urlconf

from channels import tidying
from channels.message import Message
from channels.tidying import tidying_where_used
from tests.channels.calls import Calls, as_slot
from tests.channels.workers import in_thread

SIGNALS = (request_started, request_finished)


class ClosedCache(LocMemCache):
    """A cache with something to close."""

    def close(self, **kwargs: Any) -> None:
        """Close."""


@pytest.fixture(autouse=True)
def kept_receivers() -> Iterator[None]:
    """The receivers of this process stay what they are."""
    before = [list(signal.receivers) for signal in SIGNALS]
    yield
    for signal, receivers in zip(SIGNALS, before, strict=True):
        signal.receivers = receivers


RECEIVERS = {
    "close_old_connections": SIGNALS,
    "reset_queries": (request_started,),
    "reset_urlconf": (request_finished,),
}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Have receivers that only record their calls in place of Django's, and limit them."""
    ran: list[str] = []
    for name, signals in RECEIVERS.items():
        receiver = recording(name, ran)
        for signal in signals:
            assert signal.disconnect(getattr(tidying, name))
            signal.connect(receiver, weak=False)
        monkeypatch.setattr(tidying, name, receiver)
    with tidying_where_used():
        yield ran


def recording(name: str, ran: list[str]) -> Callable[..., None]:
    """Return a receiver that notes ``name``."""

    def receiver(**named: Any) -> None:
        ran.append(name)

    return receiver


def request(message: Message | None = None) -> None:
    """Do what a handler of requests does around a view that needs nothing."""
    request_started.send(sender=None)
    request_finished.send(sender=None)


def three_times(consumer: Callable[[Message], None]) -> Callable[[Calls], None]:
    """Return what a slot runs."""

    def run(call: Calls) -> None:
        for _ in range(3):
            call(consumer)

    return run


def query(message: Message) -> None:
    """As :func:`request`, with a view that uses the database."""
    request_started.send(sender=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    request_finished.send(sender=None)


def with_urlconf(urlconf: str) -> Callable[[Message], None]:
    """Return :func:`request` with a URL configuration for the view, as Django's handler sets it."""

    def consumer(message: Message) -> None:
        request_started.send(sender=None)
        set_urlconf(urlconf)
        request_finished.send(sender=None)

    return consumer


def test_nothing_is_done_where_nothing_was_used(ran: list[str]) -> None:
    """That is what it is for. Django sets the configuration of the settings for every request."""

    def run(call: Calls) -> None:
        call(request)
        call(with_urlconf(settings.ROOT_URLCONF))

    as_slot(run)
    assert ran == []


def test_connection_is_looked_at_behind_its_view(ran: list[str], private_database: Path) -> None:
    """The boundary has closed it when the next begins."""

    def run(call: Calls) -> None:
        call(query)
        call(request)

    as_slot(run)
    assert ran == ["close_old_connections", "reset_queries"]


def test_connection_that_is_kept_is_looked_at_each_time(
    ran: list[str], private_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With CONN_MAX_AGE; before the request by the boundary."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)

    def run(call: Calls) -> None:
        call(query)
        call(request)
        connections.close_all()

    as_slot(run)
    assert ran == ["close_old_connections", "reset_queries", "close_old_connections"]


def test_what_a_receiver_does_to_a_connection_is_for_the_view(private_database: Path) -> None:
    """Such as to say who the tenant is."""
    found: list[int] = []

    def set_up(**named: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE tenant (name TEXT)")

    def consumer(message: Message) -> None:
        request_started.send(sender=None)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sqlite_temp_master WHERE name = 'tenant'")
            found.append(cursor.fetchone()[0])
        request_finished.send(sender=None)

    request_started.connect(set_up)
    with tidying_where_used():
        as_slot(three_times(consumer))
    assert found == [1, 1, 1]


@pytest.mark.parametrize("debug", [False, True])
def test_queries_of_another_request_are_forgotten(debug: bool, private_database: Path) -> None:
    """Their log outlasts their connection; a project may have them logged without DEBUG."""
    found: list[int] = []

    def consumer(message: Message) -> None:
        request_started.send(sender=None)
        connection.force_debug_cursor = not debug
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        found.append(len(connection.queries))
        request_finished.send(sender=None)

    with override_settings(DEBUG=debug), tidying_where_used():
        as_slot(three_times(consumer))
    assert found == [1, 1, 1]


def test_receivers_of_a_project_come_after(ran: list[str]) -> None:
    """As ever: what they do is not tidied up."""

    def receive(**named: Any) -> None:
        ran.append("project")

    request_started.connect(receive)
    in_thread(request)
    assert ran[:3] == ["close_old_connections", "reset_queries", "project"]


def test_urlconf_of_a_request_is_reset(ran: list[str]) -> None:
    """What a middleware has set is not there for what the consumer does next."""
    as_slot(lambda call: call(with_urlconf("tests.comparison.urls")))
    assert ran == ["reset_urlconf"]


def test_everything_is_done_outside_of_consumers(ran: list[str]) -> None:
    """Nobody knows there what was used."""
    in_thread(request)
    assert sorted(ran) == ["close_old_connections", "close_old_connections", "reset_queries", "reset_urlconf"]


@pytest.mark.parametrize("signal", SIGNALS)
def test_receivers_of_others_hear_of_each_request(signal: Signal, ran: list[str]) -> None:
    """Of its sender, and of what was sent along."""
    heard = []

    def receive(sender: object, **named: Any) -> None:
        heard.append((sender, named["signal"]))

    signal.connect(receive)
    as_slot(lambda call: call(request))
    assert heard == [(None, signal)]


def test_what_a_project_has_disconnected_stays_so() -> None:
    """A project that sees to its connections itself has told Django not to."""
    request_finished.disconnect(close_old_connections)
    with tidying_where_used():
        pass
    assert not request_finished.disconnect(close_old_connections)


@pytest.mark.parametrize(("backend", "is_closed"), [(LocMemCache, False), (ClosedCache, True)])
def test_caches_are_closed_that_can_be(backend: type[LocMemCache], is_closed: bool) -> None:
    """Of those that Django has, the ones that speak to memcached."""
    caches = {"default": {"BACKEND": f"{backend.__module__}.{backend.__qualname__}"}}
    with override_settings(CACHES=caches), tidying_where_used():
        assert request_finished.disconnect(close_caches) is is_closed


@pytest.mark.parametrize("backend", ["not.there.Cache", "django.core.cache.close_caches"])
def test_a_cache_that_nobody_can_use_is_nobody_s_fault(backend: str) -> None:
    """Whoever uses it learns of it."""
    caches = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, "unused": {"BACKEND": backend}}
    with override_settings(CACHES=caches), tidying_where_used():
        assert request_finished.disconnect(close_caches)


def test_everything_is_as_it_was_behind_the_block() -> None:
    """The process may have something else to do."""
    receivers = [signal.receivers for signal in SIGNALS]
    before = [{receiver[0] for receiver in each} for each in receivers]
    with tidying_where_used():
        pass
    assert [{receiver[0] for receiver in signal.receivers} for signal in SIGNALS] == before
