"""One supervised process, as the process that started it sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Self

from channels.processes import line

Heard = Callable[["Child", str, str], None]
"""Called with a child, a word, and what that is about."""


class Launch(NamedTuple):
    """How a process is started: without an ``environment`` in that of its parent, with ``descriptors`` kept open."""

    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    descriptors: Sequence[int] = ()


class Child:
    """A running process. ``str()`` names it, with its number.

    ``process`` is what it calls itself on the layer, once it has said that; ``born`` is when it was started, in seconds
    since the epoch; ``fault`` is why it does not start, if it has said so.
    """

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        heard: Heard,
    ) -> None:
        self.name = name
        self.process = ""
        self.born = time.time()
        self.fault = ""
        self._began = time.monotonic()
        self._process = process
        self._is_told = False
        self._ready = asyncio.Event()
        self._heard = heard
        self._listening = asyncio.create_task(self._listen(reader, writer))
        self._ending = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, name: str, launch: Launch, heard: Heard) -> Self:
        """Start a command that takes the option which names its end of the line."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.command,
                    f"{line.OPTION}={theirs.fileno()}",
                    env=launch.environment,
                    pass_fds=[theirs.fileno(), *launch.descriptors],
                )
            except BaseException:
                writer.close()
                raise
        return cls(name, process, reader, writer, heard)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it works."""
        return self._ready.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._ending.done()

    async def wait(self) -> int:
        """Return the status it ended with, once it has; negative: the signal that ended it."""
        return await asyncio.shield(self._ending)

    async def wait_until_ready(self, timeout: float) -> bool:
        """Return whether it is ready, at the latest after ``timeout`` seconds or when it has ended."""
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._ending], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self.is_ready and not self.has_ended

    def end(self, *, at_once: bool = False) -> None:
        """Let it finish what it does, and end. Told a second time it ends ``at_once``, and only if that is meant."""
        if at_once or not self._is_told:
            self._is_told = True
            self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        if not self.has_ended:  # by the number: asyncio would ask for its status, and take that from who waits for it
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def close(self) -> None:
        """Give the line to a process up that has ended."""
        await self._listening

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                async for received in reader:
                    self._understand(*line.decode(received))
            await self._ending  # this end stays open for as long as it lives: it would take the end for ours
        finally:
            writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def _understand(self, word: str, detail: str) -> None:
        if word == line.NAME or word == line.READY:
            self.process = detail
        if word == line.READY:
            self._ready.set()
        if word == line.FAILED:
            self.fault = detail
        self._heard(self, word, detail)

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def how_it_ended(status: int) -> str:
    """Return what a person is told of a status that :meth:`Child.wait` returned."""
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"
