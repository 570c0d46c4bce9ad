"""The order of messages without a lane, for layers with the extension ``turns``; see :mod:`channel_layers.turns`."""

from __future__ import annotations

import asyncio

from channel_layers.exceptions import ExtensionMissing
from channel_layers.turns import EXTENSION, Outcome, Step


class TurnVerbs:
    """The verb by which workers ask whose turn it is."""

    def turn(self, step: Step) -> Outcome:
        """Do one step in the order of a connection's messages; those whose turn it is then are sent to their queues.

        Without the extension it raises :exc:`~channel_layers.exceptions.ExtensionMissing`, a
        :exc:`NotImplementedError`.
        """
        raise ExtensionMissing(type(self).__name__, "turns", EXTENSION)

    async def aturn(self, step: Step) -> Outcome:
        """As :meth:`turn`."""
        return await asyncio.to_thread(self.turn, step)
