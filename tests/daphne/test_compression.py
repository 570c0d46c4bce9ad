"""permessage-deflate: what is agreed on, and messages that go through it; a zlib of its own is the judge."""

from __future__ import annotations

import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.headers import parse_extension

from daphne.compression import (
    Agreement,
    Deflater,
    Deflaters,
    InflateError,
    OversizeError,
    inflate,
    negotiate,
)

BOTH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits="
TAIL = b"\x00\x00\xff\xff"
MIB = 1 << 20


def agreed(offers: str, window_bits: int = 12) -> Agreement | None:
    """Return what is agreed on for the value of a client's header."""
    return negotiate(parse_extension(offers), window_bits)


def deflated(payload: bytes, window_bits: int = 15, level: int = 6) -> bytes:
    """Return a payload as a client compresses it."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -window_bits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


# -- what is agreed on -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ("permessage-deflate", (12, 15, f"{BOTH}12")),
        ("permessage-deflate; client_max_window_bits", (12, 12, f"{BOTH}12; client_max_window_bits=12")),
        ("permessage-deflate; client_max_window_bits=10", (12, 10, f"{BOTH}12; client_max_window_bits=10")),
        ("permessage-deflate; client_max_window_bits=15", (12, 12, f"{BOTH}12; client_max_window_bits=12")),
        ("permessage-deflate; server_max_window_bits=9", (9, 15, f"{BOTH}9")),
        ("permessage-deflate; server_max_window_bits=8", (8, 15, f"{BOTH}8")),
        ("permessage-deflate; server_max_window_bits=15", (12, 15, f"{BOTH}12")),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", (12, 15, f"{BOTH}12")),
        ('permessage-deflate; server_max_window_bits="10"', (10, 15, f"{BOTH}10")),
        ("x-webkit-deflate-frame, permessage-deflate", (12, 15, f"{BOTH}12")),
        ("permessage-deflate; surprise, permessage-deflate; server_max_window_bits=11", (11, 15, f"{BOTH}11")),
    ],
)
def test_the_first_offer_that_is_understood_is_accepted(offers: str, expected: tuple[int, int, str]) -> None:
    """Without context take-over, with the smaller of both windows; the client's only where it allows that."""
    assert agreed(offers) == expected


@pytest.mark.parametrize(
    "offers",
    [
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; unknown",
    ],
)
def test_what_is_not_understood_is_declined(offers: str) -> None:
    """The socket then opens without compression (RFC 7692, section 5)."""
    assert agreed(offers) is None


def test_no_offer_is_no_agreement() -> None:
    """Compression is the client's to ask for."""
    assert negotiate([], 12) is None


@pytest.mark.parametrize("ours", range(9, 16))
def test_the_agreement_is_one_that_a_client_accepts(ours: int) -> None:
    """``websockets`` takes our answer to its offer as valid."""
    factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
    offer = [("permessage-deflate", factory.get_request_params())]
    agreement = negotiate(offer, ours)
    assert agreement is not None
    [(_, parameters)] = parse_extension(agreement.field)
    extension = factory.process_response_params(parameters, [])
    assert (extension.remote_max_window_bits, extension.local_max_window_bits) == (ours, ours)
    assert extension.remote_no_context_takeover
    assert extension.local_no_context_takeover


# -- messages ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=2000) | st.text(max_size=50).map(lambda t: t.encode() * 40), max_size=5))
def test_each_message_stands_alone(payloads: list[bytes]) -> None:
    """A fresh inflater of the agreed window reads any of them, in whatever order: nothing refers to another message."""
    for bits in (9, 12, 15):
        deflater = Deflater(bits, level=6, threshold=0)
        for payload in reversed(payloads):
            data = deflater.deflate(payload)
            if data is not None:
                assert len(data) < len(payload)
                assert zlib.decompressobj(-bits).decompress(data + TAIL) == payload


def test_what_does_not_get_smaller_is_sent_as_it_is() -> None:
    """Short messages are not tried; of others the result decides."""
    deflater = Deflater(12, level=1, threshold=100)
    assert deflater.deflate(b"x" * 99) is None
    assert deflater.deflate(bytes(range(256))) is None
    assert deflater.deflate(b"x" * 100) is not None


def test_the_smallest_window_is_kept() -> None:
    """Zlib makes no raw stream for 8 bits: what is longer than such a window is not compressed."""
    deflater = Deflater(8, level=9, threshold=0)
    data = deflater.deflate(b"ab" * 128)
    assert data is not None
    assert zlib.decompressobj(-8).decompress(data + TAIL) == b"ab" * 128
    assert deflater.deflate(b"ab" * 129) is None


def test_one_deflater_serves_all_sockets_of_a_window() -> None:
    """And none is made for those without compression."""
    deflaters = Deflaters(level=1, threshold=0)
    one, other = Agreement(12, 12, ""), Agreement(9, 15, "")
    assert deflaters.of(one) is deflaters.of(Agreement(12, 15, "x"))
    assert deflaters.of(one) is not deflaters.of(other)
    assert deflaters.of(None) is None


@given(st.binary(max_size=3000), st.integers(9, 15), st.integers(0, 9))
def test_what_clients_compress_is_inflated(payload: bytes, bits: int, level: int) -> None:
    """With any window and level, exactly up to the limit."""
    data = deflated(payload, bits, level)
    assert inflate(data, bits, len(payload)) == payload
    if payload:
        with pytest.raises(OversizeError):
            inflate(data, bits, len(payload) - 1)


def test_streams_that_end_are_inflated() -> None:
    """A sender may end a block for good; what follows, if it is no more than an empty block, is the next stream."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    ended = compressor.compress(b"Hello") + compressor.flush(zlib.Z_FINISH)
    assert inflate(ended + b"\x00", 15, 100) == b"Hello"
    assert inflate(ended + ended + b"\x00", 15, 100) == b"HelloHello"
    with pytest.raises(OversizeError):
        inflate(ended + ended + b"\x00", 15, 9)
    with pytest.raises(InflateError, match="more than 16 streams"):
        inflate(ended * 17, 15, 1000)


@given(st.binary(max_size=200))
def test_any_bytes_are_inflated_or_refused(data: bytes) -> None:
    """Nothing else happens, and never more than the limit is returned."""
    with suppress(InflateError, OversizeError):
        assert len(inflate(data, 15, 1000)) <= 1000


def test_a_bomb_is_not_inflated() -> None:
    """A hundred KiB that stand for a hundred MiB are refused with no more memory than the limit."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(compressor.compress(bytes(MIB)) for _ in range(100)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    tracemalloc.start()
    try:
        with pytest.raises(OversizeError):
            inflate(bomb, 15, MIB)
        assert tracemalloc.get_traced_memory()[1] < 5 * MIB
    finally:
        tracemalloc.stop()
