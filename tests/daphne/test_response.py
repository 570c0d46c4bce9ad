"""Responses to bytes, read back by the HTTP client of the standard library."""

from __future__ import annotations

import email.utils
import io
import time
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daphne import response as module
from daphne.response import CONTINUE, Response, ResponseError, ResponseFinished, error_page

Headers = list[tuple[bytes | str, bytes | str]]
TEXT: Headers = [(b"content-type", b"text/plain")]


class Reading(NamedTuple):
    """What a client has understood."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    rest: bytes
    closes: bool


class Wire(io.BytesIO):
    """As much of a socket as the client needs; it stays open, so that what follows a response can be read."""

    def makefile(self, _mode: str) -> Wire:
        """Return the stream the client reads."""
        return self

    def close(self) -> None:
        """Ignore that the client has read the body to its end."""


def read(data: bytes, method: str = "GET") -> Reading:
    """Parse one response and return what is left behind it."""
    wire = Wire(data)
    parsed = HTTPResponse(wire, method=method)  # type: ignore[arg-type]  # as much of a socket as it needs
    parsed.begin()
    body = parsed.read()
    headers = {name.lower(): value for name, value in parsed.getheaders()}
    return Reading(parsed.status, parsed.reason, headers, body, wire.read(), parsed.will_close)


def answer(*start: Any, method: str = "GET", version: str = "1.1", keep_alive: bool = True) -> Reading:
    """Start a response with these arguments and read it."""
    return read(Response(method, version, keep_alive).start(*start), method)


def test_a_whole_response_is_one_piece_with_its_length() -> None:
    """Status, headers as given, the server's own, and the body."""
    response = Response("GET", "1.1", True)
    data = response.start(200, [(b"Content-Type", b"text/plain"), (b"X-A", b"1"), (b"x-a", b"2")], b"hello")
    assert data.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n")
    assert data.endswith(b"\r\n\r\nhello")
    assert (response.started, response.finished, response.keep_alive) == (True, True, True)
    assert (response.status, response.size) == (200, 5)


def test_a_new_response_has_nothing() -> None:
    """It only knows whether the request lets the connection go on."""
    response = Response("GET", "1.1", True)
    assert (response.started, response.finished, response.keep_alive) == (False, False, True)
    assert (response.status, response.size) == (0, 0)


def test_an_empty_body_has_a_length_of_zero() -> None:
    """Without it the client would wait for the connection to close."""
    reading = answer(200, TEXT)
    assert (reading.headers["content-length"], reading.body, reading.closes) == ("0", b"", False)


def test_a_body_of_unknown_length_is_chunked() -> None:
    """Empty pieces leave no trace, since an empty chunk would end the body."""
    response = Response("GET", "1.1", True)
    pieces = [response.start(200, TEXT, b"", True), response.send(b"ab", True), response.send(b"", True)]
    assert pieces[1:] == [b"2\r\nab\r\n", b""]
    assert not response.finished
    pieces.append(response.send(b"c" * 26, False))
    assert pieces[-1] == b"1a\r\n" + b"c" * 26 + b"\r\n0\r\n\r\n"
    assert (response.finished, response.keep_alive, response.size) == (True, True, 28)
    reading = read(b"".join(pieces) + b"next")
    assert (reading.body, reading.rest, reading.closes) == (b"ab" + b"c" * 26, b"next", False)
    assert "content-length" not in reading.headers


def test_a_chunked_body_may_end_with_an_empty_piece() -> None:
    """The last chunk alone ends it."""
    response = Response("GET", "1.1", True)
    assert response.start(200, TEXT, b"ab", True).endswith(b"\r\n\r\n2\r\nab\r\n")
    assert response.send(b"", False) == b"0\r\n\r\n"


def test_http_1_0_gets_a_body_that_ends_with_the_connection() -> None:
    """It knows no chunks."""
    response = Response("GET", "1.0", True)
    data = response.start(200, TEXT, b"ab", True) + response.send(b"cd", False)
    reading = read(data)
    assert (reading.body, reading.closes, response.keep_alive) == (b"abcd", True, False)
    assert reading.headers["connection"] == "close"
    assert "transfer-encoding" not in reading.headers


def test_http_1_0_is_told_that_the_connection_stays() -> None:
    """Its clients expect the end unless told otherwise."""
    assert answer(200, TEXT, b"ab", version="1.0").headers["connection"] == "keep-alive"


