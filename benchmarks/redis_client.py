"""Just enough of a Redis client to look at a server, and to disturb it."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import hiredis

MONITORED: Final = re.compile(rb'^\+?[\d.]+ \[\d+ ([^\]]+)\] "([^"]+)"')
"""A line of MONITOR (its documentation at redis.io): time, database and who, command; a script is called ``lua``."""
MARKER: Final = b"end of the window"


class RedisClient:
    """One blocking connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sock: socket.socket | None = None

    def ask(self, *command: str | int) -> Any:
        """Return the answer to ``command``; connects again if the connection has ended."""
        packed = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]  # the stubs mean a tuple of any length
        for _ in range(2):
            try:
                return self._exchange(packed)
            except OSError:
                self.close()
        return self._exchange(packed)

    def close(self) -> None:
        """Close the connection."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def calls(self) -> dict[str, int]:
        """Return how often each command was carried out, also by scripts, since :meth:`reset`."""
        lines = self.ask("INFO", "commandstats").decode().splitlines()
        stats = [line.removeprefix("cmdstat_").partition(":calls=") for line in lines if ":calls=" in line]
        return {name: int(rest.partition(",")[0]) for name, _, rest in stats}

    def reset(self) -> None:
        """Begin to count anew."""
        self.ask("CONFIG", "RESETSTAT")

    def _exchange(self, packed: bytes) -> Any:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), 10)
        self._sock.sendall(packed)
        reader = hiredis.Reader(notEnoughData=...)
        while (reply := reader.gets()) is ...:
            received = self._sock.recv(1 << 16)
            if not received:
                raise ConnectionResetError("Redis closed the connection")
            reader.feed(received)
        return reply


class Monitor:
    """Counts the commands that clients send, without those that scripts give; it costs Redis time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sock = socket.create_connection(("127.0.0.1", port), 10)
        self._sock.sendall(hiredis.pack_command(("MONITOR",)))
        self._sock.recv(5)  # "+OK" and the end of the line

    def sent(self) -> dict[str, int]:
        """Return how often each command was sent since the monitor was made, and end it."""
        RedisClient(self._port).ask("ECHO", MARKER.decode())
        seen = b""
        with self._sock:
            while MARKER not in seen:
                seen += self._sock.recv(1 << 20)
        return count(seen.splitlines())


def count(lines: Iterable[bytes]) -> dict[str, int]:
    """Return how often each command stands in ``lines`` of MONITOR, unless a script gave it."""
    found = [match.groups() for line in lines if (match := MONITORED.match(line)) and MARKER not in line]
    return dict(Counter(name.decode().lower() for who, name in found if who != b"lua"))
