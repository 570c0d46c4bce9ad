"""The process that has started this server and is to know about it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress


def tell_failure(descriptor: int | None, why: object) -> None:
    """Tell the process at the other end of ``descriptor``, if there is one, why this one does not start."""
    if descriptor is not None:
        with suppress(OSError), socket.socket(fileno=descriptor) as line:
            line.send(f"failed {' '.join(str(why).split())}\n".encode(errors="surrogateescape"))


class Parent:
    """What is at the other end of an inherited socket: it is told when the server listens.

    ``ended`` is called in the running loop when the parent has ended, however it did.
    """

    def __init__(self, descriptor: int, ended: Callable[[], object]) -> None:
        os.set_inheritable(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._line = socket.socket(fileno=descriptor)
        self._line.setblocking(False)
        self._ended = ended
        self._loop.add_reader(self._line, self._read)

    def ready(self, process: str) -> None:
        """Say that connections are accepted, and what this process is called on the layer."""
        with suppress(OSError):
            self._line.send(f"ready {process}\n".encode())

    def close(self) -> None:
        """Listen no more."""
        self._loop.remove_reader(self._line)
        self._line.close()

    def _read(self) -> None:
        with suppress(OSError):
            if self._line.recv(64):
                return  # whatever it says, it lives
        self._loop.remove_reader(self._line)
        self._ended()
