"""What the access log is written from."""

from __future__ import annotations

import pytest

from daphne.access import CLOSE, OPEN, REFUSED, REQUEST, Access, printable, redacted
from daphne.config import Config
from daphne.http import HttpParser, Request
from daphne.source import Source
from tests.daphne.wire import CLIENT, get


@pytest.mark.parametrize(
    ("event", "status", "failed"),
    [
        (REQUEST, 200, False),
        (REQUEST, 304, False),
        (REQUEST, 404, True),
        (REQUEST, 503, True),
        (OPEN, 101, False),
        (REFUSED, 403, True),
        (REFUSED, 302, True),
        (CLOSE, 1000, False),
        (CLOSE, 1006, False),
    ],
)
def test_what_deserves_a_look(event: str, status: int, failed: bool) -> None:
    """Errors and refusals; a close code is no status."""
    assert Access(event, status, Source(CLIENT)).failed is failed


@pytest.mark.parametrize(
    ("event", "is_secure", "expected"),
    [(REQUEST, False, "http"), (REQUEST, True, "https"), (OPEN, False, "ws"), (REFUSED, True, "wss")],
)
def test_the_scheme_is_that_of_the_address(event: str, is_secure: bool, expected: str) -> None:
    """A socket has one of its own."""
    assert Access(event, 200, Source(CLIENT, is_secure=is_secure)).scheme == expected


def test_headers_are_found_by_name() -> None:
    """What is not there is empty, also where no request could be read."""
    request = HttpParser(Config()).receive_data(get("/", "Referer: http://a/"))[0]
    assert isinstance(request, Request)
    access = Access(REQUEST, 200, Source(CLIENT), request=request)
    assert (access.header(b"referer"), access.header(b"user-agent")) == (b"http://a/", b"")
    assert Access(REQUEST, 400, Source(CLIENT)).header(b"referer") == b""


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/?session_key=abc", "/?session_key=***"),
        ("/a?x=1&session_key=abc&y=2", "/a?x=1&session_key=***&y=2"),
        ("/?session%5Fkey=abc&SESSION_KEY=abc", "/?session%5Fkey=***&SESSION_KEY=***"),
        (
            "/?sessionid=a&access_token=b&password=c&apikey=d",
            "/?sessionid=***&access_token=***&password=***&apikey=***",
        ),
        ("/?session_key", "/?session_key"),
        ("/session_key=abc?q=token", "/session_key=abc?q=token"),
        ("/?a=b=c&&", "/?a=b=c&&"),
        ("http://h/?session_key=a?b", "http://h/?session_key=***"),
        ("/?", "/?"),
    ],
)
def test_what_lets_its_holder_in_stays_out_of_the_log(target: str, shown: str) -> None:
    """The names of parameters are logged, and values that are no secret."""
    assert redacted(target) == shown


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/café/日本", "/café/日本"), ("/a\nb\r\x1b[0m", "/a\\nb\\r\\x1b[0m"), ("/\u2028\x85", "/\\u2028\\x85")],
)
def test_a_path_cannot_write_a_line_of_its_own(path: str, expected: str) -> None:
    """Nor steer a terminal; letters of whatever language stay as they are."""
    assert printable(path) == expected
