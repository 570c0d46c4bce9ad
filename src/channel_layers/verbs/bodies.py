"""Bodies of responses that go round the inbox of their server; :mod:`channel_layers.body` says how."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from channel_layers.body import BodyWriter
from channel_layers.envelope import Piece


class BodyVerbs(ABC):
    """Verbs for both ends of a large body."""

    @abstractmethod
    def open_body(self, channel: str) -> BodyWriter:
        """Return the writing end of the body for a reply channel whose beginning was sent."""

    @abstractmethod
    def fetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """Take a piece of the body for ``channel`` away, which makes room for another; ``None`` if it is gone."""

    async def afetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """As :meth:`fetch_piece`."""
        return await asyncio.to_thread(self.fetch_piece, channel, piece)

    @abstractmethod
    def close_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """Say that nobody reads the body for ``channel`` any more; ``unread`` are pieces that were not fetched."""

    async def aclose_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """As :meth:`close_body`."""
        await asyncio.to_thread(self.close_body, channel, unread)
