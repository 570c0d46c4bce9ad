"""Slots of the in-memory layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from channel_layers.envelope import Envelope
from channel_layers.memory.wakeup import LoopWakeup, ThreadWakeup
from channel_layers.slot import Refused, Slot

if TYPE_CHECKING:
    from channel_layers.memory.layer import MemoryChannelLayer

Wakeup = TypeVar("Wakeup", ThreadWakeup, LoopWakeup)


class Waiter(NamedTuple):
    """What a slot waits for, and how to wake it."""

    wants: Mapping[str, int]
    limit: int
    wakeup: ThreadWakeup | LoopWakeup


class MemorySlot(Slot):
    """A slot of the in-memory layer."""

    def __init__(self, layer: MemoryChannelLayer) -> None:
        self.claimed: list[Envelope] = []
        self._layer = layer
        self._rotation = 0
        self._interrupted = False

    def take(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        """Claim messages; see :meth:`channel_layers.slot.Slot.take`."""
        taken, wakeup = self._take_or_wait(wants, limit, timeout, ThreadWakeup)
        if wakeup is not None:
            try:
                wakeup.wait(timeout)
            except BaseException:
                self._give_up_waiting(wants)
                raise
            taken = self._take_after_waiting(wants, limit)
        self._layer.losses.report()
        return taken

    async def atake(self, wants: Mapping[str, int], limit: int, timeout: float | None = None) -> list[Envelope]:
        """As :meth:`take`; a call that is cancelled takes nothing."""
        taken, wakeup = self._take_or_wait(wants, limit, timeout, LoopWakeup)
        if wakeup is not None:
            try:
                await wakeup.wait(timeout)
            except BaseException:
                self._give_up_waiting(wants)
                raise
            taken = self._take_after_waiting(wants, limit)
        self._layer.losses.report()
        return taken

    def settle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and end every claim."""
        refused = self._layer.write(envelopes) if envelopes else []
        with self._layer.lock:
            self.claimed.clear()
        return refused

    async def asettle(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`settle`."""
        refused = await self._layer.awrite(envelopes) if envelopes else []
        with self._layer.lock:
            self.claimed.clear()
        return refused

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """Return claimed messages to the head of their queues, in their old order."""
        layer = self._layer
        with layer.lock:
            for envelope in envelopes:
                self.claimed.remove(envelope)
            layer.queues.put_back(envelopes)
            layer.wake_takers({envelope.target for envelope in envelopes})

    def interrupt(self) -> None:
        """Make a take that waits, or else the next one, return at once."""
        with self._layer.lock:
            self._interrupted = True
            waiter = self._layer.waiters.get(self)
            if waiter is not None:
                waiter.wakeup.wake()

    def close(self) -> None:
        """Give the slot up; what it had claimed and not settled is lost, and counted."""
        layer = self._layer
        with layer.lock:
            layer.slots.discard(self)
            lost, self.claimed = self.claimed, []
        if lost:
            layer.losses.count("worker died", f"{len(lost)} messages were taken and never finished", len(lost))

    def _take_or_wait(
        self, wants: Mapping[str, int], limit: int, timeout: float | None, wakeup: Callable[[], Wakeup]
    ) -> tuple[list[Envelope], Wakeup | None]:
        """Return what could be taken, and what to wait with if that is nothing."""
        with self._layer.lock:
            taken = self._grab(wants, limit)
            if taken or (timeout is not None and timeout <= 0) or self._consume_interrupt():
                return taken, None
            waking = wakeup()
            self._layer.waiters[self] = Waiter(wants, limit, waking)
            return taken, waking

    def _take_after_waiting(self, wants: Mapping[str, int], limit: int) -> list[Envelope]:
        layer = self._layer
        with layer.lock:
            layer.waiters.pop(self, None)
            self._consume_interrupt()
            taken = self._grab(wants, limit)
            # It may have taken another message than the one it was woken for: that one needs another slot.
            layer.wake_takers(wants)
            return taken

    def _give_up_waiting(self, wants: Mapping[str, int]) -> None:
        with self._layer.lock:
            self._layer.waiters.pop(self, None)
            self._layer.wake_takers(wants)

    def _grab(self, wants: Mapping[str, int], limit: int) -> list[Envelope]:
        taken: list[Envelope] = []
        queues = self._layer.queues
        for channel in self._rotated(wants):
            wanted = min(wants[channel], limit - len(taken))
            while wanted > 0 and (envelope := queues.pop(channel)) is not None:
                taken.append(envelope)
                wanted -= 1
        self.claimed += taken
        return taken

    def _rotated(self, wants: Mapping[str, int]) -> list[str]:
        self._rotation += 1
        channels = list(wants)
        first = self._rotation % len(channels) if channels else 0
        return channels[first:] + channels[:first]

    def _consume_interrupt(self) -> bool:
        interrupted, self._interrupted = self._interrupted, False
        return interrupted
