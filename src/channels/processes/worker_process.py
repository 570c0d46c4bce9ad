"""A worker from its first message to its last, in a process of its own."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from channels import asgi
from channels.processes import line
from channels.processes.code import CodeWatch
from channels.processes.line import Parent
from channels.processes.signals import STOPPING, StopSignals
from channels.processes.versions import code_version, compare_soon
from channels.signals import worker_process_ready
from channels.tidying import tidying_where_used
from channels.worker import Worker

OF_THE_PARENT: Final = tuple(number for number in STOPPING if number != signal.SIGTERM)
"""Signals that a terminal sends to a whole group of processes. Of those it is the parent's to say what they mean."""
TURN: Final = 0.001
"""Seconds that a thread may compute while others of its process want to; Python's own is :data:`LONG_TURN`.

With three consumers that compute, an echo beside them waits a fifth as long, and they lose some percent at most.
"""
LONG_TURN: Final = 0.005


class WorkerProcess:
    """Runs ``worker`` until a signal, in the main thread. ``say`` is told what a person may want to read."""

    def __init__(self, worker: Worker, stop_timeout: float, say: Callable[[str], object]) -> None:
        self._worker = worker
        self._stop_timeout = stop_timeout
        self._say = say

    def run(self) -> bool:
        """Take messages until the first signal, then finish what was taken; return whether there was time for that."""
        with StopSignals() as signals, short_turns():
            return self._run(signals)

    def run_for(self, parent: Parent, *, watches_code_since: float | None) -> bool:
        """As :meth:`run`, also until ``parent`` ends, which is told what happens here.

        That includes changes of the code since a time, in seconds since the epoch, if there is one.
        """
        watch = None if watches_code_since is None else _watch_for(parent, watches_code_since)
        with StopSignals([signal.SIGTERM], OF_THE_PARENT) as signals, short_turns():
            parent.watch(line.end_this_process)
            parent.say(line.NAME, self._worker.process)
            return self._run(signals, lambda: self._introduce(parent, watch))

    def _run(self, signals: StopSignals, started: Callable[[], object] = lambda: None) -> bool:
        worker = self._worker
        if settings.DEBUG:
            worker.code = code_version(worker.channel_layer.router)
            compare_soon(worker)
        worker_process_ready.send(sender=worker)
        worker.announce()
        self._say(f"Channel layer {worker.channel_layer}, process {os.getpid()}, {worker.slots_text}.")
        self._say(f"Channels: {', '.join(worker.channels)}.")
        if worker.reservation.text:
            self._say(worker.reservation.text)
        started()  # before anything is taken: what the first message does to this process is no fault of its start
        with tidying_where_used(), code_is_no_garbage():
            worker.start()
            signals.wait()
            self._say("Stopping: what was taken is finished, nothing more is taken.")
            return worker.stop(self._stop_timeout)

    def _introduce(self, parent: Parent, watch: CodeWatch | None) -> None:
        if watch is not None:
            watch.start()
        parent.say(line.SETTINGS, asgi.settings_digest())
        parent.say(line.READY, self._worker.process)


@contextmanager
def short_turns() -> Iterator[None]:
    """Let threads of this process alternate quickly for a block, unless the project has said how quickly."""
    before = sys.getswitchinterval()
    if before == LONG_TURN:
        sys.setswitchinterval(TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def code_is_no_garbage() -> Iterator[None]:
    """Let collections of garbage pass over what is loaded by now, for a block: that takes 10 ms and more each time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _watch_for(parent: Parent, since: float) -> CodeWatch:
    def telling(word: str) -> Callable[[float, Path], None]:
        return lambda time, path: parent.say(word, f"{time} {path}")

    return CodeWatch(telling(line.CHANGED), telling(line.EARLY), since)
