"""The list of live processes; :mod:`channel_layers.registry` says what stands in it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from channel_layers.registry import Announcement


class RegistryVerbs(ABC):
    """Verbs by which processes say that they live, and learn who else does."""

    @abstractmethod
    def announce(self, announcement: Announcement) -> None:
        """Say that a process is alive; repeated every ``HEARTBEAT_INTERVAL`` seconds."""

    async def aannounce(self, announcement: Announcement) -> None:
        """As :meth:`announce`."""
        await asyncio.to_thread(self.announce, announcement)

    @abstractmethod
    def withdraw(self, process: str) -> None:
        """Say that a process has ended."""

    async def awithdraw(self, process: str) -> None:
        """As :meth:`withdraw`."""
        await asyncio.to_thread(self.withdraw, process)

    @abstractmethod
    def processes(self) -> list[Announcement]:
        """Return the last announcement of every live process."""

    async def aprocesses(self) -> list[Announcement]:
        """As :meth:`processes`."""
        return await asyncio.to_thread(self.processes)
