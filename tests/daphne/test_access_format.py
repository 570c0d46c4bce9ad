"""The formats of the access log, each read as the tools read it."""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daphne.access import CLOSE, OPEN, REFUSED, REQUEST, Access
from daphne.access_format import FORMATS, access_log, as_combined, as_common, as_json, as_text
from daphne.config import Config
from daphne.http import HttpParser, Request
from daphne.source import Source
from tests.daphne.wire import CLIENT, get, upgrade

TARGET = '/caf%C3%A9?q="1"'
REQUEST_ID = "3f9a"
SOURCE = Source(CLIENT, request_id=REQUEST_ID)
COMMON = re.compile(r'(\S+) (\S+) (\S+) \[([^]]+)\] "((?:[^"\\]|\\.)*)" (\d+) (\d+|-)(?: (\S+))?')
COMBINED = re.compile(
    COMMON.pattern.removesuffix(r"(?: (\S+))?") + r' "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"(?: (\S+))?'
)


def parse(data: bytes) -> Request:
    """Return the request at the beginning of ``data``."""
    request = HttpParser(Config()).receive_data(data)[0]
    assert isinstance(request, Request)
    return request


def of_request(*lines: str, source: Source = SOURCE, status: int = 200, size: int = 5) -> Access:
    """Return a finished request with these headers."""
    request = parse(get(TARGET, *lines))
    return Access(REQUEST, status, source, request.path, request, size, 0.25)


def of_socket(event: str, status: int, by: str = "", source: Source = SOURCE) -> Access:
    """Return what happened to a socket whose address has a secret."""
    request = parse(upgrade("/chat?token=secret"))
    ends = event == CLOSE
    access = Access(event, status, source, request.path, None if ends else request, by=by)
    if ends:
        access.seconds, access.received, access.sent = 1.26, 3, 4
    return access


SOCKETS = {
    OPEN: of_socket(OPEN, 101),
    REFUSED: of_socket(REFUSED, 403, "its consumer refused"),
    CLOSE: of_socket(CLOSE, 1001, "client"),
}


# -- for people --------------------------------------------------------------------------------------------------------


def test_text_of_a_request_is_that_of_the_development_server() -> None:
    """Request line, status and size."""
    assert as_text(of_request()) == f'"GET {TARGET} HTTP/1.1" 200 5'
    assert as_text(Access(REQUEST, 400, SOURCE)) == '"- - HTTP/1.1" 400 0'


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (OPEN, "WS OPEN /chat [192.0.2.7:50001]"),
        (REFUSED, "WS REFUSED /chat 403 [192.0.2.7:50001]: its consumer refused"),
        (CLOSE, "WS CLOSE /chat 1001 by client after 1.3 s, in 3 out 4"),
    ],
)
def test_text_of_a_socket_tells_its_life(event: str, expected: str) -> None:
    """Who came, who left and how, and how much was said."""
    assert as_text(SOCKETS[event]) == expected


def test_text_of_a_unix_socket_has_no_address() -> None:
    """There is none."""
    assert as_text(of_socket(OPEN, 101, source=Source(None))) == "WS OPEN /chat [unix]"


# -- for tools ---------------------------------------------------------------------------------------------------------


def fields_of(pattern: re.Pattern[str], line: str) -> tuple[Any, ...]:
    """Return the fields of a line, which has nothing else."""
    found = pattern.fullmatch(line)
    assert found is not None, line
    return found.groups()


