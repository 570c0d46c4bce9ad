"""The example chat as its users run it: a copy of the project, ``manage.py serve``, a database of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.embedded import Serve
from tests.runserver import free_port, manage

CHAT = Path(__file__).resolve().parents[2] / "examples" / "chat"
MADE = ("*.sqlite3*", "__pycache__", "release.txt", "chat.pid")
"""What may lie in the project and is not part of it."""


class ChatServer:
    """A server and its workers, that can be stopped and started again on the same port, with the same messages."""

    def __init__(self, directory: Path, processes: int = 1) -> None:
        self.project = directory / "chat"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"CHAT_DATABASE": str(directory / "chat.sqlite3")}
        self.processes = processes
        self._serve: Serve | None = None
        shutil.copytree(CHAT, self.project, ignore=shutil.ignore_patterns(*MADE))
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *arguments: str) -> str:
        """Run a management command and return what it prints."""
        return manage(self.project, *arguments, environment=self.environment)

    def start(self) -> None:
        """Run the server until it accepts connections, and until there is somebody to answer them."""
        options = ["--threads=2", "--pidfile=chat.pid", f"--processes={self.processes}", f"--port={self.port}"]
        self._serve = Serve(self.project, *options, environment=self.environment)
        self._serve.server_pid()
        self._serve.wait_for_workers(self.processes)

    def stop(self) -> None:
        """End the server, if it runs."""
        serve, self._serve = self._serve, None
        if serve is not None:
            serve.stop()
