"""``async def`` consumers of a worker, many at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.utils import translation

from channel_layers.envelope import AGAIN, DONE, RAISED, Envelope, read_done
from channel_layers.exceptions import AnswerLost, LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemoryCustody
from channels import coroutines
from channels.channel import Channel
from channels.exceptions import ConsumeLater
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.routing import route
from tests.channel_layers.redis.server import until
from tests.channels.workers import PATIENCE, Socket, layer_of, message, taken, texts, working

RECEIVE = "websocket.receive"


def send(layer: ChannelLayerWrapper, *envelopes: Envelope) -> None:
    """Write ``envelopes``, none of which is refused."""
    assert layer.channel_layer.write(envelopes) == []


def reply(message: Message, text: str) -> None:
    """Send ``text`` to where ``message`` came from."""
    assert message.reply_channel is not None
    message.reply_channel.send({"text": text})


class Gate:
    """Consumers that wait until they may go on, and how many were waiting at most."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.waiting = self.most = 0
        self._events: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def __call__(self, message: Message) -> None:
        event = asyncio.Event()
        self._events.append((asyncio.get_running_loop(), event))
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.arrived.release()
        await event.wait()
        self.waiting -= 1

    def wait_for(self, n: int) -> None:
        for _ in range(n):
            assert self.arrived.acquire(timeout=PATIENCE)

    def open(self, n: int = 1) -> None:
        for _ in range(n):
            loop, event = self._events.pop(0)
            loop.call_soon_threadsafe(event.set)


def test_many_run_beside_one_slot() -> None:
    """None of them takes the slot, which goes on with other consumers."""
    gate = Gate()
    layer = layer_of(route("wait", gate), route(RECEIVE, lambda message: reply(message, "here")))
    send(layer, *[message("wait") for _ in range(50)])
    socket = Socket(layer)
    with working(layer):
        gate.wait_for(50)
        send(layer, socket.event({}))
        assert texts(socket.wait_for(1)) == ["here"]
        gate.open(50)
    assert taken(layer, "wait") == []
    assert layer.losses.counts == {}


def test_they_are_no_more_than_the_limit() -> None:
    """What has no room stays in its queue, for other workers, and comes when there is room."""
    gate = Gate()
    layer = layer_of(route("wait", gate))
    send(layer, *[message("wait") for _ in range(10)])
    with working(layer, threads=3, reserve={}, concurrency=4):
        for left in (6, 5, 4):
            gate.wait_for(4 if left == 6 else 1)
            gate.open()
        gate.wait_for(1)
        for _ in range(3):
            gate.open()
            gate.wait_for(1)
        gate.open(4)
    assert gate.most == 4
    assert taken(layer, "wait") == []


@pytest.mark.parametrize(("concurrency", "most"), [(3, 2), (20, 18)])
def test_background_never_takes_all(concurrency: int, most: int) -> None:
    """Where others come as well, room is kept for them: one in ten, and at least one."""
    background, foreground = Gate(), Gate()
    layer = layer_of(route("wait", background), route(RECEIVE, foreground))
    socket = Socket(layer)
    with working(layer, concurrency=concurrency):
        send(layer, *[message("wait") for _ in range(30)])
        background.wait_for(most)
        send(layer, socket.event({}))
        foreground.wait_for(1)
        foreground.open()
        for _ in range(30 - most):
            background.open()
            background.wait_for(1)
        background.open(most)
    assert background.most == most


@pytest.mark.parametrize("options", [{"concurrency": 3, "reserve": {}}, {"concurrency": 1}])
def test_nothing_is_kept_free_where_that_was_asked_for(options: dict[str, Any]) -> None:
    """By --reserve 0, or by room for one alone."""
    background, foreground = Gate(), Gate()
    layer = layer_of(route("wait", background), route(RECEIVE, foreground))
    n = options["concurrency"]
    with working(layer, **options):
        send(layer, *[message("wait") for _ in range(n)])
        background.wait_for(n)
        send(layer, Socket(layer).event({}))
        background.open(n)
        foreground.wait_for(1)
        foreground.open()
    assert background.most == n


