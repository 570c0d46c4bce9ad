"""Which of the slots that wait are woken, its races played out step by step."""

from __future__ import annotations

from channel_layers.memory import MemoryChannelLayer
from tests.channel_layers.memory.waiting import CountedWaiters, Start


def test_a_message_wakes_one_slot(layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start) -> None:
    """The one that waits longest; the others sleep on until a message comes for them."""
    slots = [layer.open_slot() for _ in range(2)]
    takes = []
    for slot in slots:
        takes.append(start(slot.take, {"a": 1}, 1, 10))
        waiters.wait_for(1)
    layer.send("a", {})
    assert len(takes[0].result(10)) == 1
    assert list(waiters) == [slots[1]]
    layer.send("a", {})
    assert len(takes[1].result(10)) == 1


def test_as_many_slots_wake_as_are_needed(layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start) -> None:
    """A slot that wants many of a channel but may hold one leaves the others to other slots."""
    takes = [start(layer.open_slot().take, {"a": 64}, 1, 10) for _ in range(3)]
    waiters.wait_for(3)
    layer.send_many([("a", {})] * 3)
    assert not waiters
    assert [len(take.result(10)) for take in takes] == [1, 1, 1]


def test_a_slot_woken_for_one_message_may_take_another(
    layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start
) -> None:
    """The message it was woken for then wakes a slot that wants it, which nothing else would do."""
    takes = {}
    for wants in ("ab", "b"):
        takes[wants] = start(layer.open_slot().take, dict.fromkeys(wants, 1), 1, 10)
        waiters.wait_for(1)
    with layer.lock:  # "ab" is woken for b, and finds a as well before it comes to take
        layer._writer.put_all([layer.message("b", {})])
        layer._writer.put_all([layer.message("a", {})])
    assert [envelope.target for envelope in takes["ab"].result(10)] == ["a"]
    assert not waiters
    assert [envelope.target for envelope in takes["b"].result(10)] == ["b"]


def test_put_back_wakes_a_slot(layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start) -> None:
    """What one slot gives up need not wait for it, where another is idle."""
    layer.send("a", {})
    slot = layer.open_slot()
    taken = slot.take({"a": 1}, 1)
    take = start(layer.open_slot().take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    slot.put_back(taken)
    assert take.result(10) == taken
