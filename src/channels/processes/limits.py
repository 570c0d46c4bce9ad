"""Limits of a worker process, beyond which it asks for another one in its place."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from channels.signals import consumer_finished

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # absence is the fact to record

MIB: Final = 1024 * 1024
JITTER: Final = 0.1
"""Share of a limit that is added to it at most, by chance, so that processes that began together do not end so."""
PAUSE: Final = 1.0
"""Seconds between two looks at the memory, while consumers run; one look costs some 20 µs."""
STATM: Final = Path("/proc/self/statm")


class Limits:
    """Counts calls of consumers and looks at the memory, in MiB; ``exceeded(reason)`` is called once.

    A limit of ``None`` is none.
    """

    def __init__(self, max_messages: int | None, max_rss: float | None, exceeded: Callable[[str], object]) -> None:
        self._max_messages = max_messages and max_messages + random.randint(0, int(max_messages * JITTER))
        self._max_rss = max_rss and max_rss * random.uniform(1.0, 1.0 + JITTER)
        self._exceeded = exceeded
        self._messages = 0
        self._looked = 0.0
        self._lock = threading.Lock()
        self._is_over = False

    def watch(self) -> None:
        """Look after every call of a consumer, if there is a limit at all."""
        if self._max_messages or self._max_rss:
            consumer_finished.connect(self._look, weak=False, dispatch_uid="channels.limits")

    def _look(self, **kwargs: Any) -> None:
        with self._lock:
            self._messages += 1
            reason = None if self._is_over else self._fault()
            self._is_over = self._is_over or reason is not None
        if reason:
            self._exceeded(reason)

    def _fault(self) -> str | None:
        if self._max_messages and self._messages >= self._max_messages:
            return f"it has handled {self._messages} messages (--max-messages, and up to a tenth more)"
        if self._max_rss and (now := time.monotonic()) - self._looked >= PAUSE:
            self._looked = now
            used = resident() / MIB
            if used > self._max_rss:
                return f"it has {used:.0f} MiB in memory (--max-rss, and up to a tenth more)"
        return None


def resident() -> int:
    """Return how many bytes of this process are in memory; where the system does not tell, the most there ever were."""
    try:
        pages = int(STATM.read_bytes().split()[1])
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()
