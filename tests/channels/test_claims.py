"""What becomes of messages whose run has not ended well."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from channel_layers.dead import DeadLetter
from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.slot import MemoryCustody, MemorySlot
from channel_layers.slot import Custody
from channels import claims
from channels.channel import Channel
from channels.exceptions import ConsumeLater
from channels.layers import ChannelLayerWrapper
from channels.message import Message
from channels.routing import route
from channels.watchdog import Watchdog
from tests.channels.workers import PATIENCE, layer_of, message, taken, working

AT_LEAST_ONCE = "at-least-once"


class Watched(MemoryChannelLayer):
    """Tells when a message has been set aside."""

    def __init__(self) -> None:
        super().__init__()
        self.buried = threading.Semaphore(0)

    def bury(self, envelope: Envelope, reason: str) -> None:
        super().bury(envelope, reason)
        self.buried.release()


def set_aside(layer: ChannelLayerWrapper, n: int = 1) -> list[DeadLetter]:
    """Wait until ``n`` messages were set aside, and return all that are."""
    backend = layer.channel_layer
    assert isinstance(backend, Watched)
    for _ in range(n):
        assert backend.buried.acquire(timeout=PATIENCE)
    return backend.dead_letters()


def test_a_run_that_raises_is_repeated_and_then_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as the route says; what it had sent and what had not left is sent by none of them."""
    monkeypatch.setattr(Watchdog, "wake", lambda watchdog: None)  # it lets go what a slow run has sent
    runs: list[int] = []

    def consumer(message: Message) -> None:
        runs.append(message["n"])
        Channel("results", channel_layer=layer).send({})
        raise ZeroDivisionError("no")

    layer = layer_of(route("jobs", consumer, delivery=AT_LEAST_ONCE, retries=2), layer=Watched())
    with working(layer):
        Channel("jobs", channel_layer=layer).send({"n": 1})
        (letter,) = set_aside(layer)
    assert runs == [1, 1, 1]
    assert letter.reason.endswith("consumer raised ZeroDivisionError: no; it was delivered 3 times")
    assert (letter.channel, letter.decoded(), letter.redelivered) == ("jobs", {"n": 1}, 2)
    assert taken(layer, "results") == []
    assert layer.losses.counts == {"set aside": 1}


def test_a_run_that_succeeds_in_the_end_is_the_last() -> None:
    """Then the message is done, and so is what waits behind it."""
    runs: list[int] = []
    done = threading.Event()

    def consumer(message: Message) -> None:
        runs.append(message["n"])
        if runs.count(1) < 3 and message["n"] == 1:
            raise ZeroDivisionError
        if len(runs) == 4:
            done.set()

    layer = layer_of(route("jobs", consumer, delivery=AT_LEAST_ONCE))
    with working(layer):
        layer.channel_layer.send_many([("jobs", {"n": 1}), ("jobs", {"n": 2})])
        assert done.wait(PATIENCE)
    assert sorted(runs) == [1, 1, 1, 2]
    assert layer.channel_layer.dead_letters() == []
    assert taken(layer, "jobs") == []


def test_an_ordinary_run_that_raises_is_gone() -> None:
    """At most once: only what can never be handled is set aside."""
    ran = threading.Semaphore(0)

    def consumer(message: Message) -> None:
        ran.release()
        raise ZeroDivisionError

    layer = layer_of(route("jobs", consumer), layer=Watched())
    with working(layer):
        Channel("jobs", channel_layer=layer).send({})
        assert ran.acquire(timeout=PATIENCE)
    assert layer.channel_layer.dead_letters() == []
    assert taken(layer, "jobs") == []


def test_poison_is_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be decoded, has no consumer, or is wanted later for ever; the worker goes on, and says so once."""
    ran = threading.Event()

    def later(message: Message) -> None:
        raise ConsumeLater

    layer = layer_of(route("jobs", lambda message: ran.set(), kind="good"), route("later", later), layer=Watched())
    with working(layer, message_retries=1):
        poison = [
            Envelope(MESSAGE, "jobs", b"\xc1"),
            *[message("jobs", kind="bad") for _ in range(3)],
            message("later"),
        ]
        assert layer.channel_layer.write([*poison, message("jobs", kind="good")]) == []
        letters = set_aside(layer, 5)
        assert ran.wait(PATIENCE)
    reasons = sorted(letter.reason.partition(":")[0] for letter in letters)
    assert reasons[0] == "it cannot be decoded"
    assert [reason.partition(".")[0] for reason in reasons[1:4]] == ["no consumer for it"] * 3
    assert reasons[4].endswith("later asked for it 1 times again")
    assert layer.losses.counts["set aside"] == 5
    assert sum("was set aside" in text for text in caplog.messages) == 1


def test_what_is_wanted_later_is_claimed_meanwhile() -> None:
    """So the layer knows of it while it waits in the worker."""
    wanted, go_on = threading.Semaphore(0), threading.Event()

    def later(message: Message) -> None:
        wanted.release()
        if not go_on.is_set():
            raise ConsumeLater

    layer = layer_of(route("jobs", later))
    envelope = message("jobs")
    with working(layer) as worker:
        layer.channel_layer.write([envelope])
        assert wanted.acquire(timeout=PATIENCE)
        assert wanted.acquire(timeout=PATIENCE)
        go_on.set()
        assert wanted.acquire(timeout=PATIENCE)
    assert isinstance(worker.custody, MemoryCustody)
    assert worker.custody.claimed == []


class Away(Watched):
    """Is away as often as ``failures`` says when claims are handed over."""

    failures = 0

    def open_slot(self, retries: object = None) -> MemorySlot:
        layer = self

        class Slot(MemorySlot):
            def hand_over(self, envelopes: Sequence[Envelope], custody: Custody) -> None:
                layer.failures -= 1
                if layer.failures >= 0:
                    raise LayerUnavailable("it is away")
                super().hand_over(envelopes, custody)

        slot = Slot(self, retries or {})  # type: ignore[arg-type]
        with self.lock:
            self.slots.add(slot)
        return slot


def test_a_layer_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that must not be lost stays claimed until the layer is back."""
    monkeypatch.setattr(claims, "PAUSE", 0.001)

    def consumer(message: Message) -> None:
        raise ZeroDivisionError

    backend = Away()
    backend.failures = 3
    layer = layer_of(route("jobs", consumer, delivery=AT_LEAST_ONCE, retries=0), layer=backend)
    with working(layer):
        Channel("jobs", channel_layer=layer).send({})
        assert len(set_aside(layer)) == 1
    assert layer.losses.counts["not given back"] == 3


def test_a_worker_that_stops_waits_for_no_layer() -> None:
    """What it could not give back is delivered again once it has ended."""
    raised = threading.Event()

    def consumer(message: Message) -> None:
        raised.set()
        raise ZeroDivisionError

    backend = Away()
    backend.failures = 1000
    layer = layer_of(route("jobs", consumer, delivery=AT_LEAST_ONCE, retries=1), layer=backend)
    with working(layer):
        Channel("jobs", channel_layer=layer).send({"n": 1})
        assert raised.wait(PATIENCE)
    assert backend.failures < 1000
