"""Consumers that take too long."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from contextlib import suppress

import pytest
from asgiref.sync import sync_to_async

from channel_layers.envelope import DONE, RAISED, Envelope, read_done
from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemoryCustody
from channel_layers.slot import Refused
from channels import coroutine_runner, time_limits
from channels.message import Message
from channels.routing import route
from channels.worker import Worker
from tests.channels.workers import PATIENCE, Socket, layer_of, message, texts, working

RECEIVE = "websocket.receive"
SHORT = 0.02
LONG = 0.5  # for a consumer that must not reach it, on a machine however busy


def reply(message: Message, text: str) -> None:
    """Send ``text`` to where ``message`` came from."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": text})


class Logged:
    """Waits until something was logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def wait_for(self, text: str) -> str:
        """Return all that was logged once ``text`` is in it."""
        for _ in range(1000):
            if text in self._caplog.text:
                return self._caplog.text
            threading.Event().wait(PATIENCE / 1000)
        raise AssertionError(f"{text!r} was not logged")


def test_at_the_soft_limit_the_stack_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """With the route and the connection; the consumer goes on."""
    go_on = threading.Event()

    def stuck_here() -> None:
        assert go_on.wait(PATIENCE)

    def consumer(message: Message) -> None:
        stuck_here()
        reply(message, "done")

    layer = layer_of(route(RECEIVE, consumer, soft_limit=SHORT))
    socket = Socket(layer)
    with working(layer):
        layer.channel_layer.write([socket.event({"path": "/x/"})])
        text = Logged(caplog).wait_for("(soft_limit)")
        go_on.set()
        assert texts(socket.wait_for(1)) == ["done"]
    assert re.search(
        rf"consumer has run for \d+\.\d s \(soft_limit\) on websocket\.receive /x/ {re.escape(socket.name)}", text
    )
    assert "stuck_here()" in text


def test_a_quick_consumer_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Its limits end with it."""
    layer = layer_of(
        route(RECEIVE, lambda message: reply(message, "x"), soft_limit=LONG, hard_limit=LONG),
        route("slow", lambda message: threading.Event().wait(1.2 * LONG), soft_limit=60),
    )
    socket = Socket(layer)
    with working(layer):
        layer.channel_layer.write([socket.event({}), socket.event({}, channel="slow")])
        assert texts(socket.wait_for(2)) == ["x"]
    assert "limit" not in caplog.text


