"""Writing: every other verb that sends something does it by these."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from channel_layers.envelope import Envelope
from channel_layers.slot import Refused

Written = Callable[[list[Refused], Exception | None], None]
"""Is told what a write refused, or the error by which it failed."""


class WriteVerbs(ABC):
    """Verbs that write entries of queues and inboxes."""

    _last_write: asyncio.Task[None] | None = None

    @abstractmethod
    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` in order; return those that were refused. The others are not held back."""

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`write`."""
        return await asyncio.to_thread(self.write, envelopes)

    def start_write(self, envelopes: Sequence[Envelope], written: Written) -> None:
        """As :meth:`awrite`, for whoever need not wait: ``written(refused, error)`` is called in the end.

        Called in an event loop. What is written to queues keeps the order of the calls.
        """
        loop = asyncio.get_running_loop()
        before = self._last_write if self._last_write and self._last_write.get_loop() is loop else None
        self._last_write = loop.create_task(self._write_behind(before, envelopes, written))

    async def _write_behind(
        self, before: asyncio.Task[None] | None, envelopes: Sequence[Envelope], written: Written
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            refused = await self.awrite(envelopes)
        except Exception as error:  # noqa: BLE001 - handed to the caller
            written([], error)
        else:
            written(refused, None)
