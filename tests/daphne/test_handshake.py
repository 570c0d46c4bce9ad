from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.http11 import Request as PeerRequest
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from daphne.handshake import (
    HandshakeError,
    Offer,
    accept_response,
    check_subprotocol,
    choose_subprotocol,
    read_offer,
)
from daphne.http import Request

# The example of RFC 6455 §1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
VALID = {
    "host": "server.example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def upgrade(*extra: tuple[str, str], method: str = "GET", version: str = "1.1", **changes: str | None) -> Request:
    """Return a valid upgrade with some headers changed, left out (None) or added."""
    fields = VALID | {name.replace("_", "-"): value for name, value in changes.items()}
    pairs = [(name, value) for name, value in fields.items() if value is not None] + list(extra)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    return Request(method, b"/chat", "/chat", b"", version, headers, True, False, False, None, True)


def refusal(request: Request) -> HandshakeError:
    """Return the error with which the request is refused."""
    with pytest.raises(HandshakeError) as caught:
        read_offer(request)
    return caught.value


def test_the_example_of_the_rfc_is_accepted() -> None:
    """The key of RFC 6455 §1.3 gives the accept value printed there."""
    assert read_offer(upgrade()).accept == ACCEPT


@pytest.mark.parametrize(
    "request_",
    [
        upgrade(upgrade="WebSocket", connection="upgrade"),
        upgrade(connection="keep-alive, Upgrade"),
        upgrade(("connection", "keep-alive")),
        upgrade(upgrade="h2c, websocket"),
        upgrade(("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")),
        upgrade(("sec-websocket-protocol", "chat, superchat"), ("sec-websocket-protocol", "v2")),
        upgrade(host=None),
    ],
)
def test_variants_of_a_valid_upgrade_are_accepted(request_: Request) -> None:
    """Case, lists and repeated list fields are as HTTP has them; Host is the HTTP parser's business."""
    assert read_offer(request_).accept == ACCEPT


@pytest.mark.parametrize(
    ("request_", "status", "headers"),
    [
        (upgrade(method="POST"), 405, [(b"allow", b"GET")]),
        (upgrade(version="1.0"), 505, []),
        (upgrade(upgrade=None), 400, []),
        (upgrade(upgrade="h2c"), 400, []),
        (upgrade(upgrade="websocket;"), 400, []),
        (upgrade(connection=None), 400, []),
        (upgrade(connection="keep-alive"), 400, []),
        (upgrade(connection=""), 400, []),
        (upgrade(sec_websocket_version=None), 426, [(b"sec-websocket-version", b"13")]),
        (upgrade(sec_websocket_version="8"), 426, [(b"sec-websocket-version", b"13")]),
        (upgrade(sec_websocket_version="13, 8"), 426, [(b"sec-websocket-version", b"13")]),
        (upgrade(("sec-websocket-version", "13")), 426, [(b"sec-websocket-version", b"13")]),
        (upgrade(sec_websocket_key=None), 400, []),
        (upgrade(sec_websocket_key=""), 400, []),
        (upgrade(("sec-websocket-key", KEY)), 400, []),
        (upgrade(sec_websocket_key=KEY[:-1]), 400, []),
        (upgrade(sec_websocket_key=KEY + "="), 400, []),
        (upgrade(sec_websocket_key=KEY + "AAAA"), 400, []),
        (upgrade(sec_websocket_key="AAAA" + KEY), 400, []),
        (upgrade(sec_websocket_key=KEY[:10] + " " + KEY[10:]), 400, []),
        (upgrade(sec_websocket_key=KEY[:10] + "-" + KEY[11:]), 400, []),
        (upgrade(sec_websocket_key=KEY[:10] + "é" + KEY[11:]), 400, []),
        (upgrade(("sec-websocket-protocol", "")), 400, []),
        (upgrade(("sec-websocket-protocol", "chat superchat")), 400, []),
        (upgrade(("sec-websocket-protocol", "chat, superchat, chat")), 400, []),
        (upgrade(("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "chat")), 400, []),
    ],
)
def test_anything_else_is_refused(request_: Request, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    """Each rule of RFC 6455 §4.2.1 has its status, and the headers that go with it."""
    error = refusal(request_)
    assert (error.status, error.headers) == (status, headers)
    assert str(error) == f"{status}: {error.reason}"


def test_a_refusal_names_value_and_rule() -> None:
    """The reason is a sentence that helps."""
    assert refusal(upgrade(sec_websocket_version="8")).reason == "Sec-WebSocket-Version must be 13, it is '8'."
    assert refusal(upgrade(connection="close")).reason == (
        "Connection does not contain 'upgrade'; a proxy must pass it on."
    )


@pytest.mark.parametrize("offer", ["secret, secret", "secret token"])
def test_what_may_be_a_credential_is_not_in_the_reason(offer: str) -> None:
    """Browsers' clients send tokens as subprotocols; a reason is logged."""
    assert "secret" not in str(refusal(upgrade(("sec-websocket-protocol", offer))))
    with pytest.raises(ValueError, match="'chat' is none of the 1 that the client offers") as caught:
        check_subprotocol("chat", ["secret"])
    assert "secret" not in str(caught.value)


def test_subprotocols_are_the_clients_in_its_order() -> None:
    """Several fields are one list; none is an empty one."""
    fields = ("sec-websocket-protocol", "b, a"), ("sec-websocket-protocol", "c")
    assert read_offer(upgrade(*fields)).subprotocols == ["b", "a", "c"]
    assert read_offer(upgrade()).subprotocols == []


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        (["b", "a"], ["a", "b"], "b"),
        (["x", "a"], ("a", "b"), "a"),
        (["x"], ["a"], None),
        (["A"], ["a"], None),
        ([], ["a"], None),
        (["a"], [], None),
    ],
)
def test_the_clients_order_decides(offered: list[str], supported: list[str], chosen: str | None) -> None:
    """The first of the client's subprotocols that the server supports is chosen."""
    assert choose_subprotocol(offered, supported) == chosen


def test_a_subprotocol_of_the_client_may_be_chosen() -> None:
    """What was offered passes the check."""
    check_subprotocol("a", ["b", "a"])


def test_the_response_is_the_one_of_the_rfc() -> None:
    """The 101 has the handshake's headers first, then the application's as they are."""
    headers: list[tuple[bytes | str, bytes | str]] = [(b"Set-Cookie", b"a=1"), ("set-cookie", "b=\xe9\t2"), (b"X", b"")]
    assert accept_response(Offer(ACCEPT, []), "chat", headers) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nServer: Daphne\r\n"
        b"Set-Cookie: a=1\r\nset-cookie: b=\xe9\t2\r\nX: \r\n\r\n"
    )


def test_the_application_may_name_another_server() -> None:
    """Server is a default."""
    response = accept_response(Offer(ACCEPT, []), None, [(b"server", b"mine")])
    assert b"Daphne" not in response
    assert b"server: mine\r\n" in response


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((b"Upgrade", b"h2c"), "belongs to the handshake"),
        ((b"CONNECTION", b"close"), "belongs to the handshake"),
        ((b"Sec-WebSocket-Accept", b"x"), "belongs to the handshake"),
        ((b"sec-websocket-protocol", b"x"), "belongs to the handshake"),
        (("Sec-WebSocket-Extensions", "x"), "belongs to the handshake"),
        ((b"Content-Length", b"0"), "belongs to the handshake"),
        ((b"Transfer-Encoding", b"chunked"), "belongs to the handshake"),
        ((b"", b"x"), "not a token"),
        ((b"X ", b"x"), "not a token"),
        ((b"X:", b"x"), "not a token"),
        ((b"X\r\nY", b"x"), "not a token"),
        ((b"X\n", b"x"), "not a token"),
        (("Ä", "x"), "not a token"),
        ((b"X", b"a\rb"), r"b'X' contains the control character b'\\r'"),
        ((b"X", b"a\nb"), "control character"),
        ((b"X", b"a\x00"), "control character"),
        ((b"X", b"\x7f"), "control character"),
        (("X", "\N{SNOWMAN}"), "latin-1"),
        ((b"X", 1), "bytes or text, not int"),
    ],
)
def test_headers_that_break_the_response_are_refused(header: tuple[bytes, bytes], message: str) -> None:
    """Nothing of an application can split the response or change the handshake."""
    with pytest.raises(ValueError, match=message):
        accept_response(Offer(ACCEPT, []), None, [header])