def test_the_end_of_the_connection_is_announced() -> None:
    """The client need not try another request (RFC 9112 §9.6)."""
    assert answer(200, TEXT, b"ab", keep_alive=False).headers["connection"] == "close"
    assert "connection" not in answer(200, TEXT, b"ab").headers


@pytest.mark.parametrize("value", [b"close", b"Close", b"x, close"])
def test_the_application_may_end_the_connection(value: bytes) -> None:
    """Of its Connection header only this is heeded, and it is sent once."""
    response = Response("GET", "1.1", True)
    data = response.start(200, [(b"Connection", value)], b"ab")
    assert not response.keep_alive
    assert data.lower().count(b"connection: close\r\n") == 1


def test_the_application_cannot_keep_a_connection() -> None:
    """If the client or the server wants it closed, it is."""
    assert answer(200, [(b"connection", b"keep-alive")], b"ab", keep_alive=False).headers["connection"] == "close"


@pytest.mark.parametrize(
    "name", [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade"]
)
def test_headers_of_the_connection_are_the_servers(name: bytes) -> None:
    """They would contradict how the body is really sent."""
    reading = answer(200, [(name, b"chunked"), (b"a", b"b")], b"ab")
    assert name.decode().lower() not in reading.headers
    assert (reading.headers["a"], reading.headers["content-length"], reading.body) == ("b", "2", b"ab")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_have_none(status: int) -> None:
    """What the application gives as one is left out (RFC 9110 §6.4.1)."""
    response = Response("GET", "1.1", True)
    data = response.start(status, TEXT, b"ab", True) + response.send(b"cd", False)
    reading = read(data + b"next")
    assert (reading.body, reading.rest, reading.closes) == (b"", b"next", False)
    assert not {"transfer-encoding", "content-length"} & reading.headers.keys()
    assert (response.finished, response.keep_alive, response.size) == (True, True, 0)


@pytest.mark.parametrize(("status", "expected"), [(100, None), (103, None), (204, None), (304, "5")])
def test_only_304_may_have_a_length_without_a_body(status: int, expected: str | None) -> None:
    """RFC 9110 §8.6 forbids it on 1xx and 204."""
    data = Response("GET", "1.1", True).start(status, [(b"Content-Length", b"5")])
    assert (b"Content-Length: 5" in data) is (expected is not None)
    assert data.endswith(b"\r\n\r\n")


def test_after_an_interim_status_the_connection_is_closed() -> None:
    """The client goes on waiting for the real response, which does not come."""
    response = Response("GET", "1.1", True)
    assert b"Connection: close" in response.start(103, [])
    assert not response.keep_alive


@pytest.mark.parametrize(
    ("headers", "content", "more_content", "expected"),
    [
        ([], b"", False, None),
        ([], b"ab", False, "2"),
        ([], b"ab", True, None),
        ([(b"Content-Length", b"7")], b"", False, "7"),
        ([(b"Content-Length", b"7")], b"ab", False, "7"),
    ],
)
def test_head_gets_the_length_a_get_would_have(
    headers: Headers, content: bytes, more_content: bool, expected: str | None
) -> None:
    """As far as it is known: an application may already have taken the body away."""
    response = Response("HEAD", "1.1", True)
    data = response.start(200, headers, content, more_content)
    reading = read(data + b"next", "HEAD")
    assert reading.headers.get("content-length") == expected
    assert (reading.body, reading.rest) == (b"", b"next")
    assert (response.size, response.keep_alive, response.finished) == (0, True, not more_content)


def test_a_given_length_is_kept() -> None:
    """The body then needs no chunks, however many pieces it comes in."""
    response = Response("GET", "1.1", True)
    data = response.start(200, [(b"content-length", b"004")], b"ab", True) + response.send(b"cd", True)
    assert not response.finished
    reading = read(data + response.send(b"", False))
    assert (reading.body, reading.headers["content-length"]) == (b"abcd", "4")
    assert "transfer-encoding" not in reading.headers


@pytest.mark.parametrize(("content", "more_content"), [(b"abc", False), (b"abc", True), (b"a", False), (b"", False)])
def test_a_start_that_breaks_its_length_sends_nothing(content: bytes, more_content: bool) -> None:
    """The server may still answer something else."""
    response = Response("GET", "1.1", True)
    with pytest.raises(ResponseError, match=f"{len(content)} bytes, (more|less) than its Content-Length of 2"):
        response.start(200, [(b"Content-Length", b"2"), (b"Connection", b"close")], content, more_content)
    assert (response.started, response.finished, response.keep_alive) == (False, False, True)
    assert read(response.start(500, TEXT, b"sorry")).body == b"sorry"
    assert response.keep_alive


@pytest.mark.parametrize(("content", "more_content"), [(b"cd", False), (b"cd", True), (b"", False)])
def test_a_piece_that_breaks_the_length_is_not_sent(content: bytes, more_content: bool) -> None:
    """What the client would take for the next response never leaves, and the connection is lost."""
    response = Response("GET", "1.1", True)
    response.start(200, [(b"Content-Length", b"3")], b"ab", True)
    with pytest.raises(ResponseError, match="than its Content-Length of 3"):
        response.send(content, more_content)
    assert (response.finished, response.keep_alive, response.size) == (True, False, 2)


def test_a_second_start_is_an_error() -> None:
    """It names the status of the first."""
    response = Response("GET", "1.1", True)
    response.start(404, TEXT, b"ab", True)
    with pytest.raises(ResponseError, match="status 404"):
        response.start(200, TEXT)
    assert response.send(b"", False) == b"0\r\n\r\n"


def test_a_body_needs_a_start() -> None:
    """Without a status nothing can be sent."""
    response = Response("GET", "1.1", True)
    with pytest.raises(ResponseError, match="status"):
        response.send(b"ab", False)
    assert not response.finished


def test_nothing_is_sent_after_the_end() -> None:
    """The caller may ignore this error, as the message formats ask for."""
    response = Response("GET", "1.1", True)
    response.start(200, TEXT, b"ab")
    with pytest.raises(ResponseFinished):
        response.send(b"cd", False)
    assert issubclass(ResponseFinished, RuntimeError)
    assert (response.size, response.keep_alive) == (2, True)


@pytest.mark.parametrize("status", [99, 1000, 0, -200, True, 200.0, "200", None])
def test_a_status_is_a_number_of_three_digits(status: Any) -> None:
    """The error shows what was given."""
    with pytest.raises(ValueError, match=f"not {status!r}"):
        Response("GET", "1.1", True).start(status, [])


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (HTTPStatus.NOT_FOUND, b"HTTP/1.1 404 Not Found\r\n"),
        (599, b"HTTP/1.1 599 \r\n"),
        (999, b"HTTP/1.1 999 \r\n"),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_status_line_has_the_standard_phrase(status: int, line: bytes, version: str) -> None:
    """A status without one has an empty phrase; the version is always the server's (RFC 9110 §6.2)."""
    assert Response("GET", version, True).start(status, []).startswith(line)


CONTROL = sorted({*range(0x20), 0x7F} - {0x09})


@pytest.mark.parametrize("byte", CONTROL)
@pytest.mark.parametrize("as_text", [False, True])
def test_control_bytes_in_a_value_are_refused(byte: int, as_text: bool) -> None:
    """One CRLF would be another header or response; the error names the header and keeps its value to itself."""
    value = b"secret%c\nSet-Cookie: a" % byte
    with pytest.raises(ValueError, match=f"'x-a' contains the control byte {byte:#04x}") as caught:
        Response("GET", "1.1", True).start(200, [("X-A", value.decode("latin-1") if as_text else value)])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"a\0", b"\xe9", "a\n", "\u20ac", "a\u010a"])
