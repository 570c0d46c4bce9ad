"""The grammar of heads; where one ends, and that it never matters how it is cut, is the parser's affair."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne.config import Config
from daphne.head import check_trailer, read_head
from daphne.request import HttpError

CONFIG = Config(max_target_size=20, max_headers=3)


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    """Put a head together, with a Host."""
    return b"\r\n".join([first, b"Host: a", *lines, b"", b""])


def test_a_head_is_a_request() -> None:
    """Names in lower case, values without the space around them."""
    request = read_head(head(b"X-Case: \t a b \t", first=b"OPTIONS /a?b HTTP/1.0"), CONFIG)
    assert (request.method, request.target, request.http_version) == ("OPTIONS", b"/a?b", "1.0")
    assert request.headers == [(b"host", b"a"), (b"x-case", b"a b")]


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (head(b"A: b\x00c"), 400, "The header contains the control byte 0x00."),
        (head(b"A: b\x85c"), 400, "The header contains the control byte 0x85."),
        (head(b"A: b\rc"), 400, "The header contains the control byte 0x0d."),
        (head(b"A: b", b"C: d", b"E: f"), 431, "More than 3 header fields (max_headers)."),
        (head(first=b"GET  / HTTP/1.1"), 400, "The request line is not of the form METHOD TARGET HTTP/1.1."),
        (head(first=b"GET / HTTP/2.0"), 505, "HTTP version 2.0 is neither 1.0 nor 1.1."),
        (head(first=b"GET /" + b"a" * 20 + b" HTTP/1.1"), 414, "The target exceeds 20 bytes (max_target_size)."),
        (head(first=b"FOO / HTTP/1.1"), 501, "The method 'FOO' is not known."),
        (head(b"A b: c"), 400, "The header is malformed: "),
    ],
)
def test_what_is_no_head_is_refused(data: bytes, status: int, reason: str) -> None:
    """With a sentence that names the fault and the limit, and never the target."""
    with pytest.raises(HttpError) as caught:
        read_head(data, CONFIG)
    assert (caught.value.status, caught.value.reason[: len(reason)]) == (status, reason)


@pytest.mark.parametrize("trailer", [b"\r\n\r\n", b"\r\nA: b\r\nC: d\r\n\r\n"])
def test_a_trailer_has_fields_or_none(trailer: bytes) -> None:
    """It begins with the line end before it."""
    check_trailer(trailer, CONFIG)


@pytest.mark.parametrize(
    ("trailer", "status"),
    [(b"\r\nA: \x00\r\n\r\n", 400), (b"\r\nA b: c\r\n\r\n", 400), (b"\r\n" + b"A: b\r\n" * 4 + b"\r\n", 431)],
)
def test_what_is_no_trailer_is_refused(trailer: bytes, status: int) -> None:
    """As the fields of a head are."""
    with pytest.raises(HttpError) as caught:
        check_trailer(trailer, CONFIG)
    assert caught.value.status == status


@given(st.lists(st.binary(max_size=20), max_size=4))
def test_any_lines_are_a_request_or_an_http_error(lines: list[bytes]) -> None:
    """No other error comes out, whatever comes in."""
    with suppress(HttpError):
        assert read_head(head(*lines), CONFIG).target == b"/"
