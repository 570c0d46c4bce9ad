"""What ends the wait of a slot, its races played out step by step."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from channel_layers.envelope import Envelope
from channel_layers.memory import MemoryChannelLayer
from channel_layers.memory.wakeup import ThreadWakeup
from tests.channel_layers.memory.waiting import CountedWaiters, Start


@pytest.mark.parametrize("woken", [True, False])
def test_an_aborted_wait_passes_its_wakeup_on(
    layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start, monkeypatch: pytest.MonkeyPatch, woken: bool
) -> None:
    """A slot whose thread is interrupted by a signal does not keep the message it was woken for."""
    slot, other = layer.open_slot(), layer.open_slot()

    def wait(wakeup: ThreadWakeup, timeout: float | None) -> None:
        monkeypatch.undo()
        take = start(other.take, {"a": 1}, 1, 10)
        waiters.wait_for(2)
        if woken:
            layer.send("a", {"n": 1})
        takes.append(take)
        raise KeyboardInterrupt

    takes: list[Future[list[Envelope]]] = []
    monkeypatch.setattr(ThreadWakeup, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        slot.take({"a": 1}, 1)
    assert slot not in waiters
    if not woken:
        layer.send("a", {"n": 1})
    assert len(takes[0].result(10)) == 1


def test_interrupt_wakes_a_slot_that_waits(layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start) -> None:
    """And does not end the take after it too."""
    slot = layer.open_slot()
    take = start(slot.take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    slot.interrupt()
    assert take.result(10) == []
    take = start(slot.take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    layer.send("a", {})
    assert len(take.result(10)) == 1


def test_a_message_and_an_interrupt_at_once(layer: MemoryChannelLayer, waiters: CountedWaiters, start: Start) -> None:
    """The message is taken, whichever of the two the slot hears of first."""
    slot = layer.open_slot()
    take = start(slot.take, {"a": 1}, 1, 10)
    waiters.wait_for(1)
    with layer.lock:
        layer._writer.put_all([layer.message("a", {})])
    slot.interrupt()
    assert len(take.result(10)) == 1


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_a_time_that_is_over_is_not_waited_for(layer: MemoryChannelLayer, timeout: float) -> None:
    """A caller that counts down to a deadline may arrive below zero."""
    assert layer.open_slot().take({"a": 1}, 1, timeout) == []
    assert layer.inbox("test").receive(timeout) == []
    assert layer.receive(["a"], block=True, timeout=timeout) == (None, None)


def test_put_back_of_what_was_not_taken_is_an_error(layer: MemoryChannelLayer) -> None:
    """A message is not put into a queue by a slot that does not hold it."""
    with pytest.raises(ValueError, match="not in list"):
        layer.open_slot().put_back([layer.message("a", {})])
    assert layer.depth("a") == 0
