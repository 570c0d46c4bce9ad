"""Limits of a worker process, beyond which it asks for another one in its place."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from channels.processes.memory import JITTER, MIB, reserved, resident
from channels.signals import consumer_finished

PAUSE: Final = 1.0
"""Seconds between two looks at the memory, while consumers run; one look costs some 20 µs."""
NEARLY: Final = 0.9
"""Share of the memory a process may have that it should not keep: consumers would fail for want of the rest."""


class Limits:
    """Counts calls of consumers and looks at the memory, in MiB; ``exceeded(reason)`` is called once.

    A limit of ``None`` is none. That of the messages and ``max_rss`` get up to a tenth more, by chance, so that
    processes that began together do not end so.
    """

    def __init__(
        self,
        max_messages: int | None,
        max_rss: float | None,
        exceeded: Callable[[str], object],
        max_memory: float | None = None,
    ) -> None:
        self._max_messages = max_messages and max_messages + random.randint(0, int(max_messages * JITTER))
        self._max_rss = max_rss and max_rss * random.uniform(1.0, 1.0 + JITTER)
        self._max_memory = max_memory
        self._exceeded = exceeded
        self._messages = 0
        self._looked = 0.0
        self._lock = threading.Lock()
        self._is_over = False

    def watch(self) -> None:
        """Look after every call of a consumer, if there is a limit at all."""
        if self._max_messages or self._max_rss or self._max_memory:
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
        if time.monotonic() - self._looked < PAUSE and not isinstance(sys.exception(), MemoryError):
            return None
        self._looked = time.monotonic()
        if self._max_rss and (used := resident() / MIB) > self._max_rss:
            return f"it has {used:.0f} MiB in memory (--max-rss, and up to a tenth more)"
        if self._max_memory and (used := reserved() / MIB) > self._max_memory * NEARLY:
            return f"it keeps {used:.0f} of the {self._max_memory:g} MiB that it may have (--max-memory)"
        return None
