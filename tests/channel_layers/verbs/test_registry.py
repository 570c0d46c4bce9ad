from __future__ import annotations

import asyncio
import threading

from channel_layers.registry import Announcement
from channel_layers.verbs.registry import RegistryVerbs


class Registry(RegistryVerbs):
    """A list of processes that remembers which threads have asked."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.listed: dict[str, Announcement] = {}

    def announce(self, announcement: Announcement) -> None:
        self.threads.add(threading.get_ident())
        self.listed[announcement.process] = announcement

    def withdraw(self, process: str) -> None:
        self.threads.add(threading.get_ident())
        del self.listed[process]

    def processes(self) -> list[Announcement]:
        self.threads.add(threading.get_ident())
        return list(self.listed.values())


def test_twins_take_a_thread() -> None:
    """A backend whose verbs wait for its store holds up no event loop."""
    registry, worker = Registry(), Announcement("w1")

    async def main() -> None:
        await registry.aannounce(worker)
        assert await registry.aprocesses() == [worker]
        await registry.awithdraw("w1")
        assert await registry.aprocesses() == []

    asyncio.run(main())
    assert threading.get_ident() not in registry.threads
