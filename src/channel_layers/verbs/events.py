"""Events under way, for the server that has sent them and owns them until they are settled."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from channel_layers.envelope import Envelope


class EventVerbs(ABC):
    """Verbs by which a server asks where its events are."""

    @abstractmethod
    def find_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Return those events that are neither queued nor claimed by a live slot."""

    async def afind_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """As :meth:`find_lost`."""
        return await asyncio.to_thread(self.find_lost, envelopes)

    @abstractmethod
    def retract(self, envelope: Envelope) -> bool:
        """Take an event back out of its queue; ``False`` if a worker has it already."""

    async def aretract(self, envelope: Envelope) -> bool:
        """As :meth:`retract`."""
        return await asyncio.to_thread(self.retract, envelope)
