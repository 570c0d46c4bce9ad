"""Calls that are due later, by one thread that runs only while something is due."""

from __future__ import annotations

import heapq
import logging
import os
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

logger = logging.getLogger("django.channels")

Call: TypeAlias = Callable[[], float | None]
"""Returns in how many seconds it wants to be called again, ``None``: never."""


class Timers:
    """Calls and when they are due. Thread-safe; they are made one after another, in a thread of their own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._due: list[tuple[float, int, Call]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, call: Call) -> None:
        """Make ``call`` in so many seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), call))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            try:
                again = call()
            except Exception:  # a fault of ours; the other calls are due all the same
                logger.exception("%s: a call failed", self._name)
                continue
            if again is not None:
                self.after(again, call)

    def _next(self) -> Call | None:
        with self._changed:
            while self._due:
                left = self._due[0][0] - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left)
            self._thread = None
            return None


def forked(begin: Callable[[], None]) -> None:
    """Call ``begin`` in every process that is forked from this one: its threads are the parent's."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin)
