"""Where a Redis server is, and how a socket to it is opened."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import Final

DEFAULT_PORT: Final = 6379
KEEPALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""Seconds of silence before a probe, seconds between probes, and probes without an answer that end a connection:
a reader waits without a time limit, and only probes tell it that the host at the other end has vanished."""


@dataclass(frozen=True)
class Address:
    """One server and one of its databases, and how many seconds to wait for it. ``str()`` shows no secrets."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    timeout: float | None = None

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"

    def open(self, timeout: float) -> socket.socket:
        """Return a connected socket; raise :exc:`OSError` after ``timeout`` seconds without a connection."""
        if self.path:
            return _open_unix(self.path, timeout)
        sock = socket.create_connection((self.host, self.port), timeout)
        try:
            _tune(sock)
            return self.tls.wrap_socket(sock, server_hostname=self.host) if self.tls else sock
        except BaseException:
            sock.close()
            raise


def _open_unix(path: str, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):  # macOS names the first one otherwise, and its default will do
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
