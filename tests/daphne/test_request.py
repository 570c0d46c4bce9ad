"""The meaning of heads whose grammar is right; ``httptools`` has no part in these refusals."""

from __future__ import annotations

import pytest

from daphne.config import Config
from daphne.grammar import show
from daphne.request import HttpError, Request, build_request, check_body_size

CONFIG = Config(max_body_size=1000)
HOST = (b"host", b"example.com")
CHUNKED = (b"transfer-encoding", b"chunked")
LENGTH = (b"content-length", b"5")
UPGRADE = [(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"WebSocket")]


def build(
    *fields: tuple[bytes, bytes], method: str = "GET", target: bytes = b"/", version: str = "1.1", host: bool = True
) -> Request:
    """Build a request for example.com with more fields."""
    return build_request(method, target, version, [*([HOST] if host else []), *fields], CONFIG)


def refusal(*fields: tuple[bytes, bytes], **head: object) -> HttpError:
    """Return the error that such a request is refused with."""
    with pytest.raises(HttpError) as caught:
        build(*fields, **head)  # type: ignore[arg-type]  # the keywords of build()
    return caught.value


def test_a_plain_request_has_no_body_and_keeps_the_connection() -> None:
    """A GET without further fields is complete with its head."""
    assert build(target=b"/a?b=c") == Request(
        method="GET",
        target=b"/a?b=c",
        path="/a",
        query_string=b"b=c",
        http_version="1.1",
        headers=[HOST],
        keep_alive=True,
        expect_continue=False,
        has_body=False,
        content_length=None,
        is_websocket=False,
    )


@pytest.mark.parametrize(
    ("target", "path", "query_string"),
    [
        (b"/", "/", b""),
        (b"/?", "/", b""),
        (b"/a?b?c", "/a", b"b?c"),
        (b"/a+b?c+d=%20", "/a+b", b"c+d=%20"),
        (b"/gr%C3%BC%c3%9f", "/grüß", b""),
        (b"/%ff%C3x", "/%FF%C3x", b""),
        (b"/%zz%2", "/%zz%2", b""),
        (b"/a%2Fb%00", "/a/b\0", b""),
        (b"//other.example/a", "//other.example/a", b""),
        (b"http://example.com", "/", b""),
        (b"http://example.com?a", "/", b"a"),
        (b"HTTPS://example.com:8443/a%20b?c", "/a b", b"c"),
        (b"http://[::1]:80/", "/", b""),
    ],
)
def test_path_and_query_string_come_from_the_target(target: bytes, path: str, query_string: bytes) -> None:
    """The path is decoded, the query string is not, and an http URL gives its own."""
    request = build(target=target)
    assert (request.path, request.query_string, request.target) == (path, query_string, target)


def test_the_asterisk_is_a_target_of_options_only() -> None:
    """OPTIONS may ask about the server as a whole (RFC 9112 §3.2.4)."""
    assert build(method="OPTIONS", target=b"*").path == "*"
    assert refusal(target=b"*").status == 400


@pytest.mark.parametrize(
    "target",
    [
        b"a",
        b"?a",
        b"ftp://example.com/",
        b"http:///a",
        b"http://u:p@example.com/",
        b"http://a b/",
        b"http:/a",
        b"example.com:80",
    ],
)
def test_other_targets_are_refused(target: bytes) -> None:
    """What is neither a path nor an http URL with a host has no meaning here."""
    assert refusal(target=target).status == 400


@pytest.mark.parametrize("target", [b"example.com:443", b"/"])
def test_connect_is_not_implemented(target: bytes) -> None:
    """An origin server opens no tunnels."""
    assert refusal(method="CONNECT", target=target).status == 501


def test_the_authority_of_an_http_url_replaces_the_host() -> None:
    """RFC 9112 §3.2.2: the Host field of such a request is ignored."""
    assert build((b"a", b"b"), target=b"http://other.example/").headers == [(b"host", b"other.example"), (b"a", b"b")]
    assert build(target=b"http://a/", version="1.0", host=False).headers == [(b"host", b"a")]


