"""The lines of the access log."""

from __future__ import annotations

import logging

import pytest

from daphne.access import (
    Access,
    http_access,
    log_access,
    websocket_closed,
    websocket_opened,
    websocket_refused,
)

CLIENT = ("192.0.2.7", 50001)


@pytest.mark.parametrize(("status", "failed"), [(200, False), (304, False), (404, True), (503, True)])
def test_a_request_is_written_as_by_the_development_server(status: int, failed: bool) -> None:
    """Request line, status and size; from 400 on it deserves a look."""
    access = http_access("GET", b"/caf\xe9?q", "1.1", status, 5)
    assert access == Access(f'"GET /caf\xe9?q HTTP/1.1" {status} 5', status, failed)


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
    assert http_access("GET", target.encode(), "1.1", 200, 5).text == f'"GET {shown} HTTP/1.1" 200 5'


def test_a_socket_is_logged_from_its_beginning_to_its_end() -> None:
    """Who came, who left and how, and how much was said."""
    assert websocket_opened("/chat", CLIENT) == Access("WS OPEN /chat [192.0.2.7:50001]", 101)
    closed = websocket_closed("/chat", 1001, "client", 1.26, 3, 4)
    assert closed == Access("WS CLOSE /chat 1001 by client after 1.3 s, in 3 out 4")


def test_a_refused_socket_says_why() -> None:
    """A refusal has failed; without an address the client came through a unix socket."""
    access = websocket_refused("/chat", None, 403, "its consumer refused")
    assert access == Access("WS REFUSED /chat 403 [unix]: its consumer refused", 403, failed=True)


@pytest.mark.parametrize(("failed", "level"), [(False, logging.INFO), (True, logging.WARNING)])
def test_what_has_failed_is_a_warning(caplog: pytest.LogCaptureFixture, failed: bool, level: int) -> None:
    """The default log is daphne.access; a text with a percent sign goes as it is."""
    with caplog.at_level(logging.INFO, "daphne.access"):
        log_access(Access("GET /100%s", 200, failed))
    assert caplog.record_tuples == [("daphne.access", level, "GET /100%s")]