def test_a_bad_value_is_not_shown() -> None:
    """The value of a header may be a cookie."""
    with pytest.raises(ValueError, match="control character") as caught:
        accept_response(Offer(ACCEPT, []), None, [(b"Set-Cookie", b"secret\n")])
    assert "secret" not in str(caught.value)


@settings(deadline=None)
@given(st.binary(max_size=8), st.binary(max_size=8))
def test_a_header_is_one_line_or_an_error(name: bytes, value: bytes) -> None:
    """No bytes add a line of their own to the response."""
    try:
        response = accept_response(Offer(ACCEPT, []), None, [(name, value)])
    except ValueError:
        return
    assert response.endswith(b"\r\n%b: %b\r\n\r\n" % (name, value))
    assert response.count(b"\r") == response.count(b"\n") == response.count(b"\r\n") <= 7


def test_a_client_of_another_hand_is_content() -> None:
    """The sans-I/O client of ``websockets`` opens with our answer to its request."""
    client = ClientProtocol(parse_uri("ws://example.com/chat"), subprotocols=["b", "a"])  # type: ignore[list-item]  # a NewType
    asked = client.connect()
    headers = [(name.lower().encode(), value.encode()) for name, value in asked.headers.raw_items()]
    request = Request("GET", b"/chat", "/chat", b"", "1.1", headers, True, False, False, None, True)
    chosen = choose_subprotocol(read_offer(request).subprotocols, ["a"])
    client.send_request(asked)
    client.receive_data(accept_response(read_offer(request), chosen, [(b"x-answer", b"42")]))
    assert client.handshake_exc is None
    assert client.state.name == "OPEN"
    assert client.subprotocol == "a"


