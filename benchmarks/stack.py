"""A site of processes on loopback: Redis, interface servers, workers; each can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from benchmarks.redis_client import RedisClient

PATIENCE = 20.0
"""Seconds that a process has to start or to end."""
CORES = os.cpu_count() or 1


class Process:
    """A program with a log of its own, on the processor ``core`` if there are several."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, core: int, **environment: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [*pinned(core), *command]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the process, which must run."""
        assert self._process is not None
        return self._process.pid

    def start(self, ready: str = "") -> None:
        """Start it, and wait until its log says ``ready``."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        deadline = time.monotonic() + PATIENCE
        while ready and ready not in self.log.read_text()[before:]:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit(f"{self.name} did not start:\n{self.log.read_text()[before:]}")
            time.sleep(0.02)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None:
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
        """Return the resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """Return the processor time it has used, in user and in kernel mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Stack:
    """Redis and the processes around it, for the block of a ``with`` statement.

    ``ports`` are those of the interface servers. Servers and workers have the first processor, Redis and whoever makes
    the load the last one.
    """

    def __init__(
        self,
        servers: int = 1,
        workers: int = 1,
        threads: int = 1,
        server_options: Sequence[str] = (),
        worker_options: Sequence[str] = (),
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="relay"))
        self.redis_port = free_port()
        self.ports = [free_port() for _ in range(servers)]
        self.redis = Process("redis", self._redis_command(), self.folder, CORES - 1)
        self.servers = [
            self._python(f"server{n}", "-m", "daphne", "-p", str(port), *server_options, "channels.asgi:channel_layer")
            for n, port in enumerate(self.ports)
        ]
        self.workers = [
            self._python(f"worker{n}", "-m", "django", "runworker", "--threads", str(threads), *worker_options)
            for n in range(workers)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to belong to the site."""
        return {
            "DJANGO_SETTINGS_MODULE": "benchmarks.site.settings",
            "BENCHMARK_LAYER": f"redis://127.0.0.1:{self.redis_port}/0",
            "BENCHMARK_LEDGER": str(self.folder / "ledger"),
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.end)
            self.start_redis()
            for server in self.servers:
                server.start("listens on")
            self.start_workers()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start_redis(self) -> None:
        """Start Redis with nothing in it."""
        self.redis.start("Ready to accept connections")

    def start_workers(self) -> None:
        """Start every worker that does not run."""
        for worker in self.workers:
            if not worker.is_running():
                worker.start("Channels:")

    def end(self) -> None:
        """End all processes, the workers first, and forget their logs."""
        for process in (*self.workers, *self.servers, self.redis):
            process.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> RedisClient:
        """Return a connection to Redis that speaks for itself."""
        return RedisClient(self.redis_port)

    def run(self, *arguments: str, **options: IO[str]) -> str:
        """Run Python in the site, to its end, and return what it printed."""
        command = [sys.executable, *arguments]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
        return done.stdout

    def _python(self, name: str, *arguments: str) -> Process:
        return Process(name, [sys.executable, *arguments], self.folder, 0, **self.environment)

    def _redis_command(self) -> list[str]:
        options = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [shutil.which("redis-server") or "redis-server", *options, "--dir", str(self.folder)]


def pinned(core: int) -> list[str]:
    """Return what runs a command on one processor, where that can be had."""
    return ["taskset", "-c", str(core)] if sys.platform == "linux" and CORES > 1 else []


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
