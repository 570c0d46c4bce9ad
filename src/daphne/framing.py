"""What the server sends, one frame for each message (RFC 6455 §5), without I/O: messages to bytes."""

from __future__ import annotations

from channel_layers.messages import CLOSE_CODES
from daphne.compression import Deflater
from daphne.opcodes import CLOSE, COMPRESSED, FIN, FIN_BINARY, FIN_TEXT, MAX_CONTROL_SIZE, PING, PONG

_SHORT_TEXT = [bytes((FIN_TEXT, length)) for length in range(126)]
"""Heads of short texts: nearly every frame that is sent begins with one of them."""
_MAX_REASON_SIZE = MAX_CONTROL_SIZE - 2


def check_close_code(code: int) -> None:
    """Raise :exc:`ValueError` unless a close frame may carry ``code`` (RFC 6455 §7.4, IANA's registry)."""
    if not isinstance(code, int) or code not in CLOSE_CODES:
        raise ValueError(f"close code must be 1000-1003, 1007-1014 or 3000-4999, not {code!r}")


def text_frame(text: str) -> bytes:
    """Return ``text`` as one frame; raises :exc:`UnicodeEncodeError` for lone surrogates."""
    payload = text.encode()
    if len(payload) < 126:
        return _SHORT_TEXT[len(payload)] + payload
    return _serialize(FIN_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return ``payload`` as one frame."""
    return _serialize(FIN_BINARY, payload)


def deflated_text_frame(text: str, deflater: Deflater) -> bytes:
    """As :func:`text_frame`, compressed if ``deflater`` finds that worth while."""
    return _deflated_frame(FIN_TEXT, text.encode(), deflater)


def deflated_binary_frame(payload: bytes, deflater: Deflater) -> bytes:
    """As :func:`binary_frame`, compressed if ``deflater`` finds that worth while."""
    return _deflated_frame(FIN_BINARY, payload, deflater)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """Return a close frame; ``None`` or 1005 makes an empty one, without a reason.

    ``reason`` is cut to the 123 UTF-8 bytes that fit. Raises :exc:`ValueError` for a code that must not be sent.
    """
    if code is None or code == 1005:
        return _serialize(FIN | CLOSE, b"")
    check_close_code(code)
    text = reason.encode(errors="replace")[:_MAX_REASON_SIZE].decode(errors="ignore")
    return _serialize(FIN | CLOSE, code.to_bytes(2) + text.encode())


def ping_frame(payload: bytes = b"") -> bytes:
    """Return a ping; raises :exc:`ValueError` for more than 125 bytes."""
    return _serialize_control(PING, payload)


def pong_frame(payload: bytes = b"") -> bytes:
    """Return a pong; raises :exc:`ValueError` for more than 125 bytes."""
    return _serialize_control(PONG, payload)


def _deflated_frame(first: int, payload: bytes, deflater: Deflater) -> bytes:
    data = deflater.deflate(payload)
    return _serialize(first, payload) if data is None else _serialize(first | COMPRESSED, data)


def _serialize_control(opcode: int, payload: bytes) -> bytes:
    if len(payload) > MAX_CONTROL_SIZE:
        raise ValueError(f"control frames carry at most {MAX_CONTROL_SIZE} bytes, not {len(payload)}")
    return _serialize(FIN | opcode, payload)


def _serialize(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return b"%c%c%b" % (first, length, payload)
    if length < 1 << 16:
        return b"%c\x7e%b%b" % (first, length.to_bytes(2), payload)
    return b"%c\x7f%b%b" % (first, length.to_bytes(8), payload)
