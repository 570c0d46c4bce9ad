"""The example chat as its users run it: a copy of the project, ``manage.py runserver``, a database of its own."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.runserver import free_port, manage, running

CHAT = Path(__file__).resolve().parents[2] / "examples" / "chat"


class ChatServer:
    """A server process that can be stopped and started again on the same port, with the same messages."""

    def __init__(self, directory: Path) -> None:
        self.project = directory / "chat"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"CHAT_DATABASE": str(directory / "chat.sqlite3")}
        self._process = ExitStack()
        shutil.copytree(CHAT, self.project, ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__"))
        manage(self.project, "migrate", "--verbosity", "0", environment=self.environment)

    def start(self) -> None:
        """Run the server until it accepts connections."""
        self._process.enter_context(running(self.project, "--noreload", port=self.port, environment=self.environment))

    def stop(self) -> None:
        """End the server, if it runs."""
        self._process.close()
