"""The example chat as its users run it."""

from __future__ import annotations

from pathlib import Path

from tests.examples.server import ExampleServer


class ChatServer(ExampleServer):
    """A server of the chat."""

    def __init__(self, directory: Path) -> None:
        super().__init__("chat", directory)