TOKENS = st.sampled_from(["websocket", "upgrade", "h2c", "13", "8", "", ";", "a b", KEY, KEY[:-2], KEY + KEY])
LISTS = st.lists(TOKENS, min_size=1, max_size=3, unique=True).map(lambda tokens: ", ".join(tokens).strip())


def websockets_accepts(request: Request) -> bool:
    """Whether the sans-I/O server of ``websockets`` answers the request with a 101."""
    server = ServerProtocol(subprotocols=["chat"], select_subprotocol=lambda *_: None)  # type: ignore[list-item]  # a NewType
    lines = [b"GET /chat HTTP/1.1", *(b"%b: %b" % field for field in request.headers), b"", b""]
    server.receive_data(b"\r\n".join(lines))
    (asked,) = server.events_received()
    assert isinstance(asked, PeerRequest)
    return server.accept(asked).status_code == 101


@settings(deadline=None)
@given(
    st.sampled_from(["websocket", "WebSocket", "h2c", ""]),
    st.just("upgrade") | LISTS,
    st.just(KEY) | LISTS,
    st.just("13") | LISTS,
    st.just("chat") | LISTS,
)
def test_another_server_accepts_the_same(protocol: str, connection: str, key: str, version: str, offer: str) -> None:
    """The server of ``websockets`` agrees on every upgrade to one protocol that offers no subprotocol twice."""
    request = upgrade(
        ("sec-websocket-protocol", offer),
        upgrade=protocol,
        connection=connection,
        sec_websocket_key=key,
        sec_websocket_version=version,
    )
    try:
        accepted = bool(read_offer(request))
    except HandshakeError:
        accepted = False
    assert accepted is websockets_accepts(request)
