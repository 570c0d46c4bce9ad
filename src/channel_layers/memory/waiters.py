"""The slots of the in-memory layer that wait for a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from channel_layers.memory.queues import Queues
from channel_layers.memory.wakeup import LoopWakeup, ThreadWakeup

if TYPE_CHECKING:
    from channel_layers.memory.slot import MemorySlot


class Waiter(NamedTuple):
    """What a slot waits for, and how to wake it."""

    wants: Mapping[str, int]
    limit: int
    wakeup: ThreadWakeup | LoopWakeup


class Waiters(dict["MemorySlot", Waiter]):
    """The slots that wait, longest first; used under the layer's lock."""

    def __init__(self, queues: Queues) -> None:
        super().__init__()
        self._queues = queues

    def wake(self, channels: Iterable[str]) -> None:
        """Wake as many slots as it takes to hold what has come to ``channels``, and no more."""
        for channel in channels:
            depth = len(self._queues[channel])
            for slot, waiter in list(self.items()) if depth else ():
                wanted = min(waiter.wants.get(channel, 0), waiter.limit)
                if wanted:
                    del self[slot]
                    waiter.wakeup.wake()
                    depth -= wanted
                if depth <= 0:
                    break
