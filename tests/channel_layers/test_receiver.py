from __future__ import annotations

import asyncio
import threading

import pytest

from channel_layers.envelope import MESSAGE, Envelope, done
from channel_layers.exceptions import InvalidName
from channel_layers.memory import MemoryChannelLayer
from channel_layers.receiver import Receiver


@pytest.fixture
def layer() -> MemoryChannelLayer:
    """A layer that holds nothing."""
    return MemoryChannelLayer()


@pytest.fixture
def receiver(layer: MemoryChannelLayer) -> Receiver:
    """A receiver of that layer."""
    return Receiver(layer)


def test_no_claim_is_left_behind(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """What was received was settled, and the slot it was taken with is gone."""
    layer.send("a", {"n": 1})
    assert receiver.receive(["a"], 0) == ("a", {"n": 1})
    assert asyncio.run(receiver.areceive(["a"], 0)) == (None, None)
    assert not layer.slots
    assert not layer.waiters


def test_entries_that_are_no_messages_are_passed_over(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """A done concerns a server that reads its inbox itself."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.write([done(channel, 1), layer.message(channel, {"n": 1})])
    assert receiver.receive([inbox.name], 0) == (channel, {"n": 1})
    layer.write([done(channel, 1)])
    assert receiver.receive([inbox.name], 0) == (None, None)


def test_messages_of_a_group_are_received_one_by_one(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """Each member's by itself, as 1.x had it."""
    inbox = layer.inbox("test")
    channels = [inbox.new_channel() for _ in range(3)]
    for channel in channels:
        layer.group_add("g", channel)
    layer.send_group("g", {})
    assert [receiver.receive([inbox.name], 0) for _ in range(4)] == [(c, {}) for c in channels] + [(None, None)]


def test_clear_forgets_what_was_read(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """After a flush nothing comes that was sent before."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.send_many([(channel, {"n": 1}), (channel, {"n": 2})])
    assert receiver.receive([inbox.name], 0) == (channel, {"n": 1})
    receiver.clear()
    assert receiver.receive([inbox.name], 0) == (None, None)


def test_a_coroutine_receives_from_queues_and_inboxes(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """What was read and not returned comes first, without another look."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()

    async def main() -> None:
        await layer.asend_many([("a", {"n": 0}), (channel, {"n": 1}), (channel, {"n": 2})])
        assert await receiver.areceive(["a"], None) == ("a", {"n": 0})
        assert await receiver.areceive([inbox.name], None) == (channel, {"n": 1})
        assert await receiver.areceive([inbox.name], None) == (channel, {"n": 2})
        assert await receiver.areceive([inbox.name], 0.001) == (None, None)
        assert await receiver.areceive([], None) == (None, None)

    asyncio.run(main())
    assert receiver.receive([], None) == (None, None)


def test_a_message_that_cannot_be_decoded_is_settled(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """It raises once and does not come again, at most once being the rule."""
    layer.write([Envelope(MESSAGE, "a", b"\xc1")])
    with pytest.raises(ValueError, match="malformed"):
        receiver.receive(["a"], 0)
    assert receiver.receive(["a"], 0) == (None, None)
    assert layer.losses.counts.total() == 0


@pytest.mark.parametrize("timeout", [0, None])
def test_names_are_checked_before_anything_is_read(
    layer: MemoryChannelLayer, receiver: Receiver, timeout: float | None
) -> None:
    """A list with one bad name takes nothing from the good ones."""
    layer.send("a", {})
    for channels in (["a", "b c"], ["a", "other.p1!"], ["other.p1!"]):
        with pytest.raises(InvalidName):
            receiver.receive(channels, timeout)
        with pytest.raises(InvalidName):
            asyncio.run(receiver.areceive(channels, timeout))
    assert layer.depth("a") == 1


def test_a_cancelled_look_into_an_inbox_keeps_what_it_read(layer: MemoryChannelLayer, receiver: Receiver) -> None:
    """The thread that reads also keeps, so a coroutine that is gone by then loses nothing."""
    inbox = layer.inbox("test")
    channel = inbox.new_channel()
    layer.send(channel, {"n": 1})
    reading, go_on = threading.Event(), threading.Event()
    read = inbox.receive

    def read_slowly(timeout: float | None = None) -> object:
        reading.set()
        assert go_on.wait(10)
        return read(timeout)

    async def main() -> None:
        inbox.receive = read_slowly  # type: ignore[method-assign, assignment]  # a layer that takes its time
        looking = asyncio.create_task(receiver.areceive([inbox.name], 0))
        await asyncio.to_thread(reading.wait)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        inbox.receive = read  # type: ignore[method-assign]  # as it was
        go_on.set()

    asyncio.run(main())  # waits for its threads at the end
    assert receiver.receive([inbox.name], 0) == (channel, {"n": 1})
