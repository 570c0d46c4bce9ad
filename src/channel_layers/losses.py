"""Counting what is dropped: every drop is counted, and logged once per cause per interval."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

INTERVAL = 10.0
"""Seconds between two log lines of one cause."""


class Losses:
    """Drops of one layer or server, by cause.

    ``counts`` maps a cause to the number of drops since start. Thread-safe.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._logger = logger
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}
        self._unlogged: deque[tuple[str, str, int]] = deque()
        self._lock = threading.Lock()

    def count(self, cause: str, detail: str, n: int = 1) -> None:
        """Count ``n`` drops for ``cause``; log ``detail`` unless this cause was logged a moment ago."""
        self.note(cause, detail, n)
        self.report()

    def note(self, cause: str, detail: str, n: int = 1) -> None:
        """As :meth:`count` but log at the next :meth:`report`, for callers that hold a lock.

        A log handler may send through the very layer whose lock is held.
        """
        with self._lock:
            self.counts[cause] += n
            since = self._due(cause)
            if since:
                self._unlogged.append((detail, cause, since))

    def raised(self, cause: str) -> None:
        """Count a drop that an exception tells of, so that no line is needed."""
        with self._lock:
            self.counts[cause] += 1

    def report(self) -> None:
        """Log what was noted."""
        while self._unlogged:
            try:
                line = self._unlogged.popleft()
            except IndexError:  # another thread was quicker
                return
            self._logger.warning("%s (%s: %d since the last such line)", *line)

    def _due(self, cause: str) -> int:
        now, total = self._clock(), self.counts[cause]
        last, logged = self._logged.get(cause, (-INTERVAL, 0))
        if now - last < INTERVAL:
            return 0
        self._logged[cause] = now, total
        return total - logged