def test_at_the_hard_limit_it_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Its client is answered, the process is to be replaced, and what it still sends is discarded."""
    go_on, over, asked = threading.Event(), threading.Event(), threading.Semaphore(0)
    reasons: list[str] = []

    def consumer(message: Message) -> None:
        reply(message, "before")
        assert go_on.wait(PATIENCE)
        try:
            reply(message, "after")
        finally:
            over.set()

    def overdue(reason: str) -> None:
        reasons.append(reason)
        asked.release()

    layer = layer_of(
        route(RECEIVE, consumer, path="^/stuck/", hard_limit=SHORT), route(RECEIVE, lambda message: reply(message, "x"))
    )
    socket, other = Socket(layer), Socket(layer)
    worker = Worker(layer, threads=2)
    worker.overdue = overdue
    worker.start()
    layer.channel_layer.write([socket.event({"path": "/stuck/"})])
    *_, entry = socket.wait_for(2)
    assert (entry.kind, read_done(entry).outcome) == (DONE, RAISED)
    assert asked.acquire(timeout=PATIENCE)
    layer.channel_layer.write([other.event({"path": "/"})])
    assert texts(other.wait_for(1)) == ["x"]
    assert worker.is_damaged
    assert worker.stop(PATIENCE)
    go_on.set()
    assert over.wait(PATIENCE)
    assert socket.received() == []
    assert "consumer was over its hard_limit of 0.02 s on websocket.receive /stuck/" in reasons[0]
    assert layer.losses.counts == {"overdue": 1}


def test_a_kept_message_is_delivered_again() -> None:
    """As after any run that has failed."""
    go_on, runs, buried = threading.Event(), threading.Semaphore(0), threading.Event()

    class Layer(MemoryChannelLayer):
        def bury(self, envelope: Envelope, reason: str) -> None:
            super().bury(envelope, reason)
            buried.set()

    def consumer(message: Message) -> None:
        runs.release()
        assert go_on.wait(PATIENCE)

    layer = layer_of(route("jobs", consumer, delivery="at-least-once", retries=1, hard_limit=SHORT), layer=Layer())
    worker = Worker(layer, threads=2, reserve={})
    worker.start()
    layer.channel_layer.write([message("jobs")])
    assert buried.wait(PATIENCE)
    assert runs.acquire(timeout=PATIENCE)
    assert runs.acquire(timeout=PATIENCE)
    assert worker.stop(PATIENCE)
    go_on.set()
    (letter,) = layer.channel_layer.dead_letters()
    assert "was over its hard_limit" in letter.reason


def test_a_run_that_ends_at_its_limit_is_not_the_next_one() -> None:
    """What follows from a limit follows for its own run alone, however late that is seen."""
    ended, next_runs, seen, go_on = (threading.Event() for _ in range(4))

    class Late(logging.Handler):
        """Keeps the thread of the limits until the next consumer runs."""

        def emit(self, record: logging.LogRecord) -> None:
            if "it is given up" in record.getMessage():
                ended.set()
                assert next_runs.wait(PATIENCE)
                seen.set()

    def consumer(message: Message) -> None:
        if message["text"] == "first":
            assert ended.wait(PATIENCE)
        else:
            next_runs.set()
            assert go_on.wait(PATIENCE)
        reply(message, message["text"])

    handler, answered = Late(), threading.Event()
    layer = layer_of(
        route(RECEIVE, consumer, text="^first$", hard_limit=SHORT),
        route(RECEIVE, consumer),
        route("jobs", lambda message: answered.set()),
    )
    socket = Socket(layer)
    logging.getLogger("django.channels").addHandler(handler)
    try:
        with working(layer, threads=2, reserve={}) as worker:
            layer.channel_layer.write([socket.event({"text": "first"}, {"text": "second"})])
            assert seen.wait(PATIENCE)
            timers_are_done()
            go_on.set()
            assert texts(socket.wait_for(2)) == ["first", "second"]
            assert not worker.is_damaged
    finally:
        logging.getLogger("django.channels").removeHandler(handler)


def timers_are_done() -> None:
    """Wait until the thread of the limits has done what was due so far."""
    done = threading.Event()
    time_limits._timers[0].after(0, done.set)
    assert done.wait(PATIENCE)


@pytest.mark.parametrize("blocks", [True, False])
def test_a_coroutine_that_cannot_be_cancelled_is_given_up(blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the loop up, or will not end: the process is to be replaced, and others on the loop end in order."""
    monkeypatch.setattr(coroutine_runner, "GRACE", SHORT)
    go_on, over, asked, begun = (threading.Event() for _ in range(4))
    reasons: list[str] = []

    async def stubborn() -> None:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(SHORT)

    async def consumer(message: Message) -> None:
        reply(message, "before")
        if blocks:
            assert go_on.wait(PATIENCE)
        else:
            await stubborn()
        try:
            reply(message, "after")
        finally:
            over.set()

    async def neighbour(message: Message) -> None:
        begun.set()
        while not over.is_set():  # noqa: ASYNC110 - it is set in between
            await asyncio.sleep(0.001)
        reply(message, "neighbour")

    def overdue(reason: str) -> None:
        reasons.append(reason)
        asked.set()

    layer = layer_of(route(RECEIVE, consumer, path="^/stuck/", hard_limit=LONG), route(RECEIVE, neighbour))
    socket, other = Socket(layer), Socket(layer)
    with working(layer) as worker:
        worker.overdue = overdue
        layer.channel_layer.write([other.event({"path": "/"})])
        assert begun.wait(PATIENCE)
        layer.channel_layer.write([socket.event({"path": "/stuck/"})])
        entries = socket.wait_for(2)
        assert texts(entries) == ["before"]
        assert read_done(entries[-1]).outcome == RAISED
        assert asked.wait(PATIENCE)
        assert worker.is_damaged
        go_on.set()
        assert texts(other.wait_for(1)) == ["neighbour"]
    assert "consumer was over its hard_limit of 0.5 s on websocket.receive /stuck/" in reasons[0]
    assert reasons[0].endswith(", and could not be cancelled")
    assert socket.received() == []
    assert layer.losses.counts == {"overdue": 1}


