from __future__ import annotations

import threading

import pytest

from channel_layers.envelope import EVENT, Envelope
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.inbox import MemoryInbox
from channel_layers.registry import Announcement
from tests.channel_layers.memory.waiting import Clock, Start


def test_nothing_is_kept_of_what_is_over(layer: MemoryChannelLayer) -> None:
    """Queues, slots, waiters, groups and inboxes leave nothing behind."""
    empty = [layer.queues._queues, layer.slots, layer.waiters, layer.groups, layer.inboxes]
    for _ in range(3):
        channel = layer.new_channel("body?")
        layer.send(channel, {})
        layer.receive([channel])
        event = Envelope(EVENT, "a", b"\x80", "test.p1!k1", 1)
        layer.write([event])
        assert layer.retract(event)
        layer.depth("other")
        layer.find_lost([event])
        with layer.open_slot() as slot:
            slot.take({"a": 1}, 1, 0.001)
        inbox = layer.inbox("test")
        layer.group_add("g", inbox.new_channel())
        layer.group_add("g", "member")
        layer.group_discard("g", "member")
        inbox.receive(0)
        inbox.close()
        layer.group_add("g", inbox.name + "1")
    assert [list(table) for table in empty] == [[]] * len(empty)


def test_threads_open_one_inbox_together(
    layer: MemoryChannelLayer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is first, all get reply channels that somebody reads."""
    barrier, open_inbox = threading.Barrier(4), layer.open_inbox

    def open_alone(kind: str) -> MemoryInbox:
        assert layer._opening.locked()
        return open_inbox(kind)

    monkeypatch.setattr(layer, "open_inbox", open_alone)

    def new_channel() -> str:
        barrier.wait(10)
        return layer.new_channel("test!")

    channels = [future.result(10) for future in [start(new_channel) for _ in range(4)]]
    assert list(layer.inboxes) == [layer.inbox("test").name]
    assert all(layer.inbox("test").holds(channel) for channel in channels)


def test_servers_of_one_process_have_names_of_their_own(layer: MemoryChannelLayer) -> None:
    """The first has the layer's name, a second one of its own."""
    one, other = layer.open_inbox("test"), layer.open_inbox("test")
    assert one.name == f"test.{layer.process}!"
    assert other.name not in (one.name, f"test.{layer.process}!")
    channel = other.new_channel()
    layer.send(channel, {})
    assert [list(channels) for channels, _ in other.receive(0)] == [[channel]]
    assert one.receive(0) == []


def test_the_layer_stays_within_its_process() -> None:
    """Commands that need another process look at this."""
    assert MemoryChannelLayer.crosses_processes is False


def test_dead_processes_are_not_listed(layer: MemoryChannelLayer, clock: Clock) -> None:
    """The clock is the layer's."""
    layer.announce(Announcement("w1"))
    clock.now += 60
    assert layer.processes() == []