def test_common_has_the_fields_of_other_servers() -> None:
    """Host, nobody, nobody, local time, request line, status, size; and the id behind them."""
    host, ident, user, moment, line, status, size, name = fields_of(COMMON, as_common(of_request()))
    assert (host, ident, user, status, size, name) == ("192.0.2.7", "-", "-", "200", "5", REQUEST_ID)
    assert line == 'GET /caf%C3%A9?q=\\"1\\" HTTP/1.1'
    written = datetime.strptime(moment, "%d/%b/%Y:%H:%M:%S %z")
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Asia/Kolkata", "Pacific/Apia"])
def test_times_are_local(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the zone's offset, also one that is no whole hour."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", zone)
        time.tzset()
        FORMATS["common"].__globals__["_local_time"].cache_clear()
        moment = fields_of(COMMON, as_common(of_request()))[3]
        expected = time.strftime("%z")
    time.tzset()
    FORMATS["common"].__globals__["_local_time"].cache_clear()
    assert moment.endswith(expected)


def test_common_without_an_id_is_the_plain_format() -> None:
    """As it is without ids, or for what was no request."""
    assert fields_of(COMMON, as_common(of_request(source=Source(CLIENT))))[-1] is None
    host, _, _, _, line, status, size, name = fields_of(COMMON, as_common(Access(REQUEST, 400, Source(None))))
    assert (host, line, status, size, name) == ("-", "- - HTTP/1.1", "400", "-", None)


def test_combined_adds_where_from_and_with_what() -> None:
    """What a client sends there cannot end its field."""
    lines = ("Referer: http://a/?\xe9", 'User-Agent: x" 200 "\\')
    fields = fields_of(COMBINED, as_combined(of_request(*lines)))
    assert fields[:3] + fields[5:] == (
        *("192.0.2.7", "-", "-", "200", "5"),
        *("http://a/?\\xc3\\xa9", 'x\\" 200 \\"\\\\', REQUEST_ID),
    )
    assert fields_of(COMBINED, as_combined(of_request()))[7:9] == ("-", "-")


@pytest.mark.parametrize(
    ("event", "line", "status"),
    [
        (OPEN, "GET /chat HTTP/1.1", "101"),
        (REFUSED, "GET /chat HTTP/1.1", "403"),
        (CLOSE, "WSCLOSE /chat HTTP/1.1", "1001"),
    ],
)
def test_sockets_are_lines_of_the_same_form(event: str, line: str, status: str) -> None:
    """Without the query string, which is mostly a secret."""
    for form, pattern in ((as_common, COMMON), (as_combined, COMBINED)):
        fields = fields_of(pattern, form(SOCKETS[event]))
        assert (fields[4], fields[5], fields[-1]) == (line, status, REQUEST_ID)


@settings(deadline=None)
@given(st.text(max_size=20), st.binary(max_size=20).filter(lambda value: not set(value) & {*range(9), *range(10, 32)}))
def test_nothing_a_client_sends_changes_the_form_of_a_line(path: str, agent: bytes) -> None:
    """Whatever is in its path or its headers, each format has one line, and its fields are where they belong."""
    request = parse(get())
    request.headers = [(b"host", b"a"), (b"user-agent", agent), (b"referer", agent)]
    request.path = path
    for event, held in ((REQUEST, request), (OPEN, request), (REFUSED, request), (CLOSE, None)):
        access = Access(event, 200, SOURCE, path, held)
        assert fields_of(COMMON, as_common(access))[-1] == REQUEST_ID
        assert fields_of(COMBINED, as_combined(access))[-1] == REQUEST_ID
        assert json.loads(as_json(access))["path"] == path
        for form in FORMATS.values():
            assert len(form(access).splitlines()) == 1


# -- for programs ------------------------------------------------------------------------------------------------------


def test_json_has_everything() -> None:
    """With a name for each value."""
    source = Source(CLIENT, is_secure=True, request_id=REQUEST_ID)
    record = json.loads(as_json(of_request("Referer: http://a/", "User-Agent: b", source=source, status=404)))
    assert datetime.now(UTC) - datetime.fromisoformat(record.pop("time")) < timedelta(minutes=1)
    assert record == {
        "event": "request",
        "request_id": REQUEST_ID,
        "client": "192.0.2.7",
        "method": "GET",
        "path": "/café",
        "query": 'q="1"',
        "http_version": "1.1",
        "scheme": "https",
        "host": "testserver",
        "referer": "http://a/",
        "user_agent": "b",
        "status": 404,
        "size": 5,
        "duration": 0.25,
    }


def test_json_of_what_was_no_request_has_less() -> None:
    """Nothing of it is known but who sent it."""
    record = json.loads(as_json(Access(REQUEST, 400, Source(None))))
    assert (record["client"], record["status"], record["size"]) == (None, 400, 0)
    assert "method" not in record


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (OPEN, {"status": 101, "by": "", "scheme": "ws", "method": "GET"}),
        (REFUSED, {"status": 403, "by": "its consumer refused", "host": "testserver"}),
        (CLOSE, {"code": 1001, "by": "client", "received": 3, "sent": 4, "duration": 1.26}),
    ],
)
def test_json_of_a_socket(event: str, expected: dict[str, Any]) -> None:
    """Its end has a code where the others have a status; its secrets are not there."""
    line = as_json(SOCKETS[event])
    record = json.loads(line)
    assert record.items() >= {"event": event, "path": "/chat", "request_id": REQUEST_ID, **expected}.items()
    assert "secret" not in line
    assert "query" not in record


# -- where it goes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "level"), [(200, logging.INFO), (404, logging.WARNING)])
def test_what_has_failed_is_a_warning(caplog: pytest.LogCaptureFixture, status: int, level: int) -> None:
    """The log is daphne.access; a text with a percent sign goes as it is."""
    with caplog.at_level(logging.INFO, "daphne.access"):
        access_log("text")(of_request(status=status))
    assert caplog.record_tuples == [("daphne.access", level, f'"GET {TARGET} HTTP/1.1" {status} 5')]


def test_what_nobody_reads_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is off costs nothing."""
    monkeypatch.setitem(FORMATS, "text", lambda access: pytest.fail("it was formatted"))
    logger = logging.getLogger("daphne.access")
    before = logger.level
    logger.setLevel(logging.ERROR)
    access_log("text")(of_request())
    logger.setLevel(before)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_can_be_chosen(name: str) -> None:
    """By name, in the configuration."""
    assert Config(access_log_format=name).access_log_format == name


def test_another_format_is_refused() -> None:
    """With the names of those that there are."""
    with pytest.raises(ValueError, match="access_log_format is one of text, common, combined, json, not 'apache'"):
        Config(access_log_format="apache")


@pytest.mark.parametrize("form", FORMATS)
def test_what_lets_its_holder_in_is_in_no_format(form: str) -> None:
    """Neither from the address of a request, nor from that of the page before."""
    request = parse(get("/?session_key=SECRET&page=2", "Referer: http://a/?token=SECRET"))
    line = FORMATS[form](Access(REQUEST, 200, SOURCE, request.path, request, 5, 0.25))
    assert "SECRET" not in line
    assert "page=2" in line
