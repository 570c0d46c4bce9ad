"""A site of processes on loopback: Redis, interface servers, workers; each can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from benchmarks.process import Process, free_port
from benchmarks.redis_client import RedisClient

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Stack:
    """Redis and the processes around it, for the block of a ``with`` statement.

    ``ports`` are those of the interface servers. Servers and workers have the first processor, Redis and whoever makes
    the load the last one.
    """

    def __init__(
        self, servers: int = 1, workers: int = 1, threads: int = 1, server_options: Sequence[str] = ()
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="relay"))
        self.redis_port = free_port()
        self.ports = [free_port() for _ in range(servers)]
        self.redis = Process("redis", self._redis_command(), self.folder, CORES[-1:])
        self.servers = [
            self._python(f"server{n}", "-m", "daphne", "-p", str(port), *server_options, "channels.asgi:channel_layer")
            for n, port in enumerate(self.ports)
        ]
        self.workers = [
            self._python(f"worker{n}", "-m", "django", "runworker", "--threads", str(threads)) for n in range(workers)
        ]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to belong to the site."""
        return {
            "DJANGO_SETTINGS_MODULE": "benchmarks.site.settings",
            "BENCHMARK_LAYER": f"redis://127.0.0.1:{self.redis_port}/0",
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
        return Process(name, [sys.executable, *arguments], self.folder, CORES[:1], **self.environment)

    def _redis_command(self) -> list[str]:
        options = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [shutil.which("redis-server") or "redis-server", *options, "--dir", str(self.folder)]
