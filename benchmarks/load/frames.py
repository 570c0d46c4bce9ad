"""WebSocket frames as a client makes and reads them (RFC 6455, section 5), reduced to what a load needs."""

from __future__ import annotations

import struct
from typing import Final

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

MASK: Final = b"\x37\xfa\x21\x3d"
"""One key for all frames: the server has its work with it, and frames can be made beforehand."""

Frame = tuple[int, bytes]


def masked(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame of a client."""
    repeated = MASK * (len(payload) // 4 + 1)
    body = bytes(a ^ b for a, b in zip(payload, repeated, strict=False))
    return _head(opcode, len(payload), 0x80) + MASK + body


def unmasked(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame of a server."""
    return _head(opcode, len(payload), 0) + payload


def split(data: bytes) -> tuple[list[Frame], bytes]:
    """Return opcode and payload of each whole frame of a server in ``data``, and the rest.

    Raises :exc:`ValueError` for a fragment: no server that is measured sends any.
    """
    frames: list[Frame] = []
    at = 0
    while (found := _measure(data, at)) and at + sum(found) <= len(data):
        head, length = found
        if not data[at] & 0x80 or not data[at] & 0x0F:
            raise ValueError("the server sent a fragment of a message, which this client cannot put together")
        frames.append((data[at] & 0x0F, data[at + head : at + head + length]))
        at += head + length
    return frames, data[at:]


def _head(opcode: int, length: int, mask: int) -> bytes:
    if length < 126:
        return bytes((0x80 | opcode, mask | length))
    if length < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, mask | 126, length)
    return struct.pack("!BBQ", 0x80 | opcode, mask | 127, length)


def _measure(data: bytes, at: int) -> tuple[int, int] | None:
    """Return the sizes of head and payload of the frame that begins ``at``, or ``None`` if its head is not complete."""
    if len(data) < at + 2:
        return None
    length = data[at + 1] & 0x7F
    extra = {126: 2, 127: 8}.get(length, 0)
    if len(data) < at + 2 + extra:
        return None
    if extra:
        length = int.from_bytes(data[at + 2 : at + 2 + extra], "big")
    return 2 + extra, length