@pytest.mark.parametrize(
    "host", [b"a", b"A-b.example:80", b"127.0.0.1", b"[::1]", b"[::ffff:1.2.3.4]:8000", b"a:", b"x_y%20"]
)
def test_valid_hosts_pass(host: bytes) -> None:
    """Host is a name or address with an optional port (RFC 9110 §7.2)."""
    assert build((b"host", host), host=False).headers == [(b"host", host)]


@pytest.mark.parametrize(
    "host",
    [b"", b"a b", b"a,b", b"u@a", b"a/b", b"a:b", b"a:123456", b"[::1", b"::1", b"a\xff", b"http://a", b"a?b", b"a#b"],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_invalid_hosts_are_refused(host: bytes, version: str) -> None:
    """The sentence shows what was sent."""
    error = refusal((b"host", host), host=False, version=version)
    assert error.status == 400
    assert show(host) in error.reason


def test_http_1_1_needs_exactly_one_host() -> None:
    """None is refused, and two are, equal or not."""
    assert refusal(host=False).status == 400
    assert refusal(HOST).status == 400
    assert refusal((b"host", b"")).status == 400
    assert build(host=False, version="1.0").headers == []


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("1.1", b"", True),
        ("1.1", b"keep-alive", True),
        ("1.1", b"Close", False),
        ("1.1", b"keep-alive , close", False),
        ("1.1", b"close-not", True),
        ("1.0", b"", False),
        ("1.0", b"Keep-Alive", True),
        ("1.0", b"keep-alive, close", False),
    ],
)
def test_connection_decides_whether_another_request_may_follow(version: str, connection: bytes, expected: bool) -> None:
    """HTTP/1.1 goes on unless told to close, HTTP/1.0 only if asked to (RFC 9112 §9.3)."""
    assert build((b"connection", connection), version=version).keep_alive is expected


def test_connection_fields_are_read_together() -> None:
    """Several fields are one list."""
    assert not build((b"connection", b"keep-alive"), (b"connection", b"close")).keep_alive


@pytest.mark.parametrize(
    ("fields", "has_body", "length"),
    [
        ([], False, None),
        ([(b"content-length", b"0")], False, 0),
        ([(b"content-length", b"007")], True, 7),
        ([(b"content-length", b"1000")], True, 1000),
        ([(b"transfer-encoding", b"Chunked")], True, None),
    ],
)
def test_framing_follows_length_and_coding(
    fields: list[tuple[bytes, bytes]], has_body: bool, length: int | None
) -> None:
    """A body is counted or chunked; without either field there is none (RFC 9112 §6.3)."""
    request = build(*fields, method="POST")
    assert (request.has_body, request.content_length) == (has_body, length)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([LENGTH, CHUNKED], 400),
        ([CHUNKED, LENGTH], 400),
        ([LENGTH, LENGTH], 400),
        ([(b"content-length", b"5, 5")], 400),
        ([(b"content-length", b"")], 400),
        ([(b"content-length", b"+5")], 400),
        ([(b"content-length", b"-0")], 400),
        ([(b"content-length", b"0x5")], 400),
        ([(b"content-length", b"5_0")], 400),
        ([(b"content-length", b"\xb2")], 400),
        ([(b"content-length", b"9" * 19)], 400),
        ([(b"content-length", b"9" * 18)], 413),
        ([(b"content-length", b"1001")], 413),
        ([CHUNKED, CHUNKED], 400),
        ([(b"transfer-encoding", b"chunked, chunked")], 400),
        ([(b"transfer-encoding", b"chunked, gzip")], 400),
        ([(b"transfer-encoding", b"xchunked")], 400),
        ([(b"transfer-encoding", b"chunked;a=b")], 400),
        ([(b"transfer-encoding", b"identity")], 400),
        ([(b"transfer-encoding", b"")], 400),
        ([(b"transfer-encoding", b"gzip, chunked")], 501),
        ([(b"transfer-encoding", b"gzip"), CHUNKED], 501),
    ],
)
def test_ambiguous_framing_is_refused(fields: list[tuple[bytes, bytes]], status: int) -> None:
    """Whatever two parsers could frame differently is an error."""
    assert refusal(*fields, method="POST").status == status


