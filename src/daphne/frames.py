"""What a client sends, frame by frame (RFC 6455 §5), without I/O: bytes to messages and control events."""

from __future__ import annotations

from codecs import utf_8_decode
from dataclasses import dataclass

from channel_layers.messages import CLOSE_CODES
from daphne.compression import InflateError, OversizeError, inflate
from daphne.opcodes import (
    BINARY,
    CLOSE,
    COMPRESSED,
    CONTINUATION,
    FIN,
    FIN_BINARY,
    FIN_TEXT,
    MASKED,
    MAX_CONTROL_SIZE,
    PING,
    PONG,
    RESERVED,
    TEXT,
)

try:
    from websockets.speedups import apply_mask
except ImportError:  # wheels without the C extension
    from websockets.utils import apply_mask

_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_ENDED = -1
"""In the place of an opcode: Close or Fail has been reported, nothing is read any more."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping with up to 125 bytes, to be answered by a pong with the same bytes (§5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping, or an unsolicited one (§5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer's close frame; ``code`` is 1005 when the frame carried none (§7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The peer broke the protocol or a limit: close with this code and reason (§7.1.7)."""

    code: int
    reason: str


Event = str | bytes | Ping | Pong | Close | Fail
"""A text message is a ``str``, a binary message is ``bytes``."""


