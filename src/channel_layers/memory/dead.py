"""Messages that the in-memory layer has set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from channel_layers.dead import DeadLetter, letter_of
from channel_layers.envelope import Envelope
from channel_layers.losses import Losses


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
            self._losses.note(
                "dead letter dropped", f"there are more than {self._limit} dead letters (max_dead_letters)"
            )

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
