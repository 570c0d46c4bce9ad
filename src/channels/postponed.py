"""Messages of no connection that a consumer wants again later: they wait here for a moment."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from channel_layers.envelope import Envelope

DELAY: Final = 0.05
MAX_DELAY: Final = 0.5
"""Seconds before the first further attempt; doubled with each, up to the longest."""


class Postponed:
    """Envelopes and when they are due; ``write`` sends one. Thread-safe; a thread runs only while something waits.

    What waits is in this process alone, so it is short, and :meth:`close` sends all of it at once.
    """

    def __init__(self, write: Callable[[Envelope], None]) -> None:
        self._write = write
        self._waiting: list[tuple[float, int, Envelope, Callable[[Envelope], object]]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, envelope: Envelope, write: Callable[[Envelope], object] | None = None) -> None:
        """Send ``envelope``, by ``write`` if that is given, after a delay that grows with how often it has come."""
        times = envelope.attempt + envelope.redelivered
        due = time.monotonic() + min(DELAY * 2 ** (times - 1), MAX_DELAY)
        with self._changed:
            heapq.heappush(self._waiting, (due, next(self._numbers), envelope, write or self._write))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="channels-worker-postponed", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what waits now, and from now on without delay."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            envelope, write = found
            write(envelope)

    def _next(self) -> tuple[Envelope, Callable[[Envelope], object]] | None:
        with self._changed:
            while self._waiting:
                left = self._waiting[0][0] - time.monotonic()
                if left <= 0 or self._closed:
                    return heapq.heappop(self._waiting)[2:]
                self._changed.wait(left)
            self._thread = None
            return None
