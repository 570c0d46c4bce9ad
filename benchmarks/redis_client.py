"""Just enough of a Redis client to look at a server, and to disturb it."""

from __future__ import annotations

import socket
from typing import Any

import hiredis


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
