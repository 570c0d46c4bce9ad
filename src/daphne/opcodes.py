"""The first bytes of a WebSocket frame (RFC 6455 §5.2): opcodes, bits, and what a control frame has room for."""

from __future__ import annotations

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

FIN = 0x80
"""Of the first byte: the message ends with this frame."""
RESERVED = 0x70
"""Of the first byte: what extensions are to negotiate before they use it."""
COMPRESSED = 0x40
"""RSV1 of a message's first frame, where permessage-deflate was negotiated (RFC 7692 §6)."""
MASKED = 0x80
"""Of the second byte: as all frames of a client are, and none of a server."""
FIN_TEXT, FIN_BINARY = FIN | TEXT, FIN | BINARY
"""First bytes of a whole message in one frame."""

MAX_CONTROL_SIZE = 125
"""Payload bytes of a control frame (§5.5)."""
