"""``manage.py runserver`` as a process of its own: its output as it comes, its sockets, its end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from websockets.sync.client import ClientConnection, connect

STARTING = 30.0
"""Seconds until the banner; more than a busy machine needs."""
PATIENCE = 15.0
"""Seconds that a test waits for a frame, a response or a line before it fails."""

MANAGE = """
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
execute_from_command_line(sys.argv)
"""
BANNER = r"^Quit the server with CONTROL-C\.$"
CHANNEL_BANNER = r"^Channel layer .* HTTP and WebSocket\.$"


class RunServer:
    """A running management command and all that it has printed, standard error included.

    ``lines`` grows while it runs; ``len(lines)`` is what :meth:`wait_for` and :meth:`matching` take as ``since``.
    What runs ``beside`` another one prints into the same lines. A subclass names another command of Python's.
    """

    command: ClassVar[Sequence[str]] = ("manage.py", "runserver")

    def __init__(
        self,
        project: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
        beside: RunServer | None = None,
    ) -> None:
        self.lines: list[str] = beside.lines if beside else []
        self.port = 0
        self._changed: threading.Condition = beside._changed if beside else threading.Condition()
        self._ended = False
        heed_interrupts()
        self._process = subprocess.Popen(
            [sys.executable, *self.command, *arguments],
            cwd=project,
            env=_environment(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C reaches the autoreloader and its child alike, and nobody else
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def url(self) -> str:
        """Where it serves HTTP, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, since: int = 0, timeout: float = PATIENCE) -> re.Match[str]:
        """Return the first match of ``pattern`` in a line from ``since`` on, once there is one."""
        found = self.search(pattern, since, timeout)
        if found is None:
            pytest.fail(f"no line matches {pattern!r} in:\n{self.output}")
        return found

    def search(self, pattern: str, since: int, timeout: float) -> re.Match[str] | None:
        """As :meth:`wait_for`, but return ``None`` after ``timeout`` seconds or when it has ended."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.lines[since:]:
                    if found := re.search(pattern, line):
                        return found
                    since += 1
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._ended:
                    return None
                self._changed.wait(remaining)

    def mark(self) -> int:
        """Return how many lines there are once all that was printed before is among them."""
        marker = uuid4().hex
        self.get(f"/?{marker}")
        self.wait_for(marker)
        return len(self.lines)

    def matching(self, pattern: str, since: int = 0) -> list[str]:
        """Return the lines printed so far, from ``since`` on, that match ``pattern``."""
        return [line for line in self.lines[since:] if re.search(pattern, line)]

    def wait(self, timeout: float = STARTING) -> int:
        """Return the exit status once it has ended by itself."""
        status = self._process.wait(timeout)
        self._reader.join()
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        os.kill(self._process.pid, number)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def stop(self) -> int:
        """End it as a person would, and return its exit status."""
        self.interrupt()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self.wait()
            raise

    def connect(self, path: str, **options: Any) -> ClientConnection:
        """Open a WebSocket."""
        client: ClientConnection = connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, **options)
        return client

    def get(self, path: str, data: bytes | None = None) -> tuple[int, str]:
        """Return status and text of the answer to a GET, or to a POST of ``data``."""
        request = urllib.request.Request(self.url + path, data)
        try:
            with _opener.open(request, timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        with output:
            for line in output:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class RunWorker(RunServer):
    """``manage.py runworker`` as a process of its own."""

    command = ("manage.py", "runworker")


@contextmanager
def running(
    project: Path,
    *options: str,
    port: int = 0,
    banner: str = CHANNEL_BANNER,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunServer]:
    """Run the project's server, from the line that matches ``banner`` to Ctrl-C; on a free port unless given one."""
    server = RunServer(project, f"127.0.0.1:{port}", *options, environment=environment)
    try:
        server.port = int(server.wait_for(r"server at http://127\.0\.0\.1:(\d+)/", timeout=STARTING)[1])
        server.wait_for(banner)
        yield server
    finally:
        server.stop()


@contextmanager
def working(
    project: Path,
    *options: str,
    beside: RunServer | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunWorker]:
    """Run ``runworker`` from its second line, which names its channels, until the block ends."""
    since = len(beside.lines) if beside else 0
    worker = RunWorker(project, *options, beside=beside, environment=environment)
    try:
        worker.wait_for("^Channels: ", since, STARTING)
        yield worker
    finally:
        worker.stop()


def manage(project: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a management command to its end, which has to be a good one; return what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    ended = subprocess.run(
        command,
        cwd=project,
        env=_environment(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STARTING,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def receive(client: ClientConnection) -> str | bytes:
    """Return the next message of a socket."""
    return client.recv(timeout=PATIENCE)


def echoes(client: ClientConnection, text: str) -> bool:
    """Whether a socket that echoes still does."""
    client.send(text)
    return receive(client) == text


def free_port() -> int:
    """Return a port that was free a moment ago, for a server that has to come back on the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_files(directory: Path, files: Mapping[str, str]) -> Path:
    """Write ``files`` by path below ``directory``, return ``directory``."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def write_project(directory: Path, files: Mapping[str, str]) -> Path:
    """Write ``files`` of the package ``mysite``, with a ``manage.py`` for its settings; return ``directory``."""
    return write_files(directory, {"manage.py": MANAGE, "mysite/__init__.py": "", **files})


def heed_interrupts() -> None:
    """Undo what a shell does to the commands it starts in the background: they ignore Ctrl-C, and so do theirs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # Each line is to be seen when it is printed; the settings are the project's, not those of the tests.
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return {**environment, **more}


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