def test_names_are_tokens(name: bytes | str) -> None:
    """Whatever else a name contains is refused, and shown."""
    with pytest.raises(ValueError, match="is not a token") as caught:
        Response("GET", "1.1", True).start(200, [(name, b"b")])
    assert str(caught.value).isprintable()


def test_headers_may_be_text_in_latin_1() -> None:
    """Older code gives text; bytes above 0x7F pass either way."""
    data = Response("GET", "1.1", True).start(200, [("X-A", "\xe9\t\x85"), ("X-B", b"\xff")])
    assert b"\r\nX-A: \xe9\t\x85\r\nX-B: \xff\r\n" in data


def test_a_value_outside_latin_1_is_refused() -> None:
    """The error names the header and the character."""
    with pytest.raises(ValueError, match="'x-a' contains '\u20ac'"):
        Response("GET", "1.1", True).start(200, [("X-A", "5 \u20ac")])


def test_a_value_of_another_type_is_refused() -> None:
    """The error names the header and the type."""
    with pytest.raises(ValueError, match="'content-length' has a value of type int"):
        Response("GET", "1.1", True).start(200, [("Content-Length", 5)])  # type: ignore[list-item]  # on purpose


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1.0", b"a", b"1 2", b"9" * 19])
def test_a_length_that_is_no_number_is_refused(value: bytes) -> None:
    """Clients disagree on what it means."""
    with pytest.raises(ValueError, match="Content-Length"):
        Response("GET", "1.1", True).start(200, [(b"Content-Length", value)], b"a")


