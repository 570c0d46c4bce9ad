"""How long the layer has been away: one log line when it goes and one when it is back."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 1.0
"""Seconds between two attempts to connect; doubled from the first to the longest, each shortened by up to half."""

logger = logging.getLogger("channel_layers")


def delays() -> Iterator[float]:
    """Yield how many seconds to wait before each further attempt: no two processes knock at the same time."""
    delay = FIRST_DELAY
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(delay * 2, LONGEST_DELAY)


class Outage:
    """Whether the server at ``address`` answers, as far as this process knows. Thread-safe."""

    def __init__(self, address: object, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._since: float | None = None
        self._lock = threading.Lock()

    def begin(self, error: Exception) -> None:
        """An attempt to connect has failed."""
        with self._lock:
            is_first, now = self._since is None, self._clock()
            self._since = now if self._since is None else self._since
        if is_first:
            logger.warning("the layer at %s cannot be reached (%s); trying again", self._address, error)

    def end(self) -> None:
        """An attempt to connect has succeeded."""
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            logger.warning("the layer at %s is back after %.1f s", self._address, self._clock() - since)
