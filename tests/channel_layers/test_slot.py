from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest

from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.slot import Custody, Refused, Slot


class StandIn(Slot):
    """A slot with the twins of the base class; its take waits for :meth:`put` or :meth:`interrupt`."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.woken = threading.Event()
        self.queue: list[Envelope] = []
        self.claimed: list[Envelope] = []
        self.closed = False

    def take(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        self.waiting.set()
        assert self.woken.wait(10)
        self.claimed, self.queue = self.queue, []
        return list(self.claimed)

    def settle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        self.claimed = []
        return [Refused(envelope, ValueError()) for envelope in envelopes]

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        self.claimed = []
        self.queue[:0] = envelopes

    def hand_over(self, envelopes: Sequence[Envelope], custody: Custody) -> None:
        raise NotImplementedError

    def interrupt(self) -> None:
        self.woken.set()

    def close(self) -> None:
        self.closed = True

    def put(self, envelope: Envelope) -> None:
        self.queue.append(envelope)
        self.woken.set()


@pytest.fixture
def slot() -> StandIn:
    """A slot whose queue is empty."""
    return StandIn()


def test_the_twins_do_what_the_verbs_do(slot: StandIn) -> None:
    """A backend without coroutines of its own has them by threads."""
    envelope = Envelope(MESSAGE, "a")
    slot.put(envelope)
    assert asyncio.run(slot.atake({"a": 1}, 1)) == [envelope]
    ((refused, _),) = asyncio.run(slot.asettle([envelope]))
    assert refused is envelope
    assert slot.claimed == []


@pytest.mark.parametrize("arrives", [True, False])
def test_a_cancelled_take_ends_and_puts_back_what_it_took(slot: StandIn, arrives: bool) -> None:
    """Its thread does not wait for ever, and a message that came in time is in its queue again."""
    envelope = Envelope(MESSAGE, "a")

    async def main() -> None:
        taking = asyncio.create_task(slot.atake({"a": 1}, 1))
        await asyncio.to_thread(slot.waiting.wait)
        if arrives:
            slot.put(envelope)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking

    asyncio.run(main())
    assert slot.woken.is_set()
    assert slot.queue == [envelope] * arrives
    assert slot.claimed == []


def test_a_slot_is_closed_by_with(slot: StandIn) -> None:
    """Also when the block raises."""
    with pytest.raises(ZeroDivisionError), slot:
        1 / 0  # noqa: B018 - the error is the point
    assert slot.closed
