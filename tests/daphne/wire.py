"""The client's side of a connection: a transport that records, and what clients send and read."""

from __future__ import annotations

import asyncio
import io
import struct
from http.client import HTTPResponse
from typing import Any, NamedTuple

from websockets.utils import apply_mask

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\x11\x22\x33\x44"
CLIENT, SERVER = ("192.0.2.7", 50001), ("192.0.2.1", 8000)


class Transport(asyncio.Transport):
    """Hands bytes to its protocol and records what the protocol writes; closes at the loop's next turn, as real ones.

    ``stalled`` stands for a client that does not read: the protocol is told once the write limit is passed. ``late``
    is what was written to a transport that was closing, which a real one drops. ``ended``: our half was closed.
    """

    def __init__(self, protocol: asyncio.Protocol, **extra: Any) -> None:
        super().__init__({"peername": CLIENT, "sockname": SERVER, **extra})
        self.protocol = protocol
        self.written = b""
        self.writes = 0
        self.late = b""
        self.reading = True
        self.stalled = False
        self.aborted = False
        self.lost = False
        self.ended = False
        self._unread = 0
        self._high = 64 * 1024
        self._closing = False
        protocol.connection_made(self)

    # -- what the server calls -------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or self.ended:
            self.late += data
            return
        self.written += data
        self.writes += 1
        if self.stalled:
            before, self._unread = self._unread, self._unread + len(data)
            if before <= self._high < self._unread:
                self.protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return self.get_extra_info("sslcontext") is None

    def write_eof(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return self._unread

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self._high = high

    def pause_reading(self) -> None:
        assert not self.lost, "uvloop raises"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self._closing, "uvloop raises"
        self.reading = True

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._lose, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    # -- what the client does --------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Let ``data`` arrive at the server, which must be reading."""
        assert self.reading
        self.protocol.data_received(data)

    def drain(self, size: int | None = None) -> None:
        """Let the client read all that was written, or ``size`` bytes of it."""
        self._unread = 0 if size is None else max(0, self._unread - size)
        if self._unread <= self._high // 4:
            self.protocol.resume_writing()

    def fail(self) -> None:
        """Break the connection so that the server sees it is closing and has not been told that it is lost."""
        self._closing = True

    def lose(self, error: Exception | None = None) -> None:
        """Cut the connection: ``None`` for a FIN, an error for a reset."""
        self._closing = True
        self._lose(error)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        written, self.written = self.written, b""
        return written

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(error)


class Frame(NamedTuple):
    """A frame of the server, which is never masked and never a fragment."""

    opcode: int
    payload: bytes


def read_frames(data: bytes) -> list[Frame]:
    """Return the frames that ``data`` consists of."""
    frames = []
    while data:
        length, start = data[1], 2
        if length == 126:
            length, start = struct.unpack("!H", data[2:4])[0], 4
        elif length == 127:
            length, start = struct.unpack("!Q", data[2:10])[0], 10
        assert data[0] & 0xF0 == 0x80
        assert len(data) >= start + length
        frames.append(Frame(data[0] & 0x0F, data[start : start + length]))
        data = data[start + length :]
    return frames


def frame(opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", fin << 7 | opcode, 0x80 | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", fin << 7 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", fin << 7 | opcode, 0x80 | 127, length)
    return head + MASK + apply_mask(payload, MASK)


def text(message: str) -> bytes:
    """Return a text message as a client sends it."""
    return frame(TEXT, message.encode())


def close(code: int, reason: str = "") -> bytes:
    """Return the payload of a close frame."""
    return code.to_bytes(2) + reason.encode()


def get(path: str = "/", *lines: str) -> bytes:
    """Return a request without a body."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: testserver", *lines, "", "")).encode()


def post(body: bytes, *lines: str) -> bytes:
    """Return a request with ``body``."""
    head = ("POST /form HTTP/1.1", "Host: testserver", f"Content-Length: {len(body)}", *lines, "", "")
    return "\r\n".join(head).encode() + body


def upgrade(path: str = "/chat", *lines: str, version: int = 13) -> bytes:
    """Return an opening handshake."""
    return get(
        path,
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Version: {version}",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *lines,
    )


class Answer(NamedTuple):
    """A response as a client has understood it; ``rest`` is what follows it."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes


class _Wire(io.BytesIO):
    def makefile(self, _mode: str) -> _Wire:
        return self

    def close(self) -> None: ...


def read_answer(data: bytes, method: str = "GET") -> Answer:
    """Parse one whole response."""
    wire = _Wire(data)
    parsed = HTTPResponse(wire, method=method)  # type: ignore[arg-type]  # as much of a socket as it needs
    parsed.begin()
    body = parsed.read()
    headers = {name.lower(): value for name, value in parsed.getheaders()}
    return Answer(parsed.status, headers, body, wire.read())
