"""Requests from bytes: what is refused, what passes, and that it never matters how the input is cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne.config import Config
from daphne.head import CONTROL
from daphne.http import END, Event, HttpError, HttpParser, Request

CONFIG = Config(max_target_size=200, max_header_size=400, max_headers=10, max_body_size=100)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

Outcome = tuple[list[Event], int | None, bytes]


def merge(events: Iterable[Event]) -> list[Event]:
    """Join adjoining pieces of a body."""
    merged: list[Event] = []
    for event in events:
        if merged and isinstance(event, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += event
        else:
            merged.append(event)
    return merged


def run(pieces: Iterable[bytes], config: Config = CONFIG) -> Outcome:
    """Feed a new parser; return events, the status of the refusal if any, and what follows an upgrade."""
    parser = HttpParser(config)
    events: list[Event] = []
    for piece in pieces:
        try:
            events += parser.receive_data(piece)
        except HttpError as error:
            return merge(events + error.events), error.status, parser.rest
    return merge(events), None, parser.rest


def one_by_one(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]


def parse(data: bytes, config: Config = CONFIG) -> Outcome:
    """Feed ``data`` whole and byte by byte, which must not make a difference."""
    outcome = run([data], config)
    assert run(one_by_one(data), config) == outcome
    return outcome


def refusal(data: bytes) -> HttpError:
    """Return the error that ``data`` ends in."""
    with pytest.raises(HttpError) as caught:
        HttpParser(CONFIG).receive_data(data)
    return caught.value


def head(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    """Put a head together, with a Host."""
    return b"\r\n".join([first, b"Host: a", *lines, b"", b""])


# What these modules refuse by themselves, whatever httptools would say.
OWN_REFUSALS = {
    "LF ends every line": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "LF ends the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "LF ends a field": (head(b"A: b\nC: d"), 400),
    "LF ends the head": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "LF before a request": (b"\n" + GET, 400),
    "CR ends a field": (head(b"A: b\rC: d"), 400),
    "CR before CRLF": (head(b"A: b\r"), 400),
    "CR before a request": (b"\r" + GET, 400),
    **{f"byte {byte:#04x} in a value": (head(b"A: b%cc" % byte), 400) for byte in CONTROL if byte not in b"\r\n"},
    "NUL in the target": (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "raw UTF-8 in the target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment in the target": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces before the target": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces after the target": (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab in the request line": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space after the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "space before the method": (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no target": (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "another protocol": (b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    "version in lower case": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "method with a colon": (b"GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "version 0.9": (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    "version 1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "version 2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (head(b"Host: a"), 400),
    "two differing Hosts": (head(b"host: b"), 400),
    "invalid Host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "asterisk": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "length and coding": (head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "coding and length": (head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n", 400),
    "two lengths": (head(b"Content-Length: 5", b"Content-Length: 5") + b"hello", 400),
    "list of lengths": (head(b"Content-Length: 5, 5") + b"hello", 400),
    "length with a sign": (head(b"Content-Length: +5") + b"hello", 400),
    "empty length": (head(b"Content-Length:"), 400),
    "endless length": (head(b"Content-Length: " + b"9" * 30), 400),
    "too long a body": (head(b"Content-Length: 101"), 413),
    "coding on HTTP/1.0": (head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0") + b"0\r\n\r\n", 400),
    "gzip, chunked": (head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    "chunked, gzip": (head(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n", 400),
    "chunked twice": (head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "chunked hidden by a tab": (head(b"Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n", 400),
    "h2c with a body": (head(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 5") + b"hello", 400),
    "h2c": (head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"), 400),
    "h2c that is not meant": (head(b"Upgrade: h2c"), 400),
    "TLS by upgrade": (head(b"Connection: upgrade", b"Upgrade: TLS/1.0, HTTP/1.1", first=b"OPTIONS * HTTP/1.1"), 400),
    "WebSocket by POST": (SOCKET.replace(b"GET", b"POST"), 400),
    "WebSocket over HTTP/1.0": (SOCKET.replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "WebSocket without Connection": (head(b"Upgrade: websocket"), 400),
    "WebSocket with a body": (SOCKET[:-2] + b"Content-Length: 5\r\n\r\nhello", 400),
    "long target": (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 200), 414),
    "request line without end": (b"GET /" + b"a" * 300, 414),
    "method without end": (b"G" * 300, 414),
    "large header": (head(b"A: " + b"b" * 400), 431),
    "header without end": (b"GET / HTTP/1.1\r\nA: " + b"b" * 500, 431),
    "many fields": (head(*[b"A: b"] * 10), 431),
    "chunk extension": (CHUNKS + b"1;a=b\r\nx\r\n0\r\n\r\n", 400),
    "space after a chunk size": (CHUNKS + b"1 \r\nx\r\n0\r\n\r\n", 400),
    "chunk size with 0x": (CHUNKS + b"0x1\r\nx\r\n0\r\n\r\n", 400),
    "chunk size with a sign": (CHUNKS + b"+1\r\nx\r\n0\r\n\r\n", 400),
    "empty chunk size": (CHUNKS + b"\r\nx\r\n0\r\n\r\n", 400),
    "chunk size ends in LF": (CHUNKS + b"1\nx\r\n0\r\n\r\n", 400),
    "chunk size ends in LF and waits": (CHUNKS + b"1\n", 400),
    "chunk size ends in CR": (CHUNKS + b"1\rx\r\n0\r\n\r\n", 400),
    "long chunk size": (CHUNKS + b"0" * 17, 400),
    "chunk larger than the limit": (CHUNKS + b"ffffffffffffffff\r\n", 413),
    "chunks larger than the limit": (CHUNKS + b"40\r\n" + b"a" * 64 + b"\r\n25\r\n", 413),
    "chunk longer than it says": (CHUNKS + b"1\r\nxy\r\n0\r\n\r\n", 400),
    "chunk ends in LF": (CHUNKS + b"1\r\nx\n0\r\n\r\n", 400),
    "chunk ends in CR": (CHUNKS + b"1\r\nx\rx0\r\n\r\n", 400),
    "trailer ends in LF": (CHUNKS + b"0\r\n\n", 400),
    "trailer field ends in LF": (CHUNKS + b"0\r\nA: b\n\r\n", 400),
    "control byte in a trailer": (CHUNKS + b"0\r\nA: \x85\r\n\r\n", 400),
    "large trailer": (CHUNKS + b"0\r\nA: " + b"b" * 400, 431),
    "many trailers": (CHUNKS + b"0\r\n" + b"A: b\r\n" * 11 + b"\r\n", 431),
    "LF before the limit": (b"GET / HTTP/1.1\r\nA: b\n" + b"b" * 500, 400),
    "limit before the LF": (b"GET / HTTP/1.1\r\nA: " + b"b" * 500 + b"\n\r\n\r\n", 431),
}
# What is left to httptools.
REFUSALS = OWN_REFUSALS | {
    "unknown method": (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "method in lower case": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "folded field": (head(b"A: b", b" c"), 400),
    "field folded by a tab": (head(b"A: b", b"\tc"), 400),
    "fold after the request line": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "space before the colon": (head(b"A : b"), 400),
    "tab before the colon": (head(b"A\t: b"), 400),
    "no colon": (head(b"A"), 400),
    "no name": (head(b": b"), 400),
    "byte 0xe9 in a name": (head(b"\xe9: b"), 400),
    "quote in a name": (head(b'"A": b'), 400),
    "no colon in a trailer": (CHUNKS + b"0\r\nA\r\n\r\n", 400),
    "folded trailer": (CHUNKS + b"0\r\nA: b\r\n c\r\n\r\n", 400),
}


class LenientParser:
    """An ``httptools`` that takes everything for a good head."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol

    def feed_data(self, data: bytes) -> None:
        for line in data.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            self.protocol.on_header(name, value)


