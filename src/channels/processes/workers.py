"""The worker processes of one layer: how each is started, and what follows from what they say."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from channels.coroutines import LIMIT
from channels.layers import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper
from channels.processes import line
from channels.processes.child import Child, Launch
from channels.processes.code import last_change
from channels.processes.commands import manage
from channels.processes.fleet import Ended, Fleet
from channels.processes.memory import MemoryWatch

logger = logging.getLogger("django.channels.processes")

STOP_TIMEOUT: Final = 30.0
"""Seconds that running consumers get; what supervisors mostly allow (Kubernetes 30, gunicorn 30, systemd 90)."""
PAUSE: Final = 1.0
"""Seconds between two looks for a change of code that does not start."""
EARLY_CHANGES: Final = 2
"""How often a file may change while its process starts, and be a reason for another, until something else changes."""


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Options of ``runworker``; ``others`` are those that every management command has.

    Sizes are MiB, times are seconds.
    """

    layer: str = DEFAULT_CHANNEL_LAYER
    processes: int = 1
    threads: int = 1
    reserve: Sequence[str] = ()
    concurrency: int = LIMIT
    only_channels: Sequence[str] = ()
    exclude_channels: Sequence[str] = ()
    stop_timeout: float = STOP_TIMEOUT
    max_messages: int | None = None
    max_rss: float | None = None
    max_memory: float | None = None
    reload: bool = False
    verbosity: int = 1
    http_consumer: str | None = None
    others: Sequence[str] = ()
    as_called: bool = True

    def launch(self, name: str, is_new: bool) -> Launch:
        """Return how one process is started; what may be new is checked as at every start of a command."""
        options = {
            "--name": name,
            "--layer": self.layer,
            "--threads": self.threads,
            "--concurrency": self.concurrency,
            "--stop-timeout": self.stop_timeout,
            "--max-messages": self.max_messages,
            "--max-rss": self.max_rss,
            "--max-memory": self.max_memory,
            "--verbosity": self.verbosity,
            "--http-consumer": self.http_consumer,
        }
        words = [f"{option}={value}" for option, value in options.items() if value is not None]
        words += [f"--reserve={word}" for word in self.reserve]
        words += [f"--only-channels={channel}" for channel in self.only_channels]
        words += [f"--exclude-channels={channel}" for channel in self.exclude_channels]
        words += [f"--born={time.time()}"] * self.reload + ["--skip-checks"] * (not is_new)
        return Launch(manage("runworker", *words, *self.others, as_called=self.as_called))


def reporting_to(layer: ChannelLayerWrapper) -> Ended:
    """Return what tells ``layer`` of processes that could not do so themselves: what they held is nobody's any more."""

    async def report(child: Child) -> None:
        if child.process and await child.wait():
            try:
                await layer.awithdraw(child.process)
            except OSError as error:
                logger.warning("the end of %s could not be told to the layer: %s", child, error)

    return report


class Workers:
    """The worker processes that ``options`` describe. Belongs to the loop that :meth:`run` runs in.

    ``settings_told`` is called with what each process says of the settings, once it is ready.
    """

    def __init__(self, layer: ChannelLayerWrapper, options: WorkerOptions) -> None:
        self.settings_told: Callable[[str], object] = lambda settings: None
        self._layer = layer
        self._reloads = options.reload
        self._max_rss = options.max_rss
        self._early: Counter[str] = Counter()
        self.fleet = Fleet(
            "worker",
            options.processes,
            options.launch,
            stop_timeout=options.stop_timeout,
            ended=reporting_to(layer),
            is_patient=options.reload,
        )
        self.fleet.heard = self._hear

    async def run(self) -> bool:
        """Keep them running until :meth:`stop`; return whether they have begun and ended in order."""
        watching = [asyncio.create_task(self._mend())] if self._reloads else []
        if self._max_rss is not None:
            watching.append(asyncio.create_task(MemoryWatch(self.fleet, self._max_rss).run()))
        try:
            return await self.fleet.run()
        finally:
            for task in watching:
                task.cancel()
            await self._layer.aclose()

    def stop(self) -> None:
        """Let them finish what they have taken, and end; the second time they end at once."""
        self.fleet.stop()

    def roll(self) -> None:
        """Replace them one by one, each once its successor is ready."""
        self.fleet.roll()

    def _hear(self, child: Child, word: str, detail: str) -> None:
        if word in (line.CHANGED, line.EARLY):
            when, _, path = detail.partition(" ")
            self._changed(child, float(when), path, is_early=word == line.EARLY)
        elif word == line.SETTINGS:
            self.settings_told(detail)

    def _changed(self, child: Child, when: float, path: str, *, is_early: bool) -> None:
        """Replace all, unless that has begun after the change: others have told of it, or will run the new code.

        A file that the processes themselves write when they start changes early each time; that has an end.
        """
        if child.born < self.fleet.rolled and when <= self.fleet.rolled:
            return
        if not is_early:
            self._early.clear()
        elif self._early[path] == EARLY_CHANGES:
            return
        else:
            self._early[path] += 1
        logger.info("%s changed, restarting the workers.", path)
        self.roll()

    async def _mend(self) -> None:
        """Try again when anything has changed, while code does not start: nothing that runs looks at all of it."""
        while True:
            await asyncio.sleep(PAUSE)
            if self.fleet.is_broken and await asyncio.to_thread(last_change, Path.cwd()) > self.fleet.rolled:
                self.roll()
