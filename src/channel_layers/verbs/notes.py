"""Notes of connections, for layers with the extension ``notes``; :mod:`channel_layers.notes` says what they are."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from channel_layers import names
from channel_layers.envelope import Envelope, note
from channel_layers.exceptions import ExtensionMissing, NoteOutdated
from channel_layers.losses import Losses
from channel_layers.notes import EXTENSION, lost_change
from channel_layers.verbs.writing import WriteVerbs


class NoteVerbs(WriteVerbs):
    """Verbs that keep and read notes.

    Without the extension both raise :exc:`~channel_layers.exceptions.ExtensionMissing`, a :exc:`NotImplementedError`.
    """

    extensions: ClassVar[list[str]]
    losses: Losses

    def read_note(self, channel: str, name: str) -> bytes | None:
        """Return what is kept of the connection ``channel`` under ``name``, ``None`` if nothing is."""
        raise self._keeps_no_notes()

    async def aread_note(self, channel: str, name: str) -> bytes | None:
        """As :meth:`read_note`."""
        return await asyncio.to_thread(self.read_note, channel, name)

    def keep_note(self, channel: str, name: str, data: bytes) -> bool:
        """Keep ``data`` of the connection ``channel`` under ``name``; ``False`` if something newer is kept there.

        Of a connection that is gone nothing is kept, which is no loss.
        """
        return not self.write([self._note(channel, name, data)])

    async def akeep_note(self, channel: str, name: str, data: bytes) -> bool:
        """As :meth:`keep_note`."""
        return not await self.awrite([self._note(channel, name, data)])

    def count_outdated(self, envelope: Envelope) -> None:
        """Count a session that came back with the end of an event after something newer was kept."""
        self.losses.note("session change lost", lost_change(envelope.target, outdated(envelope)))

    def _note(self, channel: str, name: str, data: bytes) -> Envelope:
        if EXTENSION not in self.extensions:
            raise self._keeps_no_notes()
        return note(names.check_reply_channel(channel), name, data)

    def _keeps_no_notes(self) -> ExtensionMissing:
        return ExtensionMissing(type(self).__name__, "notes of connections", EXTENSION)


def outdated(envelope: Envelope) -> NoteOutdated:
    """Return why what ``envelope`` brings was not kept."""
    return NoteOutdated(f"something newer was kept of {envelope.target!r} after it had been read")