def test_two_lengths_are_refused() -> None:
    """Equal ones as well."""
    with pytest.raises(ValueError, match="'2, 2'"):
        Response("GET", "1.1", True).start(200, [(b"Content-Length", b"2"), (b"content-length", b"2")], b"ab")


def test_server_and_date_are_added_unless_given() -> None:
    """A given one is sent alone."""
    added = answer(200, [])
    assert added.headers["server"] == "Daphne"
    given = Response("GET", "1.1", True).start(200, [(b"server", b"a"), (b"DATE", b"b")]).lower()
    assert given.count(b"\r\nserver: ") == given.count(b"\r\ndate: ") == 1


def test_the_date_is_the_present_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the fixed form of RFC 9110 §5.6.7, and made anew when the second changes."""
    now = 784111777.9
    monkeypatch.setattr(time, "time", lambda: now)
    assert answer(200, []).headers["date"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    now += 0.2
    date = answer(200, []).headers["date"]
    assert email.utils.parsedate_to_datetime(date).timestamp() == 784111778
    assert module._date_line.cache_info().maxsize == 1


def test_the_error_page_is_small_and_escaped() -> None:
    """Status, title and sentence; nothing of the sentence is markup."""
    headers, body = error_page(503, "<script>alert('a & b')</script>")
    assert headers == [(b"Content-Type", b"text/html; charset=utf-8")]
    assert b"<title>503 Service Unavailable</title>" in body
    assert b"&lt;script&gt;alert(&#x27;a &amp; b&#x27;)&lt;/script&gt;" in body
    assert len(body) < 400
    assert read(Response("GET", "1.1", False).start(503, headers, body)).body == body


def test_the_error_page_of_an_unknown_status_has_a_title() -> None:
    """Any status may be shown, and any text."""
    assert "<h1>599 Error</h1><p>\u20ac {}</p>" in error_page(599, "\u20ac {}")[1].decode()


def test_continue_is_an_interim_response() -> None:
    """A client that is asked to continue reads the real response behind it."""
    data = CONTINUE + Response("POST", "1.1", True).start(200, TEXT, b"ab")
    assert read(data, "POST").body == b"ab"


NAMES = st.text("abcXYZ019-_.~!|", min_size=1, max_size=8).map(lambda name: "X-" + name)
VALUES = st.text([chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=12)


@given(
    status=st.sampled_from([200, 201, 404, 418, 500, 599]),
    headers=st.dictionaries(NAMES.map(str.lower), VALUES, max_size=6),
    pieces=st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    with_length=st.booleans(),
    version=st.sampled_from(["1.0", "1.1"]),
    method=st.sampled_from(["GET", "POST", "HEAD"]),
)
def test_a_client_reads_what_the_application_has_said(
    status: int, headers: dict[str, str], pieces: list[bytes], with_length: bool, version: str, method: str
) -> None:
    """Status, headers and body, with the next response right behind them wherever the connection stays."""
    body = b"".join(pieces)
    sent: Headers = [*headers.items(), *([("Content-Length", str(len(body)))] if with_length else [])]
    response = Response(method, version, True)
    data = response.start(status, sent, pieces[0], len(pieces) > 1)
    data += b"".join(response.send(piece, index < len(pieces)) for index, piece in enumerate(pieces[1:], 2))
    reading = read(data + (b"HTTP/1.1" if response.keep_alive else b""), method)
    assert (reading.status, reading.body) == (status, b"" if method == "HEAD" else body)
    assert headers.items() <= reading.headers.items()
    assert reading.rest == (b"HTTP/1.1" if response.keep_alive else b"")
    assert response.size == len(reading.body)
    assert response.finished


ANY_HEADER = st.tuples(
    st.one_of(st.binary(max_size=6), st.text(max_size=6)), st.one_of(st.binary(), st.text(max_size=9))
)


@given(st.lists(ANY_HEADER, max_size=3), st.binary(max_size=9))
def test_no_header_can_split_a_response(headers: Headers, content: bytes) -> None:
    """Either a ValueError, or exactly the lines that were asked for."""
    try:
        data = Response("GET", "1.1", True).start(200, headers, content)
    except (ValueError, ResponseError):
        return
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert body == content
    assert not any(mark in line for line in lines for mark in (b"\r", b"\n", b"\0"))
    assert len(lines) <= 1 + len(headers) + 4
