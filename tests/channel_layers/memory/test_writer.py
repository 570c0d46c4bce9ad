"""What senders wait for, and hear of what was not sent."""

from __future__ import annotations

import asyncio
import logging
import threading
from types import SimpleNamespace

import pytest

from channel_layers.envelope import DONE, MESSAGE, done
from channel_layers.losses import Losses
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.inbox import MemoryInbox
from tests.channel_layers.memory.waiting import Clock, Start


def test_a_log_handler_may_use_the_layer(
    layer: MemoryChannelLayer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Drops are logged when the layer's lock is free again."""

    class Sending(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert not layer.lock.locked()
            layer.send("log", {"text": record.getMessage()})

    handler, logger = Sending(), logging.getLogger("channel_layers")
    inbox = layer.inbox("test")
    layer.inbox_capacity = 1
    layer.group_add("g", "member")
    layer.group_add("g", inbox.new_channel())
    layer.send_many([("member", {})] * layer.capacity)
    layer.send("a", {})
    logger.addHandler(handler)
    try:
        layer.send_group("g", {})
        assert layer.depth("log") == 2
        clock.now += 61
        layer.receive(["a"])
        assert layer.depth("log") == 3
        layer.group_add("h", "member")
        layer.send_many([("member", {})] * layer.capacity)
        layer.losses = Losses(logger)
        asyncio.run(layer.asend_group("h", {}))
        assert layer.depth("log") == 4
    finally:
        logger.removeHandler(handler)


def test_refusals_are_counted_and_not_logged(layer: MemoryChannelLayer, caplog: pytest.LogCaptureFixture) -> None:
    """The sender has an exception to show for it."""
    layer.send_many([("a", {})] * layer.capacity)
    with pytest.raises(layer.ChannelFull):
        layer.send("a", {})
    assert layer.losses.counts == {"channel full": 1}
    assert caplog.messages == []


def test_a_sender_waits_no_longer_than_its_time_for_a_whole_write(
    layer: MemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many messages do not fit, and into however many inboxes."""
    waits: list[float] = []

    def wait_for_room(inbox: MemoryInbox, timeout: float) -> None:
        waits.append(timeout)

    monkeypatch.setattr("channel_layers.memory.writer.time", SimpleNamespace(monotonic=lambda: sum(waits)))
    monkeypatch.setattr(MemoryInbox, "wait_for_room", wait_for_room)
    layer.inbox_capacity = 1
    channels = [layer.new_channel("one!"), layer.new_channel("other!")]
    layer.send_many((channel, {}) for channel in channels)
    with pytest.raises(layer.ChannelFull):
        layer.send_many((channel, {}) for channel in channels * 3)
    assert waits == [layer.send_timeout]
    assert layer.losses.counts == {"inbox full": 6}


def test_a_sender_waits_again_if_another_was_quicker(
    layer: MemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room that was made and taken at once is no room."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    waits = iter(["taken", "free"])

    def wait_for_room(self: MemoryInbox, timeout: float) -> None:
        inbox.receive(0)
        if next(waits) == "taken":
            layer.send(channel, {"n": 1})

    monkeypatch.setattr(MemoryInbox, "wait_for_room", wait_for_room)
    layer.send(channel, {"n": 0})
    layer.send(channel, {"n": 2})
    assert list(waits) == []
    assert layer.receive([inbox.name]) == (channel, {"n": 2})


@pytest.mark.parametrize("carried", [True, False])
def test_done_waits_for_all_messages_of_its_run(
    layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event, carried: bool
) -> None:
    """Also for those to other processes: the next event of the lane must not overtake them."""
    layer.inbox_capacity = 1
    slow, own = layer.inbox("slow"), layer.inbox("own")
    channel, owner = slow.new_channel(), own.new_channel()
    layer.send(channel, {"n": 0})
    end = done(owner, 1)
    if carried:
        end = layer.message(owner, {})
        end.token = 1
    settling = start(layer.open_slot().settle, [layer.message(channel, {"n": 1}), end])
    assert waiting_for_room.wait(10)
    assert own.receive(0) == []
    assert [envelope.kind for _, envelope in slow.receive(0)] == [MESSAGE]
    assert settling.result(10) == []
    assert [envelope.kind for _, envelope in slow.receive(0)] == [MESSAGE]
    assert [envelope.kind for _, envelope in own.receive(0)] == [MESSAGE if carried else DONE]


def test_later_entries_of_a_write_do_not_pass_one_that_waits(
    layer: MemoryChannelLayer, start: Start, waiting_for_room: threading.Event
) -> None:
    """A join behind a message that waits for room comes after it."""
    layer.inbox_capacity = 1
    inbox = layer.inbox("test")
    one, other = inbox.new_channel(), inbox.new_channel()
    layer.send(one, {})
    writing = start(layer.write, [layer.message(one, {"n": 1}), layer.joining("g", other)])
    assert waiting_for_room.wait(10)
    inbox.receive(0)
    assert writing.result(10) == []
    assert [envelope.kind for _, envelope in inbox.receive(0)] == [MESSAGE]
    assert inbox.members("g") == (other,)
