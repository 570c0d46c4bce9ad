"""What tells a test that somebody waits, and what the time is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from channel_layers.memory.queues import Queues
from channel_layers.memory.waiters import Waiter, Waiters

Start = Callable[..., "Future[Any]"]
"""Runs a call in a thread of its own."""


class CountedWaiters(Waiters):
    """The slots that wait; lets a test wait for them to do so."""

    def __init__(self, queues: Queues) -> None:
        super().__init__(queues)
        self._added = threading.Semaphore(0)

    def __setitem__(self, slot: Any, waiter: Waiter) -> None:
        super().__setitem__(slot, waiter)
        self._added.release()

    def wait_for(self, count: int) -> None:
        """Return once ``count`` more slots have begun to wait. The layer's lock makes sure that they stay."""
        assert all(self._added.acquire(timeout=10) for _ in range(count))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