def test_a_kept_message_of_a_coroutine_is_delivered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if its first run holds the loop up, as soon as that is free."""
    monkeypatch.setattr(coroutine_runner, "GRACE", SHORT)
    go_on, again, asked = (threading.Event() for _ in range(3))
    runs: list[str] = []

    async def consumer(message: Message) -> None:
        runs.append("run")
        if len(runs) == 1:
            assert go_on.wait(PATIENCE)
        else:
            again.set()

    layer = layer_of(route("jobs", consumer, delivery="at-least-once", retries=1, hard_limit=LONG))
    with working(layer) as worker:
        worker.overdue = lambda reason: asked.set()
        layer.channel_layer.write([message("jobs")])
        assert asked.wait(PATIENCE)
        go_on.set()
        assert again.wait(PATIENCE)
    assert layer.channel_layer.dead_letters() == []


def test_an_answer_that_cannot_be_sent_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a coroutine that was given up; the process is to be replaced all the same."""
    monkeypatch.setattr(coroutine_runner, "GRACE", SHORT)
    go_on, asked = threading.Event(), threading.Event()

    class Away(MemoryChannelLayer):
        def open_custody(self) -> MemoryCustody:
            class Custody(MemoryCustody):
                def settle(self, *args: object) -> list[Refused]:
                    raise LayerUnavailable("it is away")

            return Custody(self)

    async def consumer(message: Message) -> None:
        assert go_on.wait(PATIENCE)

    layer = layer_of(route(RECEIVE, consumer, hard_limit=LONG), layer=Away())
    socket = Socket(layer)
    with working(layer) as worker:
        worker.overdue = lambda reason: asked.set()
        layer.channel_layer.write([socket.event({})])
        assert asked.wait(PATIENCE)
        go_on.set()
    assert layer.losses.counts["answers lost"] == 1


def test_a_thread_that_a_coroutine_leaves_stuck_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coroutine can be cancelled, but all that use the database share the thread: the process is to be replaced."""
    monkeypatch.setattr(coroutine_runner, "GRACE", SHORT)
    go_on, asked = threading.Event(), threading.Event()
    reasons: list[str] = []

    async def consumer(message: Message) -> None:
        await sync_to_async(go_on.wait)(PATIENCE)

    def overdue(reason: str) -> None:
        reasons.append(reason)
        asked.set()

    layer = layer_of(route(RECEIVE, consumer, hard_limit=LONG))
    socket = Socket(layer)
    with working(layer) as worker:
        worker.overdue = overdue
        layer.channel_layer.write([socket.event({})])
        (entry,) = socket.wait_for(1)
        assert read_done(entry).outcome == RAISED
        assert asked.wait(PATIENCE)
        assert worker.is_damaged
        go_on.set()
    assert reasons[0].endswith(", and holds up the thread of sync_to_async")


def test_the_stack_of_a_coroutine_that_holds_up_the_loop_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Down to where it is stuck."""
    go_on = threading.Event()

    def stuck_here() -> None:
        assert go_on.wait(PATIENCE)

    async def consumer(message: Message) -> None:
        stuck_here()
        reply(message, "done")

    layer = layer_of(route(RECEIVE, consumer, soft_limit=SHORT))
    socket = Socket(layer)
    with working(layer):
        layer.channel_layer.write([socket.event({})])
        text = Logged(caplog).wait_for("(soft_limit)")
        go_on.set()
        assert texts(socket.wait_for(1)) == ["done"]
    assert "assert go_on.wait(PATIENCE)" in text


def test_a_coroutine_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """Its client is answered, and nothing has to be replaced."""

    async def waits_here() -> None:
        await asyncio.sleep(PATIENCE * 2)

    async def consumer(message: Message) -> None:
        if message.get("fails"):
            await waits_here()
        reply(message, "here")

    layer = layer_of(route(RECEIVE, consumer, hard_limit=SHORT))
    socket = Socket(layer)
    with working(layer) as worker:
        layer.channel_layer.write([socket.event({"fails": True})])
        (entry,) = socket.wait_for(1)
        assert read_done(entry).outcome == RAISED
        layer.channel_layer.write([socket.event({})])
        assert texts(socket.wait_for(1)) == ["here"]
        assert not worker.is_damaged
    assert "consumer was over its hard_limit" in caplog.text
    assert "await waits_here()" in caplog.text
