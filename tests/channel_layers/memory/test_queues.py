from __future__ import annotations

import pytest

from channel_layers.body import LIFETIME
from channel_layers.envelope import EVENT, Envelope
from channel_layers.memory import MemoryChannelLayer
from channel_layers.registry import Announcement
from tests.channel_layers.memory.waiting import Clock


def test_expired_messages_are_counted_and_logged(
    layer: MemoryChannelLayer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is dropped silently, whoever comes across it."""
    layer.send_many([("a", {})] * 3)
    clock.now += 61
    assert layer.receive(["a"]) == (None, None)
    assert layer.losses.counts == {"expired": 3}
    assert caplog.messages == ["a message on 'a' was not taken within 60.0 s (expired: 3 since the last such line)"]
    assert not layer.queues._queues


def test_messages_behind_an_event_expire_too(layer: MemoryChannelLayer, clock: Clock) -> None:
    """The event is taken, the old message behind it is not."""
    layer.write([Envelope(EVENT, "a", b"\x80", "test.p1!k1", 1), layer.message("a", {})])
    clock.now += 61
    with layer.open_slot() as slot:
        assert [envelope.kind for envelope in slot.take({"a": 5}, 5, 0)] == [EVENT]
        slot.settle([])
    assert layer.depth("a") == 0


def test_what_nobody_reads_expires_with_the_heartbeats(layer: MemoryChannelLayer, clock: Clock) -> None:
    """The body of a request whose consumer is gone has no reader that would find it too old, nor an owner."""
    owned = Envelope(EVENT, "a", b"\x80", "test.p1!k1", 1)
    layer.write([Envelope(EVENT, "body?k", b"\x80"), layer.message("b", {}), owned])
    clock.now += 61
    layer.send("c", {})
    layer.announce(Announcement("w1"))
    assert [layer.depth(channel) for channel in ("body?k", "b", "a", "c")] == [0, 0, 1, 1]
    assert set(layer.queues._queues) == {"a", "c"}
    assert layer.losses.counts == {"expired": 2}
    layer.write([Envelope(EVENT, "body?k", b"\x80", "test.p1!k2", 2)])
    clock.now += LIFETIME + 1
    layer.announce(Announcement("w1"))
    assert layer.depth("body?k") == 0
    assert layer.losses.counts == {"expired": 3}, "of 'c', and not of a body that somebody has not read to its end"
