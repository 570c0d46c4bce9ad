"""One timer for every time limit of every connection.

A connection has at most one deadline. What it means is the connection's own affair: it looks at its state when the
time has come and says when to look again. So activity costs nothing: nobody moves a timer for a frame that arrives.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from typing import Final, Protocol

logger = logging.getLogger("daphne.deadlines")

RESOLUTION: Final = 0.25
"""Seconds by which a deadline may be late."""


class Watched(Protocol):
    """Something with a time limit."""

    due: int
    """The tick it is entered for; 0 for none. Written by :class:`Deadlines` only."""

    def on_deadline(self, now: float) -> float | None:
        """Act on what did not happen; return the next deadline on the loop's clock, or ``None``."""


class Deadlines:
    """Deadlines by tick of :data:`RESOLUTION` seconds; the loop knows one timer, the earliest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ticks: dict[int, set[Watched]] = {}
        self._heap: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float, watched: Watched) -> None:
        """Call ``watched`` in ``seconds`` at the latest; an earlier deadline it has already stays."""
        tick = math.ceil((self._loop.time() + seconds) / RESOLUTION)
        if watched.due and watched.due <= tick:
            return
        self.cancel(watched)
        self._enter(tick, watched)

    def cancel(self, watched: Watched) -> None:
        """Forget the deadline of ``watched``."""
        if watched.due:
            self._ticks.get(watched.due, set()).discard(watched)
            watched.due = 0

    def close(self) -> None:
        """Forget every deadline."""
        self._ticks.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _enter(self, tick: int, watched: Watched) -> None:
        watched.due = tick
        entered = self._ticks.get(tick)
        if entered is None:
            entered = self._ticks[tick] = set()
            heapq.heappush(self._heap, tick)
            if self._heap[0] == tick:
                self._arm()
        entered.add(watched)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._heap[0] * RESOLUTION, self._run) if self._heap else None

    def _run(self) -> None:
        now = self._loop.time()
        while self._heap and self._heap[0] * RESOLUTION <= now:
            tick = heapq.heappop(self._heap)
            for watched in self._ticks.pop(tick):
                if watched.due == tick:  # and not cancelled by one of the same tick
                    self._call(watched, now)
        self._arm()

    def _call(self, watched: Watched, now: float) -> None:
        watched.due = 0
        try:
            again = watched.on_deadline(now)
        except Exception:  # one connection must not end the time limits of all others
            logger.exception("a time limit could not be acted on")
            return
        if again is not None:
            self.within(again - now, watched)