@pytest.mark.parametrize(("data", "status"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_input_has_one_status_however_it_is_cut(data: bytes, status: int) -> None:
    """Whole and byte by byte give the same events and the same refusal."""
    assert parse(data)[1] == status


@pytest.mark.parametrize(("data", "status"), OWN_REFUSALS.values(), ids=OWN_REFUSALS.keys())
def test_our_own_refusals_do_not_depend_on_httptools(monkeypatch: pytest.MonkeyPatch, data: bytes, status: int) -> None:
    """They hold with a version that has grown lenient."""
    monkeypatch.setattr(httptools, "HttpRequestParser", LenientParser)
    assert parse(data)[1] == status


@pytest.mark.parametrize(("data", "status"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_reason_is_one_short_sentence_without_the_target(data: bytes, status: int) -> None:
    """It goes to the log, where tokens in a query string must not."""
    error = refusal(data.replace(b" /", b" /?token=SECRET", 1))
    assert "SECRET" not in error.reason
    assert error.reason.endswith(".")
    assert error.reason.isprintable()
    assert len(error.reason) < 200
    assert str(error) == f"{error.status}: {error.reason}"


@pytest.mark.parametrize(("data", "status"), REFUSALS.values(), ids=REFUSALS.keys())
def test_requests_before_a_refused_one_are_kept(data: bytes, status: int) -> None:
    """A client that has sent two good requests gets two answers before the refusal."""
    events, found, _ = parse(POST + GET + data)
    assert found == status
    assert events[1:3] == [b"hello", END]
    assert events[4] is END


def test_nothing_is_parsed_after_a_refusal() -> None:
    """The connection is to be closed; what still arrives is dropped."""
    parser = HttpParser(CONFIG)
    with pytest.raises(HttpError):
        parser.receive_data(b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    assert parser.receive_data(GET) == []
    assert not parser.idle
    assert not parser.in_head


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET / HTTP/1.1\r\n",
        GET[:-2],
        GET[:-1],
        b"\r",
        b"\r\n\r\n\r",
        POST[:-1],
        CHUNKS + b"5\r",
        CHUNKS + b"1\r\na\r",
    ],
)
def test_incomplete_input_waits(data: bytes) -> None:
    """Neither an end nor an error comes of it."""
    events, status, _ = parse(data)
    assert END not in events
    assert status is None


def test_fields_are_lower_case_stripped_and_in_order() -> None:
    """Duplicates stay, and each value keeps its inner blanks and its high bytes."""
    data = head(b"B:\t 1 2 \t", b"A:", b"b: \xa0\xff", b"X~|^`!: c:d")
    request = parse(data)[0][0]
    assert isinstance(request, Request)
    expected = [(b"host", b"a"), (b"b", b"1 2"), (b"a", b""), (b"b", b"\xa0\xff"), (b"x~|^`!", b"c:d")]
    assert request.headers == expected


def test_names_with_an_underscore_are_dropped() -> None:
    """X_Forwarded_For could not be told from X-Forwarded-For later, nor Content_Length from the real one."""
    request = parse(head(b"X_Forwarded_For: b", b"Content_Length: 5", b"_: c", b"D: e_f"))[0][0]
    assert isinstance(request, Request)
    assert request.headers == [(b"host", b"a"), (b"d", b"e_f")]
    assert not request.has_body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_methods_and_versions_pass_as_they_are(method: str, version: str) -> None:
    """WebDAV's methods are methods too."""
    (request, end), status, _ = parse(head(first=f"{method} /a HTTP/{version}".encode()))
    assert isinstance(request, Request)
    assert (request.method, request.http_version, request.path) == (method, version, "/a")
    assert end is END
    assert status is None


def test_limits_are_the_last_values_that_pass() -> None:
    """One byte or field more is refused."""
    line = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
    assert parse(line % (b"a" * 199))[1] is None
    assert parse(line % (b"a" * 200))[1] == 414
    assert parse(head(*[b"A: b"] * 9))[1] is None
    assert parse(head(*[b"A: b"] * 10))[1] == 431
    field = b"A: " + b"b" * (400 - len(b"Host: a\r\nA: \r\n"))
    assert parse(head(field))[1] is None
    assert parse(head(field + b"b"))[1] == 431


def test_the_last_line_of_a_large_header_does_not_count() -> None:
    """The limit is one of field lines, the empty line that ends them is none."""
    config = Config(max_header_size=len(b"Host: a\r\n"))
    assert parse(GET, config)[1] is None
    assert parse(head(b"A:"), config)[1] == 431


def test_empty_lines_before_a_request_are_skipped() -> None:
    """Old clients send one after a body (RFC 9112 §2.2)."""
    events, status, _ = parse(b"\r\n\r\n" + POST + b"\r\n" + GET)
    assert [type(event) for event in events] == [Request, bytes, type(END), Request, type(END)]
    assert status is None


def test_pipelined_requests_come_in_order() -> None:
    """Each ends before the next begins, whatever frames its body."""
    chunked = CHUNKS + b"3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n"
    events, status, _ = parse(GET + chunked + POST + GET)
    assert events[1::2][0] is END
    assert events[3] == b"abcde"
    assert events[6] == b"hello"
    assert [event is END for event in events] == [0, 1, 0, 0, 1, 0, 0, 1, 0, 1]
    assert status is None


def test_a_body_with_a_length_ends_with_it() -> None:
    """What looks like a request inside is body, and what follows is a request."""
    body = GET
    data = head(b"Content-Length: %d" % len(body), first=b"POST / HTTP/1.1") + body
    events, _, _ = parse(data + GET)
    assert events[1:3] == [body, END]
    assert len(events) == 5


def test_a_length_of_zero_is_no_body() -> None:
    """The end follows the head at once."""
    assert parse(head(b"Content-Length: 0"))[0][1:] == [END]


@pytest.mark.parametrize("trailer", [b"", b"A: b\r\n", b"A: b\r\nContent-Length: 9\r\nHost:\r\n"])
def test_trailers_are_ignored(trailer: bytes) -> None:
    """They change neither the headers nor the framing of what follows."""
    events, status, _ = parse(CHUNKS + b"00\r\n" + trailer + b"\r\n" + GET)
    assert [type(event) for event in events] == [Request, type(END), Request, type(END)]
    assert status is None


def test_chunk_sizes_are_hexadecimal_in_either_case() -> None:
    """Up to sixteen digits, leading zeros included."""
    data = b"1a\r\n" + b"x" * 26 + b"\r\n000000000000000A\r\n" + b"y" * 10 + b"\r\n0\r\n\r\n"
    assert parse(CHUNKS + data)[0][1:] == [b"x" * 26 + b"y" * 10, END]


def test_bodies_up_to_the_limit_pass() -> None:
    """The limit is the last size that passes, counted or chunked."""
    body = b"a" * 100
    assert parse(head(b"Content-Length: 100") + body)[0][1:] == [body, END]
    assert parse(CHUNKS + b"64\r\n" + body + b"\r\n0\r\n\r\n")[0][1:] == [body, END]


def test_chunks_are_counted_for_each_body() -> None:
    """The next request begins at zero."""
    data = CHUNKS + b"40\r\n" + b"a" * 64 + b"\r\n0\r\n\r\n"
    assert parse(data + data)[1] is None


def test_a_body_too_long_is_refused_before_it_arrives() -> None:
    """The head alone is enough, and there is no request to answer otherwise."""
    error = refusal(head(b"Content-Length: 101"))
    assert (error.status, error.events) == (413, [])


def test_a_body_arrives_as_it_comes() -> None:
    """Nothing is held back until the body is complete."""
    parser = HttpParser(CONFIG)
    assert parser.receive_data(POST[:-3])[1:] == [b"he"]
    assert parser.receive_data(b"llo") == [b"llo", END]


def test_tiny_chunks_of_one_call_are_one_piece() -> None:
    """One event for each would take many times the memory of the body."""
    events = HttpParser(CONFIG).receive_data(CHUNKS + b"1\r\na\r\n" * 90 + b"0\r\n\r\n" + GET)
    assert events[1:3] == [b"a" * 90, END]
    assert len(events) == 5


def test_tiny_chunks_before_an_error_are_one_piece() -> None:
    """The events of a refusal are in the same shape."""
    assert refusal(CHUNKS + b"1\r\na\r\n" * 9 + b"x").events[1:] == [b"a" * 9]


@pytest.mark.parametrize("last", [head(b"Connection: close"), head(first=b"GET / HTTP/1.0")])
def test_what_follows_the_last_request_is_dropped(last: bytes) -> None:
    """A client that has announced the end gets no further answers (RFC 9112 §9.6)."""
    events, status, _ = parse(last + GET + b"\0")
    assert len(events) == 2
    assert status is None


def test_the_last_request_may_have_a_body() -> None:
    """Its body belongs to it, what follows is dropped."""
    events, _, _ = parse(head(b"Connection: close", b"Content-Length: 2") + b"ab" + GET)
    assert events[1:] == [b"ab", END]


def test_an_upgrade_to_websocket_ends_parsing() -> None:
    """What follows the head is the other protocol's, bytes of whatever kind."""
    events, status, rest = parse(GET + SOCKET + b"\x81\x85\0\r\n\r\n" + GET)
    assert isinstance(events[2], Request)
    assert events[2].is_websocket
    assert len(events) == 3
    assert rest == b"\x81\x85\0\r\n\r\n" + GET
    assert status is None


@pytest.mark.parametrize(
    ("data", "idle", "in_head"),
    [
        (b"", True, False),
        (GET, True, False),
        (POST, True, False),
        (GET + b"\r\n", True, False),
        (b"G", False, True),
        (b"\r", False, True),
        (GET + GET[:-1], False, True),
        (POST[:-1], False, False),
        (CHUNKS, False, False),
        (CHUNKS + b"0\r\n", False, False),
        (SOCKET, False, False),
        (head(b"Connection: close"), False, False),
    ],
)
def test_idle_and_in_head_tell_which_time_limit_runs(data: bytes, idle: bool, in_head: bool) -> None:
    """Between messages, in a head, or neither."""
    parser = HttpParser(CONFIG)
    parser.receive_data(data)
    assert (parser.idle, parser.in_head) == (idle, in_head)


def test_parsers_share_nothing() -> None:
    """Two connections may be in the middle of their heads at once."""
    first, second = HttpParser(CONFIG), HttpParser(CONFIG)
    first.receive_data(POST[:10])
    second.receive_data(GET[:10])
    assert [type(event) for event in second.receive_data(GET[10:])] == [Request, type(END)]
    assert first.receive_data(POST[10:])[1:] == [b"hello", END]


# Pieces that requests are made of, and what attackers put between them.
LINES = """GET |/ |http://b/ |HTTP/1.1
|HTTP/1.0
|HTTP/2.0
|Host: a
|Host: b
|A: b
|Content-Length: 5
|Transfer-Encoding: chunked
|Connection: close
|Connection: upgrade
|Upgrade: websocket
|Upgrade: h2c
|5
hello
|0

|1;a
|
"""
WHOLE = [GET, POST, CHUNKS, SOCKET, GET[:-2], CHUNKS[:-2], b"a" * 150, b"A: %b\r\n" % (b"b" * 300), b"A: b\r\n" * 8]
PARTS = [part.replace("\n", "\r\n").encode() for part in LINES.split("|")]
FRAGMENTS = st.sampled_from([*WHOLE, *PARTS, b"\n", b"\r", b" ", b":", b"\t", b"\x85", b"\0"])
INPUTS = st.one_of(
    st.binary(max_size=300), st.lists(st.one_of(FRAGMENTS, st.binary(max_size=8)), max_size=12).map(b"".join)
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut ``data`` at ``places``."""
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(bounds)]


@given(INPUTS, st.lists(st.integers(0, 5000), max_size=8))
def test_any_input_gives_events_or_an_http_error_however_it_is_cut(data: bytes, places: list[int]) -> None:
    """No other exception, and never another outcome for another cut."""
    assert run(cut(data, places)) == parse(data)


TOKENS = st.text("!#$%&'*+-.^`|~09azAZ", min_size=1, max_size=8).filter(
    lambda name: name.lower() not in {"host", "te", "upgrade", "connection", "expect"}
)
VALUES = st.text([chr(code) for code in range(0x20, 0x100) if not 0x7F <= code < 0xA0] + ["\t"], max_size=12)
BODIES = st.one_of(
    st.none(), st.binary(max_size=20), st.lists(st.binary(min_size=1, max_size=9), max_size=4)
)  # none, counted, chunked


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, str, str, list[tuple[bytes, bytes]], bytes]:
    """One request on the wire, and its method, path, headers and body."""
    method = draw(st.sampled_from(["GET", "POST", "DELETE"]))
    path = draw(st.text("/abc-._~", max_size=10)).replace("//", "/")
    headers = [(b"host", b"a")]
    headers += [
        (name.encode().lower(), value.strip(" \t").encode("latin-1"))
        for name, value in draw(st.lists(st.tuples(TOKENS, VALUES), max_size=5))
    ]
    body = draw(BODIES)
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
    elif body is not None:
        headers.append((b"transfer-encoding", b"chunked"))
        body = [*body, b""]
    lines = b"".join(b"%b: %b\r\n" % field for field in headers)
    framed = (
        body if isinstance(body, bytes) else b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in body or ())
    )
    wire = f"{method} /{path} HTTP/1.1\r\n".encode() + lines + b"\r\n" + framed
    return wire, method, "/" + path, headers, body if isinstance(body, bytes) else b"".join(body or ())


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 2000), max_size=6))
def test_generated_requests_come_back_as_they_were(
    sent: list[tuple[bytes, str, str, list[tuple[bytes, bytes]], bytes]], places: list[int]
) -> None:
    """Method, path, headers and body survive the wire, pipelined and cut anywhere."""
    events, status, _ = run(cut(b"".join(request[0] for request in sent), places))
    expected: list[object] = []
    for _, method, path, headers, body in sent:
        expected += [(method, path, headers), *([body] if body else []), END]
    found = [(event.method, event.path, event.headers) if isinstance(event, Request) else event for event in events]
    assert status is None
    assert found == expected
