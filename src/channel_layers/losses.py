"""Counting what is dropped: every drop is counted, and logged once per cause per interval."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

INTERVAL = 10.0
"""Seconds between two log lines of one cause."""


class Losses:
    """Drops of one layer or server, by cause.

    ``counts`` maps a cause to the number of drops since start. Thread-safe. :meth:`report` is called now and then, so
    that the last drops of a burst get their line too.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._logger = logger
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}
        self._unlogged: dict[str, str] = {}
        self._lock = threading.Lock()

    def count(self, cause: str, detail: str, n: int = 1) -> None:
        """Count ``n`` drops for ``cause``; log ``detail``, unless this cause was logged a moment ago, later."""
        self.note(cause, detail, n)
        self.report()

    def note(self, cause: str, detail: str, n: int = 1) -> None:
        """As :meth:`count` but log at the next :meth:`report`, for callers that hold a lock.

        A log handler may send through the very layer whose lock is held.
        """
        with self._lock:
            self.counts[cause] += n
            self._unlogged[cause] = detail

    def raised(self, cause: str) -> None:
        """Count a drop that an exception tells of, so that no line is needed."""
        with self._lock:
            self.counts[cause] += 1

    def report(self) -> None:
        """Log what was noted and is due."""
        if not self._unlogged:
            return
        with self._lock:
            lines = [self._line(cause) for cause in list(self._unlogged) if self._is_due(cause)]
        for line in lines:
            self._logger.warning("%s (%s: %d since the last such line)", *line)

    def _is_due(self, cause: str) -> bool:
        return self._clock() - self._logged.get(cause, (-INTERVAL, 0))[0] >= INTERVAL

    def _line(self, cause: str) -> tuple[str, str, int]:
        _, logged = self._logged.get(cause, (0.0, 0))
        total = self.counts[cause]
        self._logged[cause] = self._clock(), total
        return self._unlogged.pop(cause), cause, total - logged
