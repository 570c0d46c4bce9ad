"""Processes for a fleet to keep, and what a test waits for."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from channels.processes.child import Child, Launch
from channels.processes.fleet import Fleet

PATIENCE = 20.0
"""Seconds that something that has to happen may take before its test fails."""

SCRIPT = """
import os
import signal
import socket
import sys
import time

behaviour = sys.argv[1]
line = socket.socket(fileno=int(sys.argv[-1].partition("=")[2]))


def say(word):
    line.sendall(word.encode() + b"\\n")


def finish(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    say("finishing")
    if behaviour != "finishes late":
        os._exit(1 if behaviour == "ends badly" else 0)


if behaviour == "fails":
    sys.exit(2)
if behaviour == "fails with a reason":
    say("failed the port is taken")
    sys.exit(1)
if behaviour == "takes early":
    say("name early")
    sys.exit(4)
if behaviour == "starts for ever":
    signal.pause()
signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "is stubborn" else finish)
say("ready " + behaviour)
if behaviour == "is full":
    say("replace it is full")
if behaviour == "dies":
    sys.exit(3)
while line.recv(64):
    pass
"""


def launch(behaviour: str) -> Launch:
    """Return how a process is started that behaves like that."""
    return Launch([sys.executable, "-E", "-S", "-c", SCRIPT, behaviour])


class Kept:
    """A fleet that runs in the background of a test, with all that happens to it.

    ``behaviour`` is that of the processes that start from now on, but for the ``first``; ``happened`` holds pairs of a
    word and the name of a process, ``started`` its processes in the order in which they became ready.
    """

    def __init__(self, size: int = 1, behaviour: str = "works", first: Sequence[str] = (), **options: Any) -> None:
        self.behaviour = behaviour
        self._first = list(first)
        self.launched: list[tuple[str, bool]] = []
        self.happened: list[tuple[str, str]] = []
        self.started: list[Child] = []
        self._changed = asyncio.Event()
        self.fleet = Fleet("worker", size, self._launch, ended=self._note_end, **{"stop_timeout": PATIENCE, **options})
        self.fleet.heard = self._hear
        self.fleet.begun = self._changed.set
        self.running = asyncio.create_task(self.fleet.run())

    async def when(self, condition: Callable[[], object]) -> None:
        """Wait until ``condition`` holds: look whenever something has happened, and for what nobody tells of."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.02)

    async def ready(self, count: int) -> Child:
        """Wait until ``count`` processes have become ready, and return the last."""
        await self.when(lambda: len(self.started) >= count)
        return self.started[count - 1]

    async def heard(self, word: str, count: int = 1) -> None:
        """Wait until processes have said ``word`` so often."""
        await self.when(lambda: [said for said, _ in self.happened].count(word) >= count)

    async def stopped(self) -> bool:
        """Stop the fleet, and return what it has to say."""
        self.fleet.stop()
        return await self.ended()

    async def ended(self) -> bool:
        """Return what the fleet has to say when it has ended."""
        async with asyncio.timeout(PATIENCE):
            return await self.running

    def _launch(self, name: str, is_new: bool) -> Launch:
        self.launched.append((name, is_new))
        return launch(self._first.pop(0) if self._first else self.behaviour)

    def _hear(self, child: Child, word: str, detail: str) -> None:
        self.happened.append((word, child.name))
        if word == "ready":
            self.started.append(child)
        self._changed.set()

    async def _note_end(self, child: Child) -> None:
        self.happened.append(("ended", child.name))
        self._changed.set()


def kill(child: Child) -> None:
    """End a process as a crash would."""
    child.send(signal.SIGKILL)
