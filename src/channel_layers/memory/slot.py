"""Slots of the in-memory layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from channel_layers.envelope import Envelope
from channel_layers.memory import dead
from channel_layers.memory.waiters import Waiter
from channel_layers.memory.wakeup import LoopWakeup, ThreadWakeup
from channel_layers.slot import Custody, Refused, Slot

if TYPE_CHECKING:
    from channel_layers.memory.layer import MemoryChannelLayer

Wakeup = TypeVar("Wakeup", ThreadWakeup, LoopWakeup)


class MemorySlot(Slot):
    """A slot of the in-memory layer."""

    def __init__(self, layer: MemoryChannelLayer, retries: Mapping[str, int]) -> None:
        self.claimed: list[Envelope] = []
        self._layer = layer
        self._retries = retries
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
            layer.waiters.wake({envelope.target for envelope in envelopes})

    def hand_over(self, envelopes: Sequence[Envelope], custody: Custody) -> None:
        """Let ``custody`` hold the claims of ``envelopes``."""
        assert isinstance(custody, MemoryCustody)
        with self._layer.lock:
            for envelope in [each for each in envelopes if each in self.claimed]:
                self.claimed.remove(envelope)
                custody.hold(envelope, self._retries_of(envelope))

    def interrupt(self) -> None:
        """Make a take that waits, or else the next one, return at once."""
        with self._layer.lock:
            self._interrupted = True
            waiter = self._layer.waiters.get(self)
            if waiter is not None:
                waiter.wakeup.wake()

    def close(self) -> None:
        """Give the slot up; what it had claimed and not settled is lost, and counted, or delivered again."""
        with self._layer.lock:
            self._layer.slots.discard(self)
            claimed, self.claimed = self.claimed, []
        dead.give_up([(envelope, self._retries_of(envelope)) for envelope in claimed], self._layer)

    async def aclose(self) -> None:
        """As :meth:`close`, which waits for nobody."""
        self.close()

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
            layer.waiters.wake(wants)
            return taken

    def _give_up_waiting(self, wants: Mapping[str, int]) -> None:
        with self._layer.lock:
            self._layer.waiters.pop(self, None)
            self._layer.waiters.wake(wants)

    def _grab(self, wants: Mapping[str, int], limit: int) -> list[Envelope]:
        taken: list[Envelope] = []
        queues, spare = self._layer.queues, 1
        for channel in self._rotated(wants):
            wanted = min(wants[channel], limit - len(taken))
            if channel in self._retries:  # a run that ends the process is counted against one message, not several
                wanted = min(wanted, spare)
                spare -= bool(wanted and queues[channel])
            while wanted > 0 and (envelope := queues.pop(channel)) is not None:
                taken.append(envelope)
                wanted -= 1
        self.claimed += taken
        return taken

    def _retries_of(self, envelope: Envelope) -> int:
        """Return how often a message may be delivered again, or -1: an event is its server's affair."""
        return -1 if envelope.owner else self._retries.get(envelope.target, -1)

    def _rotated(self, wants: Mapping[str, int]) -> list[str]:
        self._rotation += 1
        channels = list(wants)
        first = self._rotation % len(channels) if channels else 0
        return channels[first:] + channels[:first]

    def _consume_interrupt(self) -> bool:
        interrupted, self._interrupted = self._interrupted, False
        return interrupted


class MemoryCustody(Custody):
    """A custody of the in-memory layer."""

    def __init__(self, layer: MemoryChannelLayer) -> None:
        self._layer = layer
        self._held: dict[int, tuple[Envelope, int]] = {}

    @property
    def claimed(self) -> list[Envelope]:
        """What it holds; under the layer's lock."""
        return [envelope for envelope, _ in self._held.values()]

    def hold(self, envelope: Envelope, retries: int) -> None:
        """Hold the claim of ``envelope``, which may be delivered again so many times; under the layer's lock."""
        self._held[id(envelope)] = envelope, retries

    def settle(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and end the claims of ``ended``."""
        refused = self._layer.write(envelopes) if envelopes else []
        self._end(ended)
        return refused

    async def asettle(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`settle`."""
        refused = await self._layer.awrite(envelopes) if envelopes else []
        self._end(ended)
        return refused

    def send_back(self, envelope: Envelope, replacement: Envelope) -> None:
        """End a claim and put ``replacement`` at the end of its queue."""
        with self._layer.lock:
            if self._held.pop(id(envelope), None) is not None:
                self._layer.queues.append(replacement)
                self._layer.waiters.wake([replacement.target])

    def put_back(self, envelopes: Sequence[Envelope]) -> None:
        """End claims and return the messages to the heads of their queues."""
        layer = self._layer
        with layer.lock:
            held = [envelope for envelope in envelopes if self._held.pop(id(envelope), None) is not None]
            layer.queues.put_back(held)
            layer.waiters.wake({envelope.target for envelope in held})

    def bury(self, envelope: Envelope, reason: str) -> None:
        """End a claim and set the message aside."""
        with self._layer.lock:
            if self._held.pop(id(envelope), None) is not None:
                self._layer.bury(envelope, reason)
        self._layer.losses.report()

    def close(self) -> None:
        """Give the custody up; what it holds is lost, and counted, or delivered again."""
        with self._layer.lock:
            self._layer.slots.discard(self)
            held, self._held = list(self._held.values()), {}
        dead.give_up(held, self._layer)

    def _end(self, ended: Sequence[Envelope]) -> None:
        with self._layer.lock:
            for envelope in ended:
                self._held.pop(id(envelope), None)
