"""Processes that use the embedded layer, and the server that they share, seen from outside."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from channel_layers.local.directory import directory_name

PATIENCE = 20.0
"""Seconds that something that has to happen may take before its test fails."""

USER = """
import sys

from channel_layers.local import LocalChannelLayer

layer = LocalChannelLayer(project="shared", directory=sys.argv[1])
layer.send("a", {})
print("ready", flush=True)
sys.stdin.read()
"""


class User:
    """A process that has used the layer, and goes on living."""

    def __init__(self, base: Path, script: str = USER) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, str(base)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until it has used the layer."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> None:
        """Let it end as a program ends that has done its work."""
        self._process.communicate(timeout=PATIENCE)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self.end()

    def interrupt(self) -> None:
        """Press Ctrl-C in its terminal: everything in it is told."""
        os.killpg(self._process.pid, signal.SIGINT)
        self.end()


class SharedServer:
    """The server of the project ``shared``, which nobody here uses."""

    def __init__(self, base: Path) -> None:
        self.directory = base / directory_name("shared")

    @property
    def pid(self) -> int:
        """The number of the server's process; 0 if none answers."""
        return int(self._info().get("process_id", 0))

    @property
    def keeper(self) -> int:
        """The number of the process that keeps it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("PPid:")[2].split()[0])

    def ask(self, *command: str | int) -> bytes:
        """Return the first bytes of the answer to an inline ``command``; nothing if there is no server."""
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self.directory / "valkey.sock"))
                sock.sendall(" ".join(map(str, command)).encode() + b"\r\n")
                return sock.recv(1 << 16)
            except OSError:
                return b""

    def is_used(self) -> bool:
        """Return whether any process is among its users."""
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def is_gone(self) -> bool:
        """Return whether it has ended and nothing is left of it."""
        return not self.directory.exists()

    def _info(self) -> dict[str, str]:
        lines = self.ask("INFO", "server").decode().splitlines()
        return {name: value for name, _, value in (line.partition(":") for line in lines)}


def is_alive(pid: int) -> bool:
    """Return whether there is such a process, other than one that has ended and that nobody has asked about."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/status")
        return not status.parent.exists() or "State:\tZ" not in status.read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
