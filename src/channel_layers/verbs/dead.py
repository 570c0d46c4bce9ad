"""Messages that were set aside, for those who look after them; :mod:`channel_layers.dead` says what is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from channel_layers.dead import DeadLetter


class DeadLetterVerbs(ABC):
    """Verbs that list dead letters, send them again and drop them."""

    @abstractmethod
    def dead_letters(self) -> list[DeadLetter]:
        """Return the messages that were set aside, the oldest first."""

    @abstractmethod
    def resend_dead(self, keys: Sequence[str]) -> int:
        """Send dead letters again, as if for the first time; return how many of ``keys`` there were.

        Raises :exc:`~channel_layers.exceptions.ChannelFull` at the first for which there is no room, and
        :exc:`~channel_layers.exceptions.InvalidName` at the first whose channel cannot be told; it stays where it is,
        and those before it were sent.
        """

    @abstractmethod
    def drop_dead(self, keys: Sequence[str]) -> int:
        """Forget dead letters; return how many of ``keys`` there were."""
