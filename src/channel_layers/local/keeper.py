"""The process that starts an embedded server and ends it with its last user.

A script of the standard library alone: ``keeper.py DIRECTORY PROGRAM``. It says ``ready``, or why the server did not
start, and then nothing more. It is nobody's child, so whoever started it may end without ending it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final, NoReturn

SOCKET: Final = "valkey.sock"
"""As in ``directory.py``, which a script that imports nothing of ours cannot ask."""
LINGER: Final = 1.0
"""Seconds without a user after which the server ends: one command after another finds the same server."""
PAUSE: Final = 0.005
"""Seconds between two attempts to connect to a server that is starting; nothing else tells that it listens."""
PR_SET_PDEATHSIG: Final = 1


class Keeper:
    """Runs the server of one directory."""

    def __init__(self, directory: Path, program: str) -> None:
        self._directory = directory
        self._descriptor = os.open(directory, os.O_RDONLY)
        self._program = program
        self._server = 0
        self._is_unused = False

    def run(self) -> None:
        """Start the server, say so, and return when it has ended."""
        self._server = self._started()
        signal.signal(signal.SIGTERM, self._end)
        while not self._listens():
            ended, status = os.waitpid(self._server, os.WNOHANG)
            if ended:
                sys.exit(self._fault(status))
            time.sleep(PAUSE)
        os.write(1, b"ready\n")
        _silence(1, 2)
        threading.Thread(target=self._watch_users, daemon=True).start()
        os.waitpid(self._server, 0)
        if self._is_unused:
            self._clear()

    def _started(self) -> int:
        keeper = os.getpid()
        child = os.fork()
        if child == 0:
            self._become_server(keeper)
        return child

    def _become_server(self, keeper: int) -> NoReturn:
        try:
            _silence(0, 1, 2)
            if sys.platform == "linux":  # a server without a keeper would never end
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == keeper:
                os.execv(self._program, [self._program, *options(self._directory)])
        finally:
            os._exit(127)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._directory / SOCKET)) == 0

    def _fault(self, status: int) -> str:
        code = os.waitstatus_to_exitcode(status)
        log = self._directory / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return f"it ended with status {code}; the end of {log}: {' / '.join(lines[-3:]) or 'empty'}"

    def _watch_users(self) -> None:
        """Wait until the directory has had no user for a while, and end the server."""
        while not self._is_unused:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            time.sleep(LINGER)
            self._is_unused = _is_locked(self._descriptor)
        self._end()

    def _clear(self) -> None:
        """Leave nothing behind. Whoever waits for the lock of the directory then makes a new one."""
        if self._is_in_place():
            for path in self._directory.iterdir():
                path.unlink()
            self._directory.rmdir()

    def _is_in_place(self) -> bool:
        """Return whether the directory is still the one of this server: somebody may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._directory.lstat())
        except FileNotFoundError:
            return False

    def _end(self, *_: object) -> None:
        """End the server. It has nothing to save, and would remove a socket that may be another's by now."""
        os.kill(self._server, signal.SIGKILL)


def options(directory: Path) -> list[str]:
    """Return the options of the server: nothing is written to a disk, and nothing is evicted."""
    given = {
        "dir": str(directory),
        "unixsocket": str(directory / SOCKET),
        "unixsocketperm": "700",
        "port": "0",
        "save": "",
        "appendonly": "no",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "timeout": "0",
        "loglevel": "warning",
        "logfile": str(directory / "log"),
        "daemonize": "no",
    }
    return [part for name, value in given.items() for part in (f"--{name}", value)]


def _is_locked(descriptor: int) -> bool:
    """Return whether nobody uses the directory, which from then on nobody can."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _silence(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def main() -> None:
    """Run as a process of its own, in nobody's way."""
    directory, program = sys.argv[1:]
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir("/")
    Keeper(Path(directory), program).run()


if __name__ == "__main__":
    main()
