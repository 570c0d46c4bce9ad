"""The watchdog of a worker: it keeps a slow consumer from holding others back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from channels.coroutines import CoroutineRun, Coroutines

if TYPE_CHECKING:
    from channels.worker_slot import WorkerSlot

logger = logging.getLogger("django.channels")

SLOW: Final = 0.005
"""Seconds after which a consumer no longer holds back what was sent, or messages its slot has not touched."""
QUIET: Final = 10
"""How often the watchdog finds nobody at work before it sleeps."""


class Watchdog:
    """One thread of a worker, awake while consumers run and a moment longer: waking it costs more than a consumer."""

    def __init__(self, coroutines: Coroutines | None = None) -> None:
        self.slots: list[WorkerSlot] = []
        self._coroutines = coroutines
        self._awake = threading.Event()
        self._has_seen_work = False
        self._stopped = False

    def wake(self) -> None:
        """A slot has begun to run consumers."""
        self._has_seen_work = True
        if not self._awake.is_set():
            self._awake.set()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stopped = True
        self._awake.set()

    def run(self) -> None:
        """Let go what slow consumers hold back."""
        while not self._stopped:
            self._awake.wait()
            try:
                self._watch()
            except Exception:  # a fault of ours, or no memory is left
                logger.exception("slow consumers were not looked for")
            self._awake.clear()
            if self._stopped or self._is_anyone_at_work():  # it was told so while it was still awake
                self._awake.set()

    def _watch(self) -> None:
        """Look at the slots until no consumer has run for a while."""
        quiet = 0
        while not self._stopped and quiet < QUIET:
            self._has_seen_work = False
            time.sleep(SLOW)
            self._release_slow()
            quiet = 0 if self._has_seen_work or self._is_anyone_at_work() else quiet + 1

    def _is_anyone_at_work(self) -> bool:
        return any(slot.started for slot in self.slots) or bool(self._coroutines and self._coroutines.runs)

    def _runs(self) -> Sequence[WorkerSlot | CoroutineRun]:
        return self.slots if self._coroutines is None else (*self.slots, *self._coroutines.runs)

    def _release_slow(self) -> None:
        deadline = time.perf_counter() - SLOW
        for slot in self._runs():
            if slot.started and slot.started <= deadline:
                try:
                    slot.release()
                except Exception:
                    logger.exception("the sends of a slow consumer could not leave")
        if self._coroutines is not None and self._coroutines.runs:
            self._release_waiting(self._coroutines)

    def _release_waiting(self, coroutines: Coroutines) -> None:
        try:
            coroutines.release()
        except Exception:
            logger.exception("messages that wait for a consumer which holds up the loop could not be put back yet")
