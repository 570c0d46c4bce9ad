"""A contender that runs: its processes, their ports, a folder for their logs, a Redis of its own."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks import environments, usage
from benchmarks.contenders import Contender, Program
from benchmarks.machine import Layout
from benchmarks.process import Process, free_port, kill

RIVALS: Final = Path(__file__).parent / "rivals"
ROOT: Final = Path(__file__).parent.parent


class Deployment:
    """``contender`` with so many server processes, for the block of a ``with`` statement."""

    def __init__(self, contender: Contender, layout: Layout, servers: int = 1) -> None:
        self.contender = contender
        self.folder = Path(tempfile.mkdtemp(prefix="relay-bench-"))
        self.ports = tuple(free_port() for _ in range(servers))
        self.redis_port = free_port() if "redis" in contender.needs else 0
        self._layout = layout
        self._running: list[tuple[str, Process]] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def is_running(self) -> bool:
        """Whether none of its processes has ended."""
        return all(process.is_running() for _, process in self._running)

    def end(self) -> None:
        """End all processes, those of no use to others first, and forget their logs."""
        for _, process in reversed(self._running):
            process.end(signal.SIGKILL)
        self._running.clear()
        for pid in usage.naming(str(self.folder)):  # an embedded server is nobody's child
            kill(pid)
        shutil.rmtree(self.folder, ignore_errors=True)

    def roles(self) -> dict[str, list[int]]:
        """Return the ids of all processes by what they do."""
        found: dict[str, list[int]] = {}
        for role, process in self._running:
            found.setdefault(role, []).extend(process.pids())
        known = {pid for pids in found.values() for pid in pids}
        kept = [pid for pid in usage.naming(str(self.folder)) if pid not in known]
        return {**found, "redis": kept} if kept else found

    def resident(self, role: str = "server") -> int:
        """Return the resident memory of all processes with a role, in bytes."""
        return sum(process.resident() for each, process in self._running if each == role)

    def log(self) -> str:
        """Return the last lines that its processes have written, those of Redis left out."""
        logs = [process.log for role, process in self._running if role != "redis" and process.log.exists()]
        texts = [log.read_text(errors="replace") for log in logs]
        return "\n".join("\n".join(text.splitlines()[-8:]) for text in texts if text)

    def _start(self) -> None:
        if self.redis_port:
            core = self._layout.servers if self.contender.redis_beside else self._layout.redis
            self._run("redis", "redis", self._redis_command(), core, port=self.redis_port)
        for program in self.contender.programs:
            for port in self.ports if program.role == "server" else (0,):
                self._launch(program, port)

    def _launch(self, program: Program, port: int) -> None:
        values = self._values(port)
        command = [part.format(**values) for part in program.command]
        name = f"{program.role}-{port}"
        self._run(program.role, name, command, self._layout.servers, program.ready, 0 if program.ready else port)

    def _run(self, role: str, name: str, command: list[str], core: int, ready: str = "", port: int = 0) -> None:
        values = self._values(port)
        environment = {key: value.format(**values) for key, value in self.contender.environment.items()}
        process = Process(name, command, self.folder, [core], PYTHONPATH=str(ROOT), **environment)
        self._running.append((role, process))
        process.start(ready, port)

    def _values(self, port: int) -> dict[str, str]:
        """Return what stands for the names in braces of the table."""
        values = {
            "own": sys.executable,
            "python": str(environments.PYTHON),
            "port": str(port),
            "folder": str(self.folder),
            "redis": f"redis://127.0.0.1:{self.redis_port}/0" if self.redis_port else "",
            "node": shutil.which("node") or "node",
            "here": str(RIVALS / "node"),
            "node_modules": str(environments.NODE / "node_modules"),
        }
        return {**values, "config": self._config(values)}

    def _config(self, values: dict[str, str]) -> str:
        """Fill the contender's file in; return its path."""
        if not self.contender.config:
            return ""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        text = (RIVALS / self.contender.config).read_text()
        path = self.folder / self.contender.config
        path.write_text(
            text.format(
                **values,
                files=files,
                connections=files - 100,
                module=environments.NCHAN,
                user="user root;" if os.geteuid() == 0 else "",
            )
        )
        return str(path)

    def _redis_command(self) -> list[str]:
        options = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return [environments.find("redis-server"), *options, "--dir", str(self.folder)]
