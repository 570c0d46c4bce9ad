"""How a reader of the in-memory layer waits: as a thread or as a coroutine."""

from __future__ import annotations

import asyncio
import threading


class ThreadWakeup:
    """Wakes one thread, once; woken under the layer's lock. A bare lock: half the cost of an Event."""

    def __init__(self) -> None:
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        """End :meth:`wait`, also one that has not begun."""
        if self._asleep.locked():
            self._asleep.release()

    def wait(self, timeout: float | None) -> None:
        """Return when woken, or after ``timeout`` seconds."""
        self._asleep.acquire(timeout=-1 if timeout is None else timeout)


class LoopWakeup:
    """Wakes one coroutine, once; woken by any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        """End :meth:`wait`, also one that has not begun."""
        try:
            self._loop.call_soon_threadsafe(self._arrive)
        except RuntimeError:  # the loop was closed, and whoever waited is gone
            return

    async def wait(self, timeout: float | None = None) -> None:
        """Return when woken, or after ``timeout`` seconds."""
        if timeout is None:
            await self._woken
            return
        try:
            async with asyncio.timeout(timeout):
                await self._woken
        except TimeoutError:
            return

    def _arrive(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)
