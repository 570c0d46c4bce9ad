"""What a client sends, from the bytes of RFC 6455 §5.7 to random ones; ``websockets`` is the second opinion."""

from __future__ import annotations

import codecs
import importlib.util
import pickle
import sys
import tracemalloc
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

from daphne import frames
from daphne.frames import (
    Close,
    Event,
    Fail,
    FrameParser,
    Ping,
    Pong,
)
from daphne.framing import close_frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
MIB = 1 << 20


def length_field(length: int, masked: int = 0x80) -> bytes:
    """Return the shortest encoding of a payload's length (§5.2)."""
    if length < 126:
        return bytes([masked | length])
    if length < 1 << 16:
        return bytes([masked | 126]) + length.to_bytes(2)
    return bytes([masked | 127]) + length.to_bytes(8)


def frame(first: int, payload: bytes = b"", mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """Return a masked frame, as a client sends it; ``first`` holds the FIN bit and the opcode."""
    return bytes([first]) + length_field(len(payload)) + mask + apply_mask(payload, mask)


def text(message: str) -> bytes:
    """Return a text message in one frame."""
    return frame(FIN | TEXT, message.encode())


def parser(max_frame_size: int = MIB, max_message_size: int = MIB, max_fragments: int = 1024) -> FrameParser:
    """Return a parser with the usual limits, or with some of its own."""
    return FrameParser(max_frame_size, max_message_size, max_fragments)


def feed(chunks: Iterable[bytes], target: FrameParser | None = None) -> list[Event]:
    """Return what a parser makes of the chunks."""
    target = target or parser()
    return [event for chunk in chunks for event in target.receive_data(chunk)]


def one_by_one(data: bytes) -> list[bytes]:
    """Return the bytes as they arrive on the slowest of networks."""
    return [data[i : i + 1] for i in range(len(data))]


# -- what is well-formed -----------------------------------------------------------------------------------------

WELL_FORMED: list[tuple[bytes, list[Event]]] = [
    (bytes.fromhex("818537fa213d7f9f4d5158"), ["Hello"]),  # the example of §5.7
    (text(""), [""]),
    (frame(FIN | BINARY, b""), [b""]),
    (text("é") + frame(FIN | BINARY, b"\xff\xfe") + text("b"), ["é", b"\xff\xfe", "b"]),
    (text("x" * 125) + text("x" * 126) + text("x" * 65535), ["x" * 125, "x" * 126, "x" * 65535]),
    (frame(FIN | BINARY, b"x" * 65536), [b"x" * 65536]),
    (frame(TEXT, b"Hel") + frame(FIN | CONTINUATION, b"lo"), ["Hello"]),
    (frame(BINARY, b"\xff") + frame(CONTINUATION) + frame(FIN | CONTINUATION, b"\xfe"), [b"\xff\xfe"]),
    (frame(TEXT) + frame(FIN | CONTINUATION), [""]),
    (frame(BINARY) + frame(FIN | CONTINUATION), [b""]),
    (frame(TEXT, b"\xe2\x82") + frame(FIN | CONTINUATION, b"\xac"), ["€"]),
    (frame(TEXT, b"\xf0") + frame(CONTINUATION, b"\x9f\x98") + frame(FIN | CONTINUATION, b"\x80!"), ["😀!"]),
    (frame(TEXT, "é".encode()) + frame(FIN | CONTINUATION, "è".encode()) + text("ê"), ["éè", "ê"]),
    (frame(FIN | PING), [Ping(b"")]),
    (frame(FIN | PING, b"x" * 125) + frame(FIN | PONG, b"\xff"), [Ping(b"x" * 125), Pong(b"\xff")]),
    (frame(TEXT, b"a") + frame(FIN | PING, b"p") + frame(FIN | CONTINUATION, b"b"), [Ping(b"p"), "ab"]),
    (frame(FIN | CLOSE), [Close(1005, "")]),
    (frame(FIN | CLOSE, b"\x03\xe8"), [Close(1000, "")]),
    (frame(FIN | CLOSE, b"\x03\xe9" + "é".encode()), [Close(1001, "é")]),
    (frame(FIN | CLOSE, b"\x0b\xb8" + b"x" * 123), [Close(3000, "x" * 123)]),
    (text("a") + frame(TEXT, b"b") + frame(FIN | CLOSE, b"\x03\xe8"), ["a", Close(1000, "")]),
]


@pytest.mark.parametrize(("data", "events"), WELL_FORMED)
def test_frames_become_events(data: bytes, events: list[Event]) -> None:
    """A text message is a str, a binary message is bytes, fragments are joined, control frames come between."""
    assert feed([data]) == events
    assert feed(one_by_one(data)) == events


def test_messages_are_of_the_exact_types() -> None:
    """A reassembled binary message is bytes as well, not a buffer that could change."""
    data = frame(FIN | BINARY, b"a") + frame(BINARY, b"a") + frame(FIN | CONTINUATION, b"b")
    assert [type(event) for event in feed([data])] == [bytes, bytes]


@pytest.mark.parametrize("mask", [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9])
def test_the_mask_stays_in_step(mask: bytes, size: int) -> None:
    """However many bytes of a payload come first, the rest is unmasked with the right bytes of the mask."""
    data = frame(FIN | BINARY, bytes(range(200)), mask)
    head = 8 + size
    assert feed([data[:head], data[head : head + 5], data[head + 5 :]]) == [bytes(range(200))]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_close_codes_that_may_be_sent_are_reported(code: int) -> None:
    """The codes of the RFC, of IANA's registry, and those of libraries and applications."""
    assert feed([frame(FIN | CLOSE, code.to_bytes(2))]) == [Close(code, "")]


def test_nothing_is_read_after_a_close_frame() -> None:
    """What follows a close frame is discarded, in the same chunk and later (§1.4)."""
    target = parser()
    assert target.receive_data(frame(FIN | CLOSE) + text("late")) == [Close(1005, "")]
    assert target.receive_data(text("later")) == []
    assert target.receive_data(b"\xff") == []


# -- what is not -------------------------------------------------------------------------------------------------

VIOLATIONS = [
    (frame(FIN | 0x40 | TEXT, b"a"), 1002, "reserved bits"),
    (frame(FIN | 0x20 | TEXT, b"a"), 1002, "reserved bits"),
    (frame(FIN | 0x10 | PING), 1002, "reserved bits"),
    *((frame(FIN | opcode), 1002, f"opcode {opcode} is not defined") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    (b"\x81\x01a", 1002, "must be masked"),
    (b"\x81\x7e\x00\x7e" + b"a" * 126, 1002, "must be masked"),
    (b"\x88\x00", 1002, "must be masked"),
    (frame(PING), 1002, "must not be fragmented"),
    (frame(CLOSE), 1002, "must not be fragmented"),
    (frame(FIN | PING, b"x" * 126), 1002, "at most 125 bytes"),
    (frame(FIN | CLOSE, b"x" * 65536), 1002, "at most 125 bytes"),
    (frame(FIN | CONTINUATION), 1002, "without a message"),
    (frame(CONTINUATION), 1002, "without a message"),
    (frame(TEXT, b"a") + frame(FIN | TEXT, b"b"), 1002, "before the end"),
    (frame(BINARY) + frame(TEXT), 1002, "before the end"),
    (b"\x81\xfe\x00\x7d", 1002, "length 125 is not in its shortest form"),
    (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002, "length 65535 is not in its shortest form"),
    (b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1002, "highest bit"),
    (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 1009, "frame of 9223372036854775807 bytes is over max_frame_size"),
    (frame(FIN | CLOSE, b"\x03"), 1002, "half a code"),
    (frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007, "close reason is not valid UTF-8"),
    (frame(FIN | CLOSE, b"\x03\xe8\xe2\x82"), 1007, "close reason is not valid UTF-8"),
    (frame(FIN | TEXT, b"\xff"), 1007, "text is not valid UTF-8"),
    (frame(FIN | TEXT, b"x" * 200 + b"\xff"), 1007, "text is not valid UTF-8"),
    (frame(FIN | TEXT, b"\xe2\x82"), 1007, "text is not valid UTF-8"),
    (frame(FIN | TEXT, b"\xed\xa0\x80"), 1007, "text is not valid UTF-8"),
    (frame(TEXT, b"a") + frame(FIN | CONTINUATION, b"\xe2\x82"), 1007, "text is not valid UTF-8"),
    (frame(TEXT, b"\xe2\x82") + frame(FIN | CONTINUATION, b"\x28"), 1007, "text is not valid UTF-8"),
    (frame(TEXT, b"\xe2\x82") + frame(FIN | CONTINUATION), 1007, "text is not valid UTF-8"),
    *(
        (frame(FIN | CLOSE, code.to_bytes(2)), 1002, f"close code {code} must not be sent")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ),
]


@pytest.mark.parametrize(("data", "code", "reason"), VIOLATIONS)
def test_violations_fail_after_the_events_before_them(data: bytes, code: int, reason: str) -> None:
    """A violation is the last event, with code and reason; what came before it is delivered, nothing after it is."""
    target = parser()
    *before, fail = feed([text("before") + data + text("after"), text("later")], target)
    assert before == ["before"]
    assert isinstance(fail, Fail)
    assert fail.code == code
    assert reason in fail.reason
    assert feed(one_by_one(text("before") + data + text("after"))) == ["before", fail]


@pytest.mark.parametrize(("data", "code", "reason"), VIOLATIONS)
def test_reasons_fit_into_a_close_frame(data: bytes, code: int, reason: str) -> None:
    """The reason of a Fail can be sent as it is."""
    fail = feed([data])[-1]
    assert isinstance(fail, Fail)
    assert close_frame(fail.code, fail.reason)[4:] == fail.reason.encode()


def test_a_length_over_the_limit_fails_before_its_payload() -> None:
    """1009 needs the length field only: not the mask, not one byte of payload."""
    data = bytes([FIN | BINARY]) + length_field(MIB + 1)
    assert feed([data]) == [Fail(1009, "frame of 1048577 bytes is over max_frame_size, 1048576")]


@pytest.mark.parametrize("size", [0, 1, 100, 125, 126, 300, 70000])
def test_limits_are_exact(size: int) -> None:
    """A frame and a message of exactly the limit pass, one byte more does not, whatever the length's encoding."""
    data = frame(FIN | BINARY, b"x" * size)
    assert feed([data], parser(size, size)) == [b"x" * size]
    longer = frame(FIN | BINARY, b"x" * (size + 1))
    assert feed([longer], parser(size, MIB)) == [
        Fail(1009, f"frame of {size + 1} bytes is over max_frame_size, {size}")
    ]
    message = Fail(1009, f"message of {size + 1} bytes is over max_message_size, {size}")
    assert feed([longer], parser(MIB, size)) == [message]
    assert feed([frame(BINARY, b"x" * size) + frame(FIN | CONTINUATION, b"x")], parser(MIB, size)) == [message]


def test_the_number_of_fragments_is_bounded() -> None:
    """A message may have max_fragments frames; counting begins anew with each message."""
    message = frame(TEXT, b"a") + frame(CONTINUATION, b"b") + frame(FIN | CONTINUATION, b"c")
    assert feed([message * 2], parser(max_fragments=3)) == ["abc", "abc"]
    assert feed([message], parser(max_fragments=2)) == [Fail(1008, "message has more frames than max_fragments, 2")]


PREFIXES = [bytes([a]) for a in range(256)]
PREFIXES += [
    bytes([a, b]) for a in range(0xC0, 256) for b in (0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0)
]
PREFIXES += [
    bytes([a, b, c]) for a in range(0xE0, 256) for b in (0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF) for c in (0x20, 0x80)
]


def may_become_text(prefix: bytes) -> bool:
    """Whether some continuation makes the bytes valid UTF-8."""
    tails = [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\x90\x80\x80", b"\xa0\x80"]
    for tail in tails:
        try:
            (prefix + tail).decode()
        except UnicodeDecodeError:
            continue
        return True
    return False


@pytest.mark.parametrize("final", [0, FIN])
def test_bad_utf8_fails_at_the_byte_that_makes_it_so(final: int) -> None:
    """Inside a frame that is not complete and inside a fragmented message nothing more is waited for."""
    for prefix in PREFIXES:
        incomplete = frame(final | TEXT, b"ok" + prefix + b"....")[:-4]
        fragment = frame(TEXT, b"ok" + prefix)
        expected: list[Event] = [] if may_become_text(prefix) else [Fail(1007, "text is not valid UTF-8")]
        assert feed([incomplete]) == feed([fragment]) == feed(one_by_one(fragment)) == expected, prefix


# -- compressed messages (RFC 7692) ------------------------------------------------------------------------------------

RSV1 = 0x40


def deflated(payload: bytes) -> bytes:
    """Return a payload as a client compresses it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflating(max_message_size: int = MIB, max_inflated_size: int = MIB) -> FrameParser:
    """Return a parser of a connection that has negotiated compression."""
    return FrameParser(MIB, max_message_size, 1024, 15, max_inflated_size)


EURO = deflated("€".encode() * 100)
HELLO = bytes.fromhex("f248cdc9c90700")
"""The example of RFC 7692 §7.2.3.1."""
COMPRESSED: list[tuple[bytes, list[Event]]] = [
    (frame(FIN | RSV1 | TEXT, HELLO), ["Hello"]),
    (frame(FIN | RSV1 | BINARY, HELLO), [b"Hello"]),
    (frame(RSV1 | TEXT, HELLO[:3]) + frame(FIN | CONTINUATION, HELLO[3:]), ["Hello"]),
    (frame(RSV1 | TEXT, HELLO) + frame(FIN | CONTINUATION), ["Hello"]),
    (frame(RSV1 | TEXT) + frame(FIN | PING) + frame(FIN | CONTINUATION, HELLO), [Ping(b""), "Hello"]),
    (frame(FIN | RSV1 | TEXT, HELLO) + text("a") + frame(FIN | RSV1 | TEXT, HELLO), ["Hello", "a", "Hello"]),
    (frame(FIN | RSV1 | TEXT, EURO[:40] + EURO[40:]), ["€" * 100]),
    (frame(RSV1 | TEXT, EURO[:2]) + frame(FIN | CONTINUATION, EURO[2:]), ["€" * 100]),
    (frame(FIN | RSV1 | TEXT, b"\x00"), [""]),
    (frame(RSV1 | BINARY, HELLO) + frame(FIN | CONTINUATION) + frame(BINARY, b"a") + frame(FIN), [b"Hello", b"a"]),
]


@pytest.mark.parametrize(("data", "events"), COMPRESSED)
def test_compressed_messages_are_inflated(data: bytes, events: list[Event]) -> None:
    """In one frame or several, between others that are not compressed, cut anywhere."""
    assert feed([data], inflating()) == events
    assert feed(one_by_one(data), inflating()) == events


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (frame(FIN | 0x20 | TEXT, HELLO), 1002, "reserved bits are set that no negotiated extension uses"),
        (frame(FIN | 0x60 | TEXT, HELLO), 1002, "reserved bits are set that no negotiated extension uses"),
        (frame(FIN | RSV1 | PING), 1002, "reserved bits are set where no message begins"),
        (frame(FIN | RSV1 | CLOSE), 1002, "reserved bits are set where no message begins"),
        (frame(TEXT, b"a") + frame(FIN | RSV1, b"b"), 1002, "reserved bits are set where no message begins"),
        (frame(RSV1 | TEXT, b"a") + frame(FIN | RSV1, b"b"), 1002, "reserved bits are set where no message begins"),
        (frame(FIN | RSV1 | TEXT, b"\xff\xff"), 1007, "message cannot be inflated"),
        (frame(FIN | RSV1 | TEXT, deflated(b"\xff")), 1007, "text is not valid UTF-8"),
        (frame(FIN | RSV1 | BINARY, deflated(bytes(MIB + 1))), 1009, "message inflates to more than max_inflated_size"),
    ],
)
def test_violations_with_compression(data: bytes, code: int, reason: str) -> None:
    """Bits out of place, what cannot be inflated, what becomes too large: each has its code."""
    *before, fail = feed([text("before") + data + text("after")], inflating())
    assert before == ["before"]
    assert isinstance(fail, Fail)
    assert (fail.code, reason in fail.reason) == (code, True)
    assert feed(one_by_one(data), inflating()) == [fail]


def test_limits_before_and_after_inflating() -> None:
    """What was sent has one limit, what becomes of it another; both are exact."""
    data = frame(FIN | RSV1 | BINARY, deflated(bytes(1000)))
    size = len(deflated(bytes(1000)))
    assert feed([data], inflating(size, 1000)) == [bytes(1000)]
    assert feed([data], inflating(size, 999)) == [Fail(1009, "message inflates to more than max_inflated_size, 999")]
    [fail] = feed([data], inflating(size - 1, 1000))
    assert fail == Fail(1009, f"message of {size} bytes is over max_message_size, {size - 1}")


def test_a_bomb_costs_no_more_than_its_limit() -> None:
    """A message that would inflate to 100 MiB is refused, and the memory of the parser stays flat."""
    bomb = frame(FIN | RSV1 | BINARY, deflated(bytes(100 * MIB)))
    target = inflating()
    tracemalloc.start()
    try:
        assert feed([bomb], target) == [Fail(1009, f"message inflates to more than max_inflated_size, {MIB}")]
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=4), st.data())
def test_compressed_messages_survive_any_split(payloads: list[bytes], data: st.DataObject) -> None:
    """Fragmented anywhere by the client, cut anywhere by the network, handed to another process anywhere."""
    stream = b""
    for payload in payloads:
        compressed = deflated(payload)
        cut = data.draw(st.integers(0, len(compressed)))
        stream += frame(RSV1 | BINARY, compressed[:cut]) + frame(FIN | CONTINUATION, compressed[cut:])
    cut = data.draw(st.integers(0, len(stream)))
    target = inflating()
    events = target.receive_data(stream[:cut])
    target = pickle.loads(pickle.dumps(target))
    assert events + target.receive_data(stream[cut:]) == payloads


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40) | st.builds(frame, st.integers(0, 255), st.binary(max_size=30)), max_size=6))
def test_any_bytes_with_compression_are_events_or_a_failure(pieces: list[bytes]) -> None:
    """Whatever comes, whole or byte by byte: the same events, and nothing after a Close or Fail."""
    whole = b"".join(pieces)
    events = feed([whole], inflating())
    assert feed(one_by_one(whole), inflating()) == events
    assert not any(isinstance(event, Close | Fail) for event in events[:-1])


# -- any bytes, any split ----------------------------------------------------------------------------------------

SMALL = (300, 400, 1000)
"""Limits that generated frames reach."""

PIECES = [b"", b"a", b"\xe2", b"\x82\xac", "é😀".encode(), b"\xff", b"x" * 125, b"x" * 126, b"x" * 290, b"x" * 301]
PAYLOADS = st.lists(st.sampled_from(PIECES), max_size=2).map(b"".join)
DATA_FIRST = st.sampled_from([CONTINUATION, FIN | CONTINUATION, TEXT, FIN | TEXT, BINARY, FIN | BINARY])
CONTROL_FRAMES = st.builds(
    frame,
    st.sampled_from([FIN | PING, FIN | PONG, FIN | CLOSE]),
    st.sampled_from([b"", b"p", b"\x03\xe8", b"\x03\xe8ok", b"\x0f\xa0\xe2\x82\xac", b"\x03\xed", b"\x03\xe8\xff"]),
)
MESSAGES = st.one_of(
    st.builds(frame, st.sampled_from([FIN | TEXT, FIN | BINARY]), PAYLOADS),
    st.builds(
        lambda kind, pieces: (
            b"".join(frame(0 if i else kind, piece) for i, piece in enumerate(pieces)) + frame(FIN | CONTINUATION, b"!")
        ),
        st.sampled_from([TEXT, BINARY]),
        st.lists(st.sampled_from(PIECES[:5]), min_size=1, max_size=4),
    ),
)
ODD_FRAMES = st.one_of(
    st.builds(frame, DATA_FIRST, PAYLOADS, st.binary(min_size=4, max_size=4)),
    st.builds(frame, st.integers(0, 255), PAYLOADS),
    st.builds(lambda first, rest: bytes([first]) + rest, st.integers(0, 255), st.binary(max_size=14)),
    st.binary(max_size=20),
)
STREAMS = st.lists(MESSAGES | MESSAGES | MESSAGES | CONTROL_FRAMES | ODD_FRAMES, max_size=6).map(b"".join)


@st.composite
def split_streams(draw: st.DrawFn) -> list[bytes]:
    """Cut a stream anywhere."""
    data = draw(STREAMS)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(deadline=None)
@given(split_streams())
def test_where_the_network_cuts_makes_no_difference(chunks: list[bytes]) -> None:
    """Whole, cut anywhere or one byte at a time: the same events, and at most one Close or Fail, at the end."""
    whole = b"".join(chunks)
    events = feed([whole], FrameParser(*SMALL))
    assert feed(chunks, FrameParser(*SMALL)) == events
    assert feed(one_by_one(whole), FrameParser(*SMALL)) == events
    assert not any(isinstance(event, Close | Fail) for event in events[:-1])


@settings(deadline=None)
@given(split_streams())
def test_a_parser_can_be_handed_to_another_process(chunks: list[bytes]) -> None:
    """Pickled and unpickled between any two chunks it carries on as if nothing had happened."""
    expected = feed(chunks, FrameParser(*SMALL))
    target = FrameParser(*SMALL)
    events: list[Event] = []
    for chunk in chunks:
        target = pickle.loads(pickle.dumps(target))
        events += target.receive_data(chunk)
    assert events == expected


class Oracle:
    """The sans-I/O server of ``websockets``, which yields frames: joined and decoded here."""

    def __init__(self, max_frame_size: int, max_message_size: int) -> None:
        self.server = ServerProtocol(state=State.OPEN, max_size=(max_message_size, max_frame_size))
        self.events: list[Event] = []
        self.failed = 0
        self.unfinished: list[bytes] | None = None
        self._is_text = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def receive(self, data: bytes) -> None:
        """Take all the bytes at once."""
        self.server.receive_data(data)
        for event in self.server.events_received():
            assert isinstance(event, Frame)
            try:
                self._take(event)
            except UnicodeDecodeError:
                self.failed = 1007
                return
        if self.server.parser_exc is not None:
            assert self.server.close_sent is not None
            self.failed = self.server.close_sent.code

    def _take(self, event: Frame) -> None:
        payload = bytes(event.data)
        if event.opcode is Opcode.PING:
            self.events.append(Ping(payload))
        elif event.opcode is Opcode.PONG:
            self.events.append(Pong(payload))
        elif event.opcode is Opcode.CLOSE:
            self.events.append(self.close())
        else:
            self._take_data(event, payload)

    def _take_data(self, event: Frame, payload: bytes) -> None:
        if self.unfinished is None:
            self.unfinished = []
            self._is_text = event.opcode is Opcode.TEXT
        self.unfinished.append(payload)
        if self._is_text:
            self._decoder.decode(payload, final=event.fin)
        if event.fin:
            message = b"".join(self.unfinished)
            self.events.append(message.decode() if self._is_text else message)
            self.unfinished = None

    def close(self) -> Close:
        """Return the close frame that was received."""
        close = self.server.close_rcvd
        assert close is not None
        return Close(int(close.code), close.reason)


def agrees(ours: list[Event], oracle: Oracle) -> bool:
    """Whether the parsers agree, but for what is known.

    1. ``websockets`` takes lengths that are not in their shortest form, which §5.2 forbids;
    2. it refuses a close frame inside a fragmented message, which §5.4 allows as it allows any control frame;
    3. a frame with two faults fails for the other one: it checks sizes first (1009; the highest bit of a length is a
       size there), and the reason of a close frame (1007) before its code.
    """
    *events, last = ours
    if isinstance(last, Fail) and "shortest form" in last.reason:
        return events == oracle.events[: len(events)]
    if isinstance(last, Close) and oracle.unfinished is not None:
        return events == oracle.events and last == oracle.close() and oracle.failed == 1002
    if isinstance(last, Close):
        return ours == oracle.events and not oracle.failed
    assert isinstance(last, Fail)
    other_fault = last.code == 1002 and (
        oracle.failed == 1009 or ("close code" in last.reason and oracle.failed == 1007)
    )
    return events == oracle.events and (oracle.failed == last.code or other_fault)


@settings(max_examples=300, deadline=None)
@given(STREAMS)
@example(b"\x81\xfe\x00\x01\x00\x00\x00\x00a")
@example(b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00")
@example(bytes([FIN | 3]) + length_field(301))
@example(frame(TEXT, b"a") + frame(FIN | CLOSE, b"\x03\xe8"))
@example(frame(FIN | CLOSE, b"\x03\xed\xff"))
@example(text("x" * 300) + frame(TEXT, b"x" * 200) + frame(FIN | CONTINUATION, b"x" * 201))
def test_the_parser_of_websockets_agrees(data: bytes) -> None:
    """The same messages, then both close or both fail with the same code, but for the differences of agrees().

    Zeros complete the last frame and then break the protocol, because only whole frames are checked over there.
    """
    padded = data + bytes(SMALL[0] + 14)
    oracle = Oracle(SMALL[0], SMALL[1])
    oracle.receive(padded)
    assert agrees(feed([padded], FrameParser(*SMALL)), oracle)


# -- cost --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    "fragmented", [False, True], ids=["one frame that arrives in pieces of two bytes", "frames of two bytes"]
)
def test_memory_is_flat_however_small_the_pieces(opcode: int, fragmented: bool) -> None:
    """A message of 32 KiB in the smallest of pieces takes a small multiple of its size, not one object per piece."""
    size = 1 << 15
    if fragmented:
        data = frame(opcode, b"xx") + frame(CONTINUATION, b"xx") * (size // 2 - 1)
        chunks = [data[i : i + 1024] for i in range(0, len(data), 1024)]
    else:
        data = frame(FIN | opcode, b"x" * size)[:-1]
        chunks = [data[i : i + 2] for i in range(0, len(data), 2)]
    target = parser(max_fragments=MIB)
    tracemalloc.start()
    try:
        assert feed(chunks, target) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * size


@pytest.mark.parametrize("chunk", [1, 3, 1000, MIB])
def test_every_byte_is_unmasked_once(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work on a stream grows with its length, not with the number of pieces it comes in."""
    unmasked = 0

    def counting_mask(data: bytes, mask: bytes) -> bytes:
        nonlocal unmasked
        unmasked += len(data)
        return apply_mask(data, mask)

    monkeypatch.setattr(frames, "apply_mask", counting_mask)
    data = text("x" * 3000) + text("short") * 100 + frame(TEXT, b"ab") + frame(CONTINUATION, b"c") * 500
    chunks = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    assert len(feed(chunks)) == 101
    assert unmasked == 3000 + 500 + 2 + 500


def test_an_incomplete_frame_is_held_as_its_header_or_its_message() -> None:
    """What waits for more bytes is at most a header or control frame, or the payload unmasked so far."""
    target = parser()
    for byte in one_by_one(frame(FIN | PING, b"x" * 125)[:-1]):
        target.receive_data(byte)
    held = len(pickle.dumps(target))
    target = parser()
    feed(one_by_one(frame(FIN | BINARY, b"x" * 70000)[:-1]), target)
    assert held < 600
    assert len(pickle.dumps(target)) < 70000 + 600


def test_nothing_of_a_message_is_held_after_its_failure() -> None:
    """A connection that waits to be closed holds no memory for what it sent."""
    target = parser()
    feed([frame(BINARY, b"x" * 70000), frame(BINARY)], target)
    assert len(pickle.dumps(target)) < 600


def test_the_mask_is_applied_without_the_c_extension_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ``websockets`` was built without its C extension its Python function does the work."""
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    spec = importlib.util.spec_from_file_location("frames_without_speedups", frames.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert module.apply_mask is apply_mask
    assert module.FrameParser(MIB, MIB, 9).receive_data(text("é") + text("x" * 200)) == ["é", "x" * 200]
