"""The clock of a test: it moves when the test says so."""

from __future__ import annotations

import time
from typing import Final

_TICK: Final = 1e-6


class Clock:
    """Seconds since 1970, from the moment it is made on; each look is a microsecond later than the one before.

    So whatever is written later has a later time, and nothing expires or falls due unless :meth:`advance` is called.
    """

    def __init__(self) -> None:
        self._now = time.time()

    def __call__(self) -> float:
        """Return the time."""
        self._now += _TICK
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on; raise :exc:`ValueError` for a step back."""
        if seconds < 0:
            raise ValueError(f"time goes forward, not {seconds} seconds")
        self._now += seconds
