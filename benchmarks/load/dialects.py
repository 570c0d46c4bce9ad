"""How servers want to be spoken to: what is sent before the first message, and what messages look like on the wire."""

from __future__ import annotations

import json
import socket
from typing import Final, Protocol
from urllib.parse import urlsplit

from benchmarks.load import frames
from benchmarks.load.frames import BINARY, CLOSE, PING, PONG, TEXT


class Unexpected(Exception):
    """The server sent something that has no place in a measurement."""


class Dialect(Protocol):
    """One way of speaking over a WebSocket."""

    def target(self, path: str) -> str:
        """Return the request target of the handshake that leads to ``path``."""

    def open(self, sock: socket.socket) -> None:
        """Say what has to be said on a socket that was just accepted."""

    def say(self, path: str, text: str, binary: bool) -> bytes:
        """Return what a client sends for a message to ``path``."""

    def hear(self, path: str, text: str, binary: bool) -> bytes:
        """Return what the server sends for one."""

    def answer(self, opcode: int, payload: bytes) -> bytes:
        """Return what to send for a frame that is no message; raise :exc:`Unexpected` if it has no place here."""


class Plain:
    """WebSocket messages as they are."""

    def target(self, path: str) -> str:
        """Return the path itself."""
        return path

    def open(self, sock: socket.socket) -> None:
        """Say nothing."""

    def say(self, path: str, text: str, binary: bool) -> bytes:
        """Return one frame."""
        return frames.masked(BINARY if binary else TEXT, text.encode())

    def hear(self, path: str, text: str, binary: bool) -> bytes:
        """Return one frame."""
        return frames.unmasked(BINARY if binary else TEXT, text.encode())

    def answer(self, opcode: int, payload: bytes) -> bytes:
        """Answer a ping; nothing else is expected."""
        if opcode == PING:
            return frames.masked(PONG, payload)
        if opcode == CLOSE:
            raise Unexpected(f"the server closed a socket: {payload[2:].decode(errors='replace') or payload!r}")
        raise Unexpected(f"the server sent {payload[:80]!r}")


class SocketIO(Plain):
    """Socket.IO 4 over its WebSocket transport: an event named after the path, with the text as its argument."""

    def target(self, path: str) -> str:
        """Return the address of the transport; the path tells the server what the socket is for."""
        return f"/socket.io/?EIO=4&transport=websocket&path={path}"

    def open(self, sock: socket.socket) -> None:
        """Join the default namespace."""
        heard = b""
        while not _texts(heard):
            heard += _receive(sock)
        sock.sendall(frames.masked(TEXT, b"40"))
        while len(_texts(heard)) < 2:
            heard += _receive(sock)
        if not _texts(heard)[1].startswith(b"40"):
            raise Unexpected(f"Socket.IO refused the namespace: {heard!r}")

    def say(self, path: str, text: str, binary: bool) -> bytes:
        """Return an event."""
        return frames.masked(TEXT, _event(path, text))

    def hear(self, path: str, text: str, binary: bool) -> bytes:
        """Return the event that comes back."""
        return frames.unmasked(TEXT, _event(path, text))

    def answer(self, opcode: int, payload: bytes) -> bytes:
        """Answer its own pings as well."""
        if opcode == TEXT and payload == b"2":
            return frames.masked(TEXT, b"3")
        return super().answer(opcode, payload)


DIALECTS: Final[dict[str, Dialect]] = {"plain": Plain(), "socket.io": SocketIO()}


def _event(path: str, text: str) -> bytes:
    name = urlsplit(path).path.strip("/").partition("/")[0]
    return b"42" + json.dumps([name, text], separators=(",", ":")).encode()


def _texts(data: bytes) -> list[bytes]:
    return [payload for opcode, payload in frames.split(data)[0] if opcode == TEXT]


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(4096)
    if not data:
        raise Unexpected("the server closed a socket before it was open")
    return data
