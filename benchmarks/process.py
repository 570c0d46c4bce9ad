"""Programs that a benchmark starts: the processors they run on, their log, what they cost, and their end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks import usage

PATIENCE = 20.0
"""Seconds that a process has to start or to end."""


class StartError(SystemExit):
    """A process did not start; the text has what it wrote. Whoever does not expect it ends with that text."""


class Process:
    """A program with a log of its own, on the processors ``cores``; none stands for any."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, cores: Collection[int] = (), **environment: str
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._cores = cores
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process, which must run."""
        assert self._process is not None
        return self._process.pid

    def start(self, ready: str = "", port: int = 0) -> None:
        """Start it, and wait until its log says ``ready``, or until it listens on ``port``."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log, on_cores(self._cores):
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        deadline = time.monotonic() + PATIENCE
        while (ready and ready not in self._said(before)) or (port and not is_open(port)):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise StartError(f"{self.name} did not start:\n{self._said(before)}")
            time.sleep(0.02)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end, of its children as well if they are killed."""
        if self._process is None:
            return
        children = usage.descendants(self.pid) if number == signal.SIGKILL else []
        for pid in children:
            kill(pid)
        self._process.send_signal(number)
        self._process.wait(PATIENCE)
        self._process = None

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def lines(self, *levels: str) -> list[str]:
        """Return the lines of the log with one of ``levels`` in them."""
        return [line for line in self.log.read_text().splitlines() if any(level in line for level in levels)]

    def resident(self) -> int:
        """Return the resident memory in bytes, that of its children included."""
        return sum(usage.resident(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Return its own id and those of its children and theirs."""
        return [self.pid, *usage.descendants(self.pid)]

    def _said(self, before: int) -> str:
        return self.log.read_text(errors="replace")[before:]


def kill(pid: int) -> None:
    """Kill a process, unless it has gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Let what is started in the block inherit these processors; where there are several, and where that can be had."""
    if not hasattr(os, "sched_setaffinity") or not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def is_open(port: int) -> bool:
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