class _Violation(Exception):
    """Carries the code and the reason of a :class:`Fail` out of the parsing functions."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class FrameParser:
    """Turns what a client sends into messages and control events (RFC 6455 §5).

    Sizes are payload bytes. A frame over ``max_frame_size`` or a message over ``max_message_size`` fails with 1009
    as soon as its length is known, a message of more than ``max_fragments`` frames with 1008. With ``window_bits``
    messages may be compressed (RFC 7692); one over ``max_inflated_size`` fails with 1009 before more of it is made.

    All state is in plain fields, so a parser can be pickled between two calls and carry on in another process.
    """

    __slots__ = (
        "_buffer",
        "_compressed",
        "_fin",
        "_fragments",
        "_limit",
        "_mask",
        "_message",
        "_opcode",
        "_remaining",
        "_tail",
        "max_fragments",
        "max_frame_size",
        "max_inflated_size",
        "max_message_size",
        "window_bits",
    )

    def __init__(
        self,
        max_frame_size: int,
        max_message_size: int,
        max_fragments: int,
        window_bits: int = 0,
        max_inflated_size: int = 0,
    ) -> None:
        self.max_frame_size = max_frame_size
        self.max_message_size = max_message_size
        self.max_fragments = max_fragments
        self.window_bits = window_bits
        self.max_inflated_size = max_inflated_size
        self._limit = min(max_frame_size, max_message_size)
        # An incomplete header or control frame: never more than 130 bytes.
        self._buffer = b""
        # The message under way; opcode 0 is "none".
        self._opcode = 0
        self._compressed = False
        self._message = bytearray()
        self._tail = b""
        self._fragments = 0
        # The data frame under way: payload bytes to come, and the mask turned to the next of them.
        self._remaining = 0
        self._mask = b""
        self._fin = False

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes, in order; none after :class:`Close` or :class:`Fail`."""
        events: list[Event] = []
        end = len(data)
        try:
            # One whole short message and nothing else, which is nearly always, in 0.6 of the time _parse() takes.
            if (
                5 < end < 132
                and data[1] - MASKED == end - 6 <= self._limit
                and not self._opcode
                and not self._buffer
                and (data[0] == FIN_TEXT or data[0] == FIN_BINARY)
            ):
                payload = apply_mask(data[6:], data[2:6])
                events.append(payload.decode() if data[0] == FIN_TEXT else payload)
            else:
                self._parse(self._buffer + data, events)
        except UnicodeDecodeError:
            self._fail(1007, "text is not valid UTF-8", events)
        except _Violation as violation:
            self._fail(violation.code, violation.reason, events)
        return events

    def _parse(self, data: bytes, events: list[Event]) -> None:
        """Append the events of ``data``; keep the beginning of a frame that is too short to be taken."""
        self._buffer = b""
        position = 0
        while position < len(data):
            before, position = position, self._take(data, position, events)
            if position == before:
                self._buffer = data[position:]
                break

    def _take(self, data: bytes, position: int, events: list[Event]) -> int:
        """Return the position behind what could be taken: the same position where bytes are missing."""
        if self._opcode == _ENDED:
            return len(data)
        if self._remaining:
            return self._take_payload(data, position, events)
        stop = position if self._opcode else self._take_messages(data, position, events)
        if stop > position or len(data) - position < 2:
            return stop
        opcode = self._check_head(data[position], data[position + 1])
        take = self._take_control if opcode >= CLOSE else self._take_frame
        return take(opcode, data, position, events)

    def _take_messages(self, data: bytes, position: int, events: list[Event]) -> int:
        """Take whole messages of one frame, up to the first thing that is anything else."""
        end = len(data)
        while end - position > 5 and (data[position] == FIN_TEXT or data[position] == FIN_BINARY):
            mask_start, length = position + 2, data[position + 1] - MASKED
            if length > 125:
                mask_start, length = _parse_length(data, position)
            start = mask_start + 4
            stop = start + length
            if not 0 <= length <= self._limit or stop > end:
                break
            payload = apply_mask(data[start:stop], data[mask_start:start])
            events.append(payload.decode() if data[position] == FIN_TEXT else payload)
            position = stop
        return position

    def _check_head(self, first: int, second: int) -> int:
        """Check the first two bytes of a frame (§5.2, §5.4, §5.5) and return its opcode."""
        opcode = first & 0x0F
        if first & RESERVED:
            self._check_reserved(first & RESERVED, opcode)
        if opcode not in _OPCODES:
            raise _Violation(1002, f"opcode {opcode} is not defined")
        if not second & MASKED:
            raise _Violation(1002, "frames of a client must be masked")
        if opcode >= CLOSE:
            _check_control(first, second)
        elif opcode == CONTINUATION and not self._opcode:
            raise _Violation(1002, "continuation frame without a message to continue")
        elif opcode != CONTINUATION and self._opcode:
            raise _Violation(1002, "new message before the end of a fragmented one")
        return opcode

    def _check_reserved(self, bits: int, opcode: int) -> None:
        if bits != COMPRESSED or not self.window_bits:
            raise _Violation(1002, "reserved bits are set that no negotiated extension uses")
        if opcode != TEXT and opcode != BINARY:
            raise _Violation(1002, "reserved bits are set where no message begins")

    def _take_control(self, opcode: int, data: bytes, position: int, events: list[Event]) -> int:
        """Take a control frame once all of it is there."""
        start = position + 6
        stop = start + data[position + 1] - MASKED
        if stop > len(data):
            return position
        payload = apply_mask(data[start:stop], data[position + 2 : start])
        if opcode == CLOSE:
            events.append(_parse_close(payload))
            self._end()
            return len(data)
        events.append(Ping(payload) if opcode == PING else Pong(payload))
        return stop

    def _take_frame(self, opcode: int, data: bytes, position: int, events: list[Event]) -> int:
        """Take the header of a data frame and what is there of its payload."""
        mask_start, length = _parse_length(data, position)
        if length < 0:
            return position
        self._check_limits(length)
        start = mask_start + 4
        if start > len(data):
            return position
        if opcode:
            self._opcode = opcode
            self._compressed = data[position] & COMPRESSED != 0
        self._fragments += 1
        self._fin = data[position] >= FIN
        self._mask = data[mask_start:start]
        self._remaining = length
        return self._take_payload(data, start, events)

    def _check_limits(self, length: int) -> None:
        """Check that the message may have one more frame, of ``length`` bytes."""
        if length > self.max_frame_size:
            raise _Violation(1009, f"frame of {length} bytes is over max_frame_size, {self.max_frame_size}")
        size = len(self._message) + length
        if size > self.max_message_size:
            raise _Violation(1009, f"message of {size} bytes is over max_message_size, {self.max_message_size}")
        if self._fragments >= self.max_fragments:
            raise _Violation(1008, f"message has more frames than max_fragments, {self.max_fragments}")

    def _take_payload(self, data: bytes, position: int, events: list[Event]) -> int:
        """Take what is there of a data frame's payload; its last byte may complete the message."""
        stop = min(position + self._remaining, len(data))
        piece = apply_mask(data[position:stop], self._mask)
        self._remaining -= stop - position
        if self._fin and not self._remaining:
            events.append(self._complete(piece))
        else:
            self._keep(piece)
            turn = len(piece) % 4
            self._mask = self._mask[turn:] + self._mask[:turn]
        return stop

    def _keep(self, piece: bytes) -> None:
        """Add ``piece`` to the message under way; bad UTF-8 raises here, not only at the end, if it can be seen."""
        if self._opcode == TEXT and not self._compressed:
            self._tail = _check_text(self._tail + piece)
        self._message += piece

    def _complete(self, piece: bytes) -> str | bytes:
        """Return the message that ends with ``piece``, and be ready for the next one."""
        whole: bytes | bytearray = piece
        if self._message:
            self._message += piece
            whole, self._message, self._tail = self._message, bytearray(), b""
        if self._compressed:
            whole = self._inflate(whole)
        message = whole.decode() if self._opcode == TEXT else bytes(whole)
        self._opcode = self._fragments = 0
        return message

    def _inflate(self, data: bytes | bytearray) -> bytes:
        try:
            return inflate(data, self.window_bits, self.max_inflated_size)
        except OversizeError as error:
            raise _Violation(1009, f"message inflates to more than max_inflated_size, {error}") from None
        except InflateError:
            raise _Violation(1007, "message cannot be inflated") from None

    def _fail(self, code: int, reason: str, events: list[Event]) -> None:
        self._end()
        events.append(Fail(code, reason))

    def _end(self) -> None:
        """Read nothing more, and hold no memory for it."""
        self._opcode = _ENDED
        self._remaining = 0
        self._message = bytearray()


