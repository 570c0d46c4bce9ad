from __future__ import annotations

import asyncio
import threading

from channel_layers.envelope import GAP, GROUP, MESSAGE
from channel_layers.memory import MemoryChannelLayer
from tests.channel_layers.memory.waiting import Clock, Start


def test_closing_an_inbox_lets_waiting_senders_go(
    layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event
) -> None:
    """The connection is gone, and what was for it is discarded."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.send(channel, {})
    sending = start(layer.send, channel, {})
    assert waiting_for_room.wait(10)
    inbox.close()
    assert sending.result(10) is None
    assert inbox.receive(0) == []


def test_a_flush_makes_room(layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event) -> None:
    """A sender that waits goes on, and a gap is marked anew."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    layer.send_group("g", {})
    sending = start(layer.send, channel, {"n": 1})
    assert waiting_for_room.wait(10)
    layer.flush()
    assert sending.result(10) is None
    assert [envelope.kind for _, envelope in inbox.receive(0)] == [MESSAGE]
    layer.group_add("g", channel)
    assert inbox.receive(0) == []
    for _ in range(3):
        layer.send_group("g", {})
    assert [envelope.kind for _, envelope in inbox.receive(0)] == [GROUP, GAP]


def test_a_member_is_listed_between_reading_and_resolving(layer: MemoryChannelLayer) -> None:
    """A join or leave that the reader holds in its hands counts for those who ask meanwhile."""
    inbox = layer.inbox("test")
    one, other = inbox.new_channel(), inbox.new_channel()
    layer.group_add("g", one)
    inbox.receive(0)
    layer.group_add("g", other)
    layer.group_discard("g", one)
    held = inbox._read(0)
    assert layer.group_channels("g") == [other]
    inbox._resolve_all(held)
    assert layer.group_channels("g") == [other]


def test_a_registration_that_is_gone_is_not_withdrawn_twice(layer: MemoryChannelLayer, clock: Clock) -> None:
    """After a flush there is nothing to withdraw, and a newer registration is left alone."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.group_add("g", channel)
    inbox.receive(0)
    inbox.forget(channel)
    layer.flush()
    clock.now += 11
    inbox.beat()
    assert layer.groups == {}
    layer.groups["h"] = {inbox.name: clock.now}
    inbox._withdraw("h", clock.now - 1)
    assert layer.groups == {"h": {inbox.name: clock.now}}


def test_the_inbox_of_a_loop_that_is_gone_can_be_sent_to(layer: MemoryChannelLayer) -> None:
    """A server that stopped without closing its inbox harms no sender; another reader finds the message."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()

    async def main() -> None:
        reading = asyncio.create_task(inbox.areceive())
        await asyncio.sleep(0)
        reading.cancel()

    asyncio.run(main())
    layer.send(channel, {})
    assert len(inbox.receive(0)) == 1
