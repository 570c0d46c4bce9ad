"""An example as its users run it: a copy of the project, ``manage.py runserver``, a database of its own."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.runserver import free_port, manage, running

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class ExampleServer:
    """A server process that can be stopped and started again on the same port, with the same database."""

    def __init__(self, name: str, directory: Path) -> None:
        self.project = directory / name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {f"{name.upper()}_DATABASE": str(directory / f"{name}.sqlite3")}
        self._process = ExitStack()
        shutil.copytree(EXAMPLES / name, self.project, ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__"))
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *arguments: str) -> str:
        """Run a management command and return what it prints."""
        return manage(self.project, *arguments, environment=self.environment)

    def start(self) -> None:
        """Run the server until it accepts connections."""
        self._process.enter_context(running(self.project, "--noreload", port=self.port, environment=self.environment))

    def stop(self) -> None:
        """End the server, if it runs."""
        self._process.close()
