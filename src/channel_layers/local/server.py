"""The embedded server: started by the first of its users, found by the others."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from channel_layers.local.binary import BINARY
from channel_layers.local.directory import SharedDirectory
from channel_layers.redis.address import Address

logger = logging.getLogger("channel_layers")

KEEPER: Final = Path(__file__).with_name("keeper.py")
START_TIMEOUT: Final = 10.0
"""Seconds that a start may take, also one that another process has begun; far more than a busy machine needs."""
ABSENT: Final = (FileNotFoundError, ConnectionRefusedError)
"""What connecting raises where no server listens."""


class LocalServer:
    """The server of ``directory``, as one of its users sees it."""

    def __init__(self, directory: SharedDirectory) -> None:
        self._directory = directory
        self._was_there = False

    def open(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """Return what ``connect`` returns, after starting a server if there is none; else raise :exc:`OSError`."""
        self._directory.enter(START_TIMEOUT)
        try:
            found = connect()
        except ABSENT:
            self._start(connect)
            found = connect()
        self._was_there = True
        return found

    def leave(self) -> None:
        """Be none of its users any more; it is used again when it is opened again."""
        self._was_there = False
        self._directory.leave()

    def _start(self, connect: Callable[[], socket.socket]) -> None:
        path = self._directory.path
        if self._was_there:
            logger.error("the embedded server in %s has ended, and what it held is lost; another takes its place", path)
        with self._directory.starting(START_TIMEOUT):
            try:
                connect().close()  # another user was quicker
            except ABSENT:
                start_keeper(path)


@dataclass(frozen=True, kw_only=True)
class LocalAddress(Address):
    """Where ``server`` listens. To open it makes this process one of those that the server lives for."""

    server: LocalServer

    def open(self, timeout: float) -> socket.socket:
        """Return a connected socket, of a server that is started where there is none; else raise :exc:`OSError`."""
        return self.server.open(partial(super().open, timeout))


def start_keeper(directory: Path) -> None:
    """Start a server and the process that keeps it, and wait until it listens.

    Raises :exc:`OSError` with the reason if it does not, :exc:`TimeoutError` if that takes too long.
    """
    command = [interpreter(), "-I", str(KEEPER), str(directory), BINARY]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C in a terminal is for those who use the server
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=START_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{BINARY} did not start within {START_TIMEOUT:g} s; see {directory}/log") from None
    if said.strip() != "ready":
        raise OSError(f"{BINARY} did not start: {said.strip() or 'no reason was given'}")


def interpreter() -> str:
    """Return the program of this Python, also where Python is part of another program such as uWSGI."""
    name = Path(sys.executable or "").name
    return sys.executable if name.startswith(("python", "pypy")) else str(Path(sys.prefix, "bin", "python3"))
