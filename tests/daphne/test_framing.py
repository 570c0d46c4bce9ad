"""What the server sends; ``websockets`` and our own parser read it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from daphne.compression import Deflater
from daphne.frames import FrameParser
from daphne.framing import (
    binary_frame,
    check_close_code,
    close_frame,
    deflated_binary_frame,
    deflated_text_frame,
    ping_frame,
    pong_frame,
    text_frame,
)
from tests.daphne.wire import BINARY, CLOSE, TEXT, frame

FIN = 0x80


def length_field(length: int) -> bytes:
    """Return the shortest encoding of a payload's length (§5.2)."""
    if length < 126:
        return bytes([length])
    return b"\x7e" + length.to_bytes(2) if length < 1 << 16 else b"\x7f" + length.to_bytes(8)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_messages_are_one_unmasked_frame(size: int) -> None:
    """The length has the shortest of the three encodings."""
    payload = b"x" * size
    assert text_frame("x" * size) == bytes([FIN | TEXT]) + length_field(size) + payload
    assert binary_frame(payload) == bytes([FIN | BINARY]) + length_field(size) + payload


def test_control_frames_carry_their_payload() -> None:
    """Pings and pongs carry up to 125 bytes."""
    assert ping_frame() == b"\x89\x00"
    assert ping_frame(b"x" * 125) == b"\x89\x7d" + b"x" * 125
    assert pong_frame() == b"\x8a\x00"
    assert pong_frame(b"\xff") == b"\x8a\x01\xff"


@pytest.mark.parametrize("serialize", [ping_frame, pong_frame])
def test_a_control_frame_that_is_too_long_is_refused(serialize: Callable[[bytes], bytes]) -> None:
    """The error names limit and value."""
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        serialize(b"x" * 126)


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (None, "", b""),
        (None, "unsent", b""),
        (1005, "unsent", b""),
        (1000, "", b"\x03\xe8"),
        (1001, "é", b"\x03\xe9\xc3\xa9"),
        (4999, "x" * 123, b"\x13\x87" + b"x" * 123),
        (4999, "x" * 124, b"\x13\x87" + b"x" * 123),
        (4999, "x" * 122 + "é", b"\x13\x87" + b"x" * 122),
        (4999, "😀" * 40, b"\x13\x87" + "😀".encode() * 30),
        (1011, "\ud800!", b"\x03\xf3?!"),
    ],
)
def test_close_frames_carry_code_and_reason(code: int | None, reason: str, payload: bytes) -> None:
    """No code makes an empty frame; a reason is cut between characters, and never the reason for an error."""
    assert close_frame(code, reason) == bytes([FIN | CLOSE, len(payload)]) + payload


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000, 70000, -1, True])
def test_a_close_frame_never_carries_a_forbidden_code(code: int) -> None:
    """The codes that stand for the absence of a close frame, or for nothing, cannot be sent."""
    with pytest.raises(ValueError, match=f"not {code}"):
        close_frame(code)


def test_the_close_codes_of_an_application_are_those_of_the_registry() -> None:
    """1000-1003, 1007-1014 and 3000-4999; the error says so."""
    legal = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    for code in legal:
        check_close_code(code)
    for code in set(range(-1, 6000)) - legal:
        with pytest.raises(ValueError, match=f"^close code must be 1000-1003, 1007-1014 or 3000-4999, not {code}$"):
            check_close_code(code)


@pytest.mark.parametrize("code", ["1000", None, 1000.0, True])
def test_what_is_not_a_number_is_no_close_code(code: int) -> None:
    """The value is named as it was given."""
    with pytest.raises(ValueError, match=f"not {code!r}"):
        check_close_code(code)


def test_text_that_is_no_unicode_is_refused() -> None:
    """A lone surrogate cannot be sent as UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        text_frame("\ud800")


@settings(deadline=None)
@given(st.lists(st.text(max_size=140) | st.binary(max_size=140), max_size=5))
def test_what_is_serialized_can_be_parsed(messages: list[str | bytes]) -> None:
    """Masked as a client does it, our own frames come back as the messages they were made of."""
    data = b""
    for message in messages:
        sent = text_frame(message) if isinstance(message, str) else binary_frame(message)
        payload = message.encode() if isinstance(message, str) else message
        assert sent.endswith(payload)
        data += frame(sent[0] - FIN, payload)
    assert FrameParser(1000, 1000, 1).receive_data(data) == messages


@given(st.lists(st.binary(max_size=1000), max_size=5))
def test_our_compressed_frames_are_read_by_another_implementation(payloads: list[bytes]) -> None:
    """``websockets`` inflates what we deflate, with the parameters that we negotiate."""
    deflater = Deflater(12, 1, 0)
    client = ClientProtocol(parse_uri("ws://test/"), state=State.OPEN, max_size=None)
    client.extensions = [PerMessageDeflate(True, True, 12, 12)]
    client.receive_data(b"".join(deflated_binary_frame(payload, deflater) for payload in payloads))
    assert client.parser_exc is None
    assert [event.data for event in client.events_received() if isinstance(event, Frame)] == payloads


def test_what_gains_nothing_is_not_compressed() -> None:
    """A short text, or what is compressed already; a text is compressed as its bytes are."""
    deflater = Deflater(12, 1, 10)
    assert deflated_text_frame("short", deflater) == text_frame("short")
    assert deflated_binary_frame(b"short", deflater) == binary_frame(b"short")
    compressed = deflated_text_frame("x" * 500, deflater)
    assert compressed[0] == FIN | 0x40 | TEXT
    assert compressed[1:] == deflated_binary_frame(b"x" * 500, deflater)[1:]