def _check_control(first: int, second: int) -> None:
    if not first & FIN:
        raise _Violation(1002, "control frames must not be fragmented")
    if second - MASKED > MAX_CONTROL_SIZE:
        raise _Violation(1002, f"control frames carry at most {MAX_CONTROL_SIZE} bytes")


def _parse_length(data: bytes, position: int) -> tuple[int, int]:
    """Return where the mask of a frame begins, and its payload's length: -1 while that has not arrived (§5.2)."""
    short = data[position + 1] - MASKED
    start = position + 2
    if short < 126:
        return start, short
    size, minimum = (2, 126) if short == 126 else (8, 1 << 16)
    stop = start + size
    if stop > len(data):
        return stop, -1
    length = int.from_bytes(data[start:stop])
    if length < minimum:
        raise _Violation(1002, f"length {length} is not in its shortest form")
    if length >> 63:
        raise _Violation(1002, "length has its highest bit set")
    return stop, length


def _check_text(data: bytes) -> bytes:
    """Return the incomplete character at the end; raises :exc:`UnicodeDecodeError` for what cannot become text."""
    tail = data[utf_8_decode(data, "strict", False)[1] :]
    # The codec asks for a third byte of ED A0..BF (surrogates), which none could make valid.
    if tail[:1] == b"\xed" and tail[1:] >= b"\xa0":
        tail.decode()
    return tail


def _parse_close(payload: bytes) -> Close:
    if not payload:
        return Close(1005, "")
    if len(payload) == 1:
        raise _Violation(1002, "close frame with half a code")
    code = int.from_bytes(payload[:2])
    if code not in CLOSE_CODES:
        raise _Violation(1002, f"close code {code} must not be sent")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise _Violation(1007, "close reason is not valid UTF-8") from None
