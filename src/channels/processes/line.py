"""What a supervised process and the one that started it say to each other.

A pair of connected sockets, and lines of text: a word and, behind a blank, what it is about. Only the child speaks;
the end of the connection tells it that its parent has gone.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

OPTION: Final = "--parent-fd"
"""The option of a command that names the child's end of the line."""

NAME: Final = "name"
"""What the child calls itself on the layer, said before it takes anything: whoever dies then leaves claims behind."""
READY: Final = "ready"
"""The child works; behind it stands what it calls itself on the layer."""
FAILED: Final = "failed"
"""The child does not start; behind it stands why, in the sentence that it ends with."""
REPLACE: Final = "replace"
"""The child wants another in its place; behind it stands why."""
CHANGED: Final = "changed"
"""A file of the code that the child runs has changed: the time of that as seconds, and the path."""
EARLY: Final = "early"
"""As :data:`CHANGED`, but it is not certain whether the child runs the old code or the new."""
SETTINGS: Final = "settings"
"""A text that is another when the settings of an interface server are others."""


def encode(word: str, detail: str = "") -> bytes:
    """Return a line."""
    return f"{word} {' '.join(detail.split())}\n".encode(errors="surrogateescape")


def decode(line: bytes) -> tuple[str, str]:
    """Return the word and the detail of a line."""
    word, _, detail = line.decode(errors="surrogateescape").strip().partition(" ")
    return word, detail


class Parent:
    """The process that started this one. ``descriptor`` is this end of the line. Thread-safe."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # processes that consumers start must not keep the line open
        self._line = socket.socket(fileno=descriptor)
        self._is_closed = False

    def say(self, word: str, detail: str = "") -> None:
        """Say something; that nobody listens any more is no error."""
        with suppress(OSError):
            self._line.sendall(encode(word, detail))

    def watch(self, ended: Callable[[], object]) -> None:
        """Call ``ended`` in a thread once the parent has ended, however it did."""
        threading.Thread(target=self._wait, args=[ended], name="channels-parent", daemon=True).start()

    def close(self) -> None:
        """Give the line up; the end of the parent means nothing any more."""
        self._is_closed = True
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)  # ends the wait of the thread
        self._line.close()

    def _wait(self, ended: Callable[[], object]) -> None:
        with suppress(OSError):
            while self._line.recv(64):
                pass
        if not self._is_closed:
            ended()


def end_this_process() -> None:
    """Do what the parent would have asked for: finish, and end."""
    os.kill(os.getpid(), signal.SIGTERM)
