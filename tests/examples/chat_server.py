"""The example chat as its users run it: a copy of the project, ``manage.py runserver``, a database of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

CHAT = Path(__file__).resolve().parents[2] / "examples" / "chat"
STARTING = 30.0  # seconds
STOPPING = 15.0  # seconds


class ChatServer:
    """A server process that can be stopped and started again on the same port, with the same messages."""

    def __init__(self, directory: Path) -> None:
        self.project = directory / "chat"
        self.log = directory / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = os.environ | {
            "CHAT_DATABASE": str(directory / "chat.sqlite3"),
            "DJANGO_SETTINGS_MODULE": "chatsite.settings",  # not those of the tests
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        shutil.copytree(CHAT, self.project, ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__"))
        if self.manage("migrate", "--verbosity", "0").wait(STARTING) != 0:
            raise RuntimeError(f"The chat's database could not be made:\n{self.log.read_text()}")

    def manage(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a management command in the project; what it prints goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=self.project,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> None:
        """Run the server until it accepts connections."""
        self.process = self.manage("runserver", f"127.0.0.1:{self.port}", "--noreload")
        deadline = time.monotonic() + STARTING
        while not self.accepts():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The chat did not start:\n{self.log.read_text()}")
            # Another process has no event to wait for that says it listens.
            time.sleep(0.05)

    def accepts(self) -> bool:
        """Whether something listens on the port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End the server, if it runs."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