def test_http_1_0_has_no_transfer_codings() -> None:
    """A server of that time would take the chunks for the next request."""
    assert refusal(CHUNKED, method="POST", version="1.0").status == 400


@pytest.mark.parametrize(
    ("fields", "version", "expected"),
    [
        ([(b"expect", b"100-Continue"), LENGTH], "1.1", True),
        ([(b"expect", b"100-continue"), CHUNKED], "1.1", True),
        ([(b"expect", b"100-continue"), LENGTH], "1.0", False),
        ([(b"expect", b"100-continue")], "1.1", False),
        ([(b"expect", b"200-ok"), LENGTH], "1.1", False),
    ],
)
def test_only_a_body_that_waits_is_asked_for(fields: list[tuple[bytes, bytes]], version: str, expected: bool) -> None:
    """Without a body there is nothing to continue, and HTTP/1.0 knows no interim response (RFC 9110 §10.1.1)."""
    assert build(*fields, method="POST", version=version).expect_continue is expected


@pytest.mark.parametrize(
    ("fields", "method", "version", "expected"),
    [
        (UPGRADE, "GET", "1.1", ""),
        ([*UPGRADE, (b"content-length", b"0")], "GET", "1.1", ""),
        ([(b"connection", b"upgrade"), (b"upgrade", b"h2c, websocket")], "GET", "1.1", ""),
        (UPGRADE, "POST", "1.1", "opened by GET over HTTP/1.1, not by POST over HTTP/1.1"),
        (UPGRADE, "GET", "1.0", "opened by GET over HTTP/1.1, not by GET over HTTP/1.0"),
        ([(b"upgrade", b"websocket")], "GET", "1.1", "needs the field Connection: Upgrade"),
        ([(b"connection", b"upgrade"), (b"upgrade", b"h2c")], "GET", "1.1", "not 'h2c'"),
        ([(b"upgrade", b"h2c")], "GET", "1.1", "not 'h2c'"),
        ([(b"connection", b"upgrade"), (b"upgrade", b"websocket2")], "GET", "1.1", "not 'websocket2'"),
    ],
)
def test_an_upgrade_is_a_get_that_asks_for_a_websocket(
    fields: list[tuple[bytes, bytes]], method: str, version: str, expected: str
) -> None:
    """Any other is refused: what comes behind it might be read in two ways."""
    if not expected:
        assert build(*fields, method=method, version=version).is_websocket
        return
    error = refusal(*fields, method=method, version=version)
    assert error.status == 400
    assert expected in error.reason


def test_connection_upgrade_alone_asks_for_nothing() -> None:
    """Some proxies always say it."""
    assert not build((b"connection", b"upgrade")).is_websocket
    assert not build((b"connection", b"upgrade"), (b"upgrade", b"")).is_websocket


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
@pytest.mark.parametrize("body", [LENGTH, CHUNKED])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upgrade_with_a_body_is_refused(upgrade: bytes, body: tuple[bytes, bytes], method: str) -> None:
    """Some parsers take that body for the new protocol, and some of those for the next request."""
    error = refusal((b"connection", b"upgrade"), (b"upgrade", upgrade), body, method=method)
    assert error.status == 400
    assert upgrade.decode() in error.reason


def test_a_proxy_that_always_says_upgrade_may_pass_on_bodies() -> None:
    """A common nginx configuration sends "Connection: upgrade" with every request, and Upgrade empty or not at all."""
    assert build((b"connection", b"upgrade"), LENGTH, method="POST").has_body
    assert build((b"connection", b"upgrade"), (b"upgrade", b""), LENGTH, method="POST").has_body


def test_the_limit_of_a_body_is_the_last_size_that_passes() -> None:
    """The error names limit and option."""
    check_body_size(1000, CONFIG)
    with pytest.raises(HttpError, match=r"413: .*1000 bytes \(max_body_size\)"):
        check_body_size(1001, CONFIG)
