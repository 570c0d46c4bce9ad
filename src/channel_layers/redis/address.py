"""Where a Redis server is, and how a socket to it is opened."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeGuard
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

DEFAULT_PORT: Final = 6379
FORMS: Final = "redis://host:port/0, rediss://host:port/0, unix:///path/to/socket?db=0 or (host, port)"
KEEPALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""Seconds of silence before a probe, seconds between probes, and probes without an answer that end a connection:
a reader waits without a time limit, and only probes tell it that the host at the other end has vanished."""


@dataclass(frozen=True)
class Address:
    """One server and one of its databases. ``str()`` shows no secrets."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

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


Host = str | tuple[str, int] | Address


def read_hosts(hosts: str | Sequence[Host] | None) -> Address:
    """Return the address that the ``hosts`` option names; without one, Redis on this machine.

    Raises :exc:`ValueError` for what is no address.
    """
    if hosts is None:
        return Address()
    several = [hosts] if isinstance(hosts, str) or _is_pair(hosts) else list(hosts)
    if len(several) != 1:
        raise ValueError(f"hosts names one server, not {len(several)}: {hosts!r}")
    host = several[0]
    if isinstance(host, Address):
        return host
    if isinstance(host, str):
        return _read_url(host)
    if not _is_pair(host):
        raise ValueError(f"a host is one of {FORMS}, not {host!r}")
    return Address(host[0], host[1])


def _is_pair(host: object) -> TypeGuard[tuple[str, int]]:
    return isinstance(host, (tuple, list)) and [type(part) for part in host] == [str, int]


def _read_url(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"a host is one of {FORMS}, not {_without_password(parts)!r}")
    options = dict(parse_qsl(parts.query))
    database = options.pop("db", "") or ("" if parts.scheme == "unix" else parts.path.strip("/")) or "0"
    tls = _tls(parts, options) if parts.scheme == "rediss" else None
    if options:
        raise ValueError(f"{_without_password(parts)!r} has options that are not known: {', '.join(sorted(options))}")
    if not database.isdecimal():
        raise ValueError(f"the database in {_without_password(parts)!r} is a number, not {database!r}")
    return Address(
        parts.hostname or "localhost",
        parts.port or DEFAULT_PORT,
        unquote(parts.path) if parts.scheme == "unix" else "",
        int(database),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls,
    )


def _tls(parts: SplitResult, options: dict[str, str]) -> ssl.SSLContext:
    """Return a context that verifies the server; ``ssl_cert_reqs=none`` turns that off."""
    context = ssl.create_default_context(cafile=options.pop("ssl_ca_certs", None))
    verify = options.pop("ssl_cert_reqs", "required")
    if verify not in ("required", "none"):
        raise ValueError(f"ssl_cert_reqs in {_without_password(parts)!r} is required or none, not {verify!r}")
    if verify == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _without_password(parts: SplitResult) -> str:
    secret = f":{parts.password}@" if parts.password else ""
    return parts.geturl().replace(secret, ":***@") if secret else parts.geturl()


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
