"""Messages that the in-memory layer has set aside, and what becomes of claims whose holder has gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from msgspec import structs

from channel_layers.dead import UNFINISHED, DeadLetter, count_orphans, dropping, letter_of, sorted_orphans
from channel_layers.envelope import Envelope, next_delivery
from channel_layers.losses import Losses

if TYPE_CHECKING:
    from channel_layers.memory.layer import MemoryChannelLayer


class DeadLetters:
    """The last ``limit`` messages that were set aside; used under the layer's lock."""

    def __init__(self, limit: int, clock: Callable[[], float], losses: Losses) -> None:
        self._limit = limit
        self._clock = clock
        self._losses = losses
        self._numbers = count(1)
        self._letters: dict[str, tuple[DeadLetter, Envelope]] = {}

    def add(self, envelope: Envelope, reason: str) -> None:
        """Set a message aside."""
        key = str(next(self._numbers))
        self._letters[key] = letter_of(key, envelope, reason, self._clock()), envelope
        if len(self._letters) > self._limit:
            del self._letters[next(iter(self._letters))]
            self._losses.note("dead letter dropped", dropping(self._limit))

    def all(self) -> list[DeadLetter]:
        """Return what is told of each, the oldest first."""
        return [letter for letter, _ in self._letters.values()]

    def get(self, key: str) -> Envelope | None:
        """Return the message that is called ``key``."""
        found = self._letters.get(key)
        return found and found[1]

    def drop(self, keys: Sequence[str]) -> int:
        """Forget messages; return how many there were."""
        return sum(self._letters.pop(key, None) is not None for key in keys)

    def clear(self) -> None:
        """Forget all messages."""
        self._letters.clear()


def resend(key: str, layer: MemoryChannelLayer) -> bool:
    """Send a dead letter again, as if for the first time; return whether there is one of that name."""
    with layer.lock:
        envelope = layer.dead.get(key)
        if envelope is None:
            return False
        error = layer.queues.put(structs.replace(envelope, redelivered=0, attempt=0, time=layer.clock()))
        if error is not None:
            raise error
        layer.dead.drop([key])
        layer.waiters.wake([envelope.target])
        return True


def give_up(claimed: Sequence[tuple[Envelope, int]], layer: MemoryChannelLayer) -> None:
    """End claims whose holder has gone, each with how often its message may be delivered again."""
    lost, again, buried = sorted_orphans(claimed)
    with layer.lock:
        for envelope in buried:
            layer.bury(envelope, UNFINISHED)
        layer.queues.put_back([next_delivery(envelope) for envelope in again])
        layer.waiters.wake({envelope.target for envelope in again})
    count_orphans(layer.losses, len(lost), len(again), len(buried))