def test_events_of_one_socket_stay_in_order() -> None:
    """The next begins when the one before has ended, with what it had sent; sessions travel with them."""

    async def consumer(message: Message) -> None:
        await asyncio.sleep(0)
        reply(message, message["text"])
        await asyncio.sleep(0)

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer, threads=2):
        for n in range(20):
            send(layer, socket.event({"text": f"{n} a"}, {"text": f"{n} b"}))
            entries = socket.wait_for(2)
            assert texts(entries) == [f"{n} a", f"{n} b"]
            assert entries[-1].token == socket.token


def test_sends_leave_while_it_waits() -> None:
    """A question is not held back until it is answered."""
    gate = Gate()

    async def consumer(message: Message) -> None:
        reply(message, "question")
        await gate(message)
        reply(message, "good bye")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({}))
        assert texts(socket.wait_for(1)) == ["question"]
        gate.wait_for(1)
        gate.open()
        assert texts(socket.wait_for(1)) == ["good bye"]


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()])
def test_one_that_raises_ends_alone(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises, its event is settled and the loop goes on."""

    async def consumer(message: Message) -> None:
        if message.get("fails"):
            raise error
        reply(message, "here")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"fails": True}))
        (entry,) = socket.wait_for(1)
        assert (entry.kind, read_done(entry).outcome) == (DONE, RAISED)
        send(layer, socket.event({}))
        assert texts(socket.wait_for(1)) == ["here"]
    assert "consumer raised on websocket.receive" in caplog.text


def test_they_steer_as_others_do() -> None:
    """What is wanted later comes again, in a lane and without one; the claim is kept meanwhile."""
    runs: list[str] = []
    done = threading.Event()

    async def consumer(message: Message) -> None:
        runs.append(message.channel_name)
        if runs.count(message.channel_name) < 2:
            raise ConsumeLater
        done.set()

    layer = layer_of(route([RECEIVE, "jobs"], consumer))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({}))
        (entry,) = socket.wait_for(1)
        assert read_done(entry).outcome == AGAIN
        send(layer, message("jobs"))
        assert not done.wait(0)
        assert done.wait(PATIENCE)
    assert runs == [RECEIVE, "jobs", "jobs"]
    assert taken(layer, "jobs") == []


def test_what_fails_is_delivered_again_and_set_aside() -> None:
    """As of consumers in slots."""
    runs: list[int] = []
    buried = threading.Event()

    class Layer(MemoryChannelLayer):
        def bury(self, envelope: Envelope, reason: str) -> None:
            super().bury(envelope, reason)
            buried.set()

    async def consumer(message: Message) -> None:
        runs.append(message["n"])
        raise ZeroDivisionError("no")

    layer = layer_of(route("jobs", consumer, delivery="at-least-once", retries=1), layer=Layer())
    with working(layer):
        Channel("jobs", channel_layer=layer).send({"n": 1})
        assert buried.wait(PATIENCE)
    assert runs == [1, 1]
    assert [letter.channel for letter in layer.channel_layer.dead_letters()] == ["jobs"]


def test_nothing_leaks_from_one_to_the_next() -> None:
    """Each has a context of its own."""
    found: list[str | None] = []

    async def consumer(message: Message) -> None:
        found.append(translation.get_language())
        translation.activate("fr")
        reply(message, "x")

    layer = layer_of(route(RECEIVE, consumer))
    socket = Socket(layer)
    with working(layer):
        for _ in range(3):
            send(layer, socket.event({}, {}))
            socket.wait_for(2)
    assert found == [translation.get_language()] * 6


def test_a_sync_route_of_the_same_channel_keeps_its_slot() -> None:
    """Each message goes where its own route says, also in one batch."""
    threads: list[str] = []

    async def awaited(message: Message) -> None:
        threads.append(threading.current_thread().name)
        reply(message, "awaited")

    def called(message: Message) -> None:
        threads.append(threading.current_thread().name)
        reply(message, "called")

    layer = layer_of(route(RECEIVE, awaited, kind="a"), route(RECEIVE, called))
    socket = Socket(layer)
    with working(layer):
        send(layer, socket.event({"kind": "a"}, {"kind": "b"}))
        assert texts(socket.wait_for(2)) == ["awaited", "called"]
    assert threads == ["channels-loop", "channels-worker-0"]


# -- a loop that is held up --------------------------------------------------------------------------------------------


def blocking(go_on: threading.Event, begun: threading.Semaphore) -> Any:
    """Return a consumer that holds the loop up if its message says so, and answers in the end."""

    async def consumer(message: Message) -> None:
        begun.release()
        if message.get("blocks"):
            assert go_on.wait(PATIENCE)
        reply(message, message["text"])

    return consumer


class Returning(MemoryChannelLayer):
    """Its custody fails with ``failures``, and then counts what is put back."""

    def __init__(self, *failures: LayerUnavailable) -> None:
        super().__init__()
        self.failures = [*failures]
        self.returned = threading.Semaphore(0)

    def open_custody(self) -> MemoryCustody:
        layer = self

        class Custody(MemoryCustody):
            def put_back(self, envelopes: Sequence[Envelope]) -> None:
                if layer.failures:
                    raise layer.failures.pop()
                super().put_back(envelopes)
                layer.returned.release(len(envelopes))

        custody = Custody(self)
        with self.lock:
            self.slots.add(custody)
        return custody


def test_what_waits_for_a_loop_goes_back(caplog: pytest.LogCaptureFixture) -> None:
    """Another worker may have it; when the loop is free this one takes messages again."""
    go_on, begun = threading.Event(), threading.Semaphore(0)
    returning = Returning()
    layer = layer_of(route(RECEIVE, blocking(go_on, begun)), route("jobs", lambda message: None), layer=returning)
    first, *others = [Socket(layer) for _ in range(6)]
    with working(layer):
        send(layer, first.event({"text": "first", "blocks": True}))
        assert begun.acquire(timeout=PATIENCE)
        events = [socket.event({"text": "other"}) for socket in others]
        send(layer, *events)
        for _ in events:
            assert returning.returned.acquire(timeout=PATIENCE)
        assert layer.channel_layer.find_lost(events) == []
        send(layer, message("jobs"))
        until(lambda: layer.channel_layer.depth("jobs") == 0)
        until(lambda: layer.channel_layer.depth(RECEIVE) == 5)
        go_on.set()
        for socket in (first, *others):
            assert texts(socket.wait_for(1))
    assert caplog.text == ""
    assert layer.losses.counts == {}


def test_putting_back_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """While the layer is away; what may be back already is not begun here."""
    go_on, begun = threading.Event(), threading.Semaphore(0)
    returning = Returning(AnswerLost("no answer came"), LayerUnavailable("it is away"))
    layer = layer_of(route(RECEIVE, blocking(go_on, begun)), layer=returning)
    first, other = Socket(layer), Socket(layer)
    with working(layer):
        send(layer, first.event({"text": "first", "blocks": True}))
        assert begun.acquire(timeout=PATIENCE)
        send(layer, other.event({"text": "other"}))
        assert returning.returned.acquire(timeout=PATIENCE)
        go_on.set()
        assert texts(other.wait_for(1)) == ["other"]
    assert begun.acquire(timeout=PATIENCE)
    assert not begun.acquire(timeout=0)
    assert caplog.text.count("could not be put back yet") == 2


class Failing(MemoryChannelLayer):
    """Its custody fails as often as ``failures`` says."""

    failures = 2
    error: LayerUnavailable

    def open_custody(self) -> MemoryCustody:
        layer = self

        class Custody(MemoryCustody):
            def settle(self, *args: Any) -> Any:
                layer.failures -= 1
                if layer.failures >= 0:
                    if isinstance(layer.error, AnswerLost):
                        super().settle(args[0], [])
                    raise layer.error
                return super().settle(*args)

        return Custody(self)


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_layer_that_is_away_is_waited_for(is_lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has certainly not left is written again; what may have arrived is not."""
    monkeypatch.setattr(coroutines, "PAUSE", 0.001)

    async def consumer(message: Message) -> None:
        reply(message, message["text"])

    backend = Failing()
    backend.error = (AnswerLost if is_lost else LayerUnavailable)("it is away")
    layer = layer_of(route(RECEIVE, consumer), layer=backend)
    first, second = Socket(layer), Socket(layer)
    with working(layer):
        send(layer, first.event({"text": "1"}))
        if is_lost:
            while backend.failures > 1:
                threading.Event().wait(0.001)
            backend.failures = 0
            send(layer, second.event({"text": "2"}))
            assert texts(second.wait_for(1)) == ["2"]
        else:
            assert texts(first.wait_for(1)) == ["1"]
    assert layer.losses.counts == ({"answers lost": 1} if is_lost else {})
