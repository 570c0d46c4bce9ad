"""Opening WebSockets by the hundred, and what arrives on them other than the expected message."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from benchmarks.load import frames
from benchmarks.load.control import LoadError
from benchmarks.load.dialects import DIALECTS, Dialect, Unexpected
from benchmarks.load.spec import Spec

AT_ONCE = 100
"""Handshakes under way at the same time."""
PATIENCE = 30.0
PER_ADDRESS = 20_000
"""Connections from one address of this machine: there are about 28,000 ports to connect from."""


def connect(port: int, number: int = 0) -> socket.socket:
    """Open a TCP connection; the ``number`` spreads many of them over addresses of this machine."""
    address = (f"127.0.0.{1 + number // PER_ADDRESS}", 0)
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE, address if number >= PER_ADDRESS else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def handshake(port: int, target: str) -> bytes:
    """Return a request for a WebSocket (RFC 6455, section 4.1) that offers no extension."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def open_all(spec: Spec) -> list[socket.socket]:
    """Open as many WebSockets as ``spec`` says, in turn on each port and in each group."""
    dialect = DIALECTS[spec.dialect]
    sockets: list[socket.socket] = []
    while len(sockets) < spec.sockets:
        first = len(sockets)
        sockets += _open_some(spec, dialect, range(first, min(first + AT_ONCE, spec.sockets)))
    return sockets


def path_of(spec: Spec, number: int) -> str:
    """Return the path of a socket: its group, where there are several, is part of it."""
    return spec.path.replace("*", str(number % spec.groups))


def _open_some(spec: Spec, dialect: Dialect, numbers: range) -> Iterator[socket.socket]:
    opened = []
    for number in numbers:
        port = spec.ports[number % len(spec.ports)]
        sock = connect(port, number)
        sock.sendall(handshake(port, dialect.target(path_of(spec, number))))
        opened.append(sock)
    for sock in opened:
        _accepted(sock)
        dialect.open(sock)
        yield sock


def _accepted(sock: socket.socket) -> None:
    """Read the answer to the handshake, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        seen = sock.recv(4096, socket.MSG_PEEK)
        if not seen:
            raise LoadError(f"the server closed the connection during the handshake: {head!r}")
        end = seen.find(b"\r\n\r\n")
        if end < 0 and len(seen) < 4:  # perhaps the beginning of the end
            time.sleep(0.001)
        else:
            head += sock.recv(end + 4 if end >= 0 else len(seen) - 3)
    if not head.startswith(b"HTTP/1.1 101"):
        raise LoadError(f"the server refused a WebSocket: {head.splitlines()[0].decode(errors='replace')}")


class Arrivals:
    """Counts messages in what arrives, where it is not simply the expected message: in parts, or between pings."""

    def __init__(self, dialect: Dialect, expected: bytes) -> None:
        self._dialect = dialect
        self._expected = expected
        self._rest: dict[int, bytes] = {}

    def count(self, sock: socket.socket, data: bytes) -> int:
        """Return how many messages ``data`` completes; answer what wants an answer.

        Raises :exc:`LoadError` for the end of the connection and for what no server should send here.
        """
        if not data:
            raise LoadError("the server closed a connection")
        data = self._rest.pop(sock.fileno(), b"") + data
        if len(data) < len(self._expected) and self._expected.startswith(data):
            found: list[frames.Frame] = []
            rest = data
        else:
            found, rest = frames.split(data)
        if rest:
            self._rest[sock.fileno()] = rest
        return sum(self._is_message(sock, opcode, payload) for opcode, payload in found)

    def is_partial(self, sock: socket.socket) -> bool:
        """Return whether the beginning of a frame has arrived."""
        return sock.fileno() in self._rest

    def _is_message(self, sock: socket.socket, opcode: int, payload: bytes) -> bool:
        if frames.unmasked(opcode, payload) == self._expected:
            return True
        try:
            sock.sendall(self._dialect.answer(opcode, payload))
        except Unexpected as error:
            raise LoadError(str(error)) from error
        return False
