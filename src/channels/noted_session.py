"""The session of a connection for messages that did not come through its lane, such as those sent on by a consumer.

It is the note that the layer keeps of the connection (:mod:`channel_layers.notes`): one round trip where it is first
used, one where it was changed. Of those who have read the same session and change it, the first one wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channel_layers.notes import SESSION, lost_change
from channels.lane_session import ChannelSession
from channels.lane_state import LaneState

if TYPE_CHECKING:
    from channels.channel import Layer


class NotedSession(ChannelSession):
    """The session of the connection that ``channel`` leads to, read from ``layer`` when it is first used.

    A change that lost against another is counted among the losses of the layer, and logged.
    """

    def __init__(self, channel: str, layer: Layer) -> None:
        super().__init__(channel, LaneState(None), layer)
        self._is_read = False

    def load(self) -> dict[str, Any]:
        """Return the data that the layer keeps, ``{}`` if there is none or none to be trusted."""
        self._read()
        return super().load()

    async def aload(self) -> dict[str, Any]:
        """As :meth:`load`."""
        await self._aread()
        return super().load()

    def save(self, must_create: bool = False) -> None:
        """Have the layer keep the data, unless they were changed meanwhile; ``must_create`` makes no difference.

        Raises what :meth:`ChannelSession.save` raises, and then the layer keeps what it had.
        """
        self._read()
        signed = self._encoded()
        self._note(signed, self._layer.keep_note(self.channel, SESSION, signed))

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        await self._aread()
        signed = self._encoded()
        self._note(signed, await self._layer.akeep_note(self.channel, SESSION, signed))

    def exists(self, session_key: str) -> bool:
        """Return whether this is the session with that key and has been saved."""
        self._read()
        return super().exists(session_key)

    async def aexists(self, session_key: str) -> bool:
        """As :meth:`exists`."""
        await self._aread()
        return super().exists(session_key)

    def _read(self) -> None:
        """Read what the layer keeps, once: also what was cleared without a look at it replaces a certain version."""
        if not self._is_read:
            self._lane.session = self._layer.read_note(self.channel, SESSION)
            self._is_read = True

    async def _aread(self) -> None:
        if not self._is_read:
            self._lane.session = await self._layer.aread_note(self.channel, SESSION)
            self._is_read = True

    def _note(self, signed: bytes, was_kept: bool) -> None:
        self.modified = False
        if was_kept:
            self._lane.session = signed
        else:
            count_lost(self._layer, self.channel, "another consumer had changed it since it was read")


def count_lost(layer: Layer, channel: str, why: str) -> None:
    """Count a change of a session that is lost."""
    layer.losses.count("session change lost", lost_change(channel, why))
