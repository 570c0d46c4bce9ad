"""Consumers that take too long."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest

from channel_layers.envelope import DONE, RAISED, Envelope, read_done
from channel_layers.memory import MemoryChannelLayer
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
