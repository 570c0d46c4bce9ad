"""What is refused: the answer to the client, the line for the operator, and nobody else harmed.

One worker thread runs all consumers here, so a refusal that ended it would end every test after it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.refusals.project import PROJECT
from tests.runserver import PATIENCE, RunServer, echoes, receive, running, write_project

HOST = b"Host: 127.0.0.1\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunServer]:
    """One server for all refusals, with a single worker thread."""
    project = write_project(tmp_path_factory.mktemp("refusals"), PROJECT)
    with running(project, "--noreload", "--nothreading") as server:
        yield server


@pytest.fixture(autouse=True)
def bystander(server: RunServer) -> Iterator[ClientConnection]:
    """A socket that was open before the refusal: it echoes afterwards, as new sockets do, and HTTP is answered."""
    with server.connect("/hall/") as client:
        yield client
        assert echoes(client, "still here")
        with server.connect("/hall/") as another:
            assert echoes(another, "and new")
        assert server.get("/hello/") == (200, "Hello")


def refused(server: RunServer, path: str, origin: str | None = None) -> InvalidStatus:
    """Return how a handshake ended that has to be refused."""
    with pytest.raises(InvalidStatus) as refusal, server.connect(path, origin=origin):
        pass
    return refusal.value


def status_of(server: RunServer, data: bytes) -> int:
    """Return the status of the answer to raw bytes, behind which the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(data)
        with client.makefile("rb") as answer:
            return int(answer.read().split(b" ", 2)[1])


# Handshakes


@pytest.mark.parametrize(
    ("path", "origin", "status", "line"),
    [
        (
            "/nowhere/",
            None,
            404,
            (
                r"no route for a WebSocket at '/nowhere/' \(tried websocket\.connect path=\^/hall/\$ -> "
                r"mysite\.consumers\.accept: 'path' does not match '/nowhere/'; "
            ),
        ),
        ("/hall/more/", None, 404, r"no route for a WebSocket at '/hall/more/'"),
        ("/denied/", None, 403, r"the hall is closed$"),
        ("/denied-in-words/", None, 403, r"its consumer refused$"),
        ("/broken/", None, 500, r"its connect consumer raised$"),
        (
            "/hall/",
            "http://elsewhere.example",
            403,
            (
                r"Origin 'http://elsewhere\.example' at Host '127\.0\.0\.1:\d+' is refused: .*"
                r"CSRF_TRUSTED_ORIGINS .* ALLOWED_HOSTS"
            ),
        ),
    ],
)
def test_a_handshake_is_refused(server: RunServer, path: str, origin: str | None, status: int, line: str) -> None:
    """The client gets the status and no socket; the log says which value was refused and why."""
    since = server.mark()
    assert refused(server, path, origin).response.status_code == status
    assert server.wait_for(rf"WS REFUSED {path} {status} \[127\.0\.0\.1:\d+\]: {line}", since)


def test_a_looser_receive_route_lets_nobody_in(server: RunServer) -> None:
    """The route for receive would take any path; where routes for connect exist they alone decide."""
    since = server.mark()
    assert refused(server, "/anything/").response.status_code == 404
    tried = server.wait_for(r"no route for a WebSocket at '/anything/' \((tried .*)\)", since)[1]
    assert tried.count("websocket.connect") == 4
    assert "websocket.receive" not in tried


def test_a_connect_consumer_that_raises_is_logged_once(server: RunServer) -> None:
    """The handshake fails with 500, and the one traceback leads into the consumer."""
    since = server.mark()
    assert refused(server, "/broken/").response.status_code == 500
    server.mark()
    name = r"^mysite\.consumers\.broken_connect raised on websocket\.connect /broken/$"
    for line in (name, "^Traceback", "^RuntimeError: connect is broken$"):
        assert len(server.matching(line, since)) == 1


@pytest.mark.parametrize(
    ("fields", "status", "line"),
    [
        (UPGRADE, 426, "Sec-WebSocket-Version must be 13, it is missing"),
        (UPGRADE + b"Sec-WebSocket-Version: 12\r\n", 426, "Sec-WebSocket-Version must be 13, it is '12'"),
        (UPGRADE + b"Sec-WebSocket-Version: 13\r\n", 400, "Sec-WebSocket-Key must be there once"),
    ],
)
def test_a_bad_upgrade_is_refused(server: RunServer, fields: bytes, status: int, line: str) -> None:
    """A handshake that is not one of RFC 6455 reaches no consumer."""
    since = server.mark()
    assert status_of(server, b"GET /hall/ HTTP/1.1\r\n" + HOST + fields + b"\r\n") == status
    assert server.wait_for(rf"WS REFUSED /hall/ {status} .*{line}", since)


# Frames


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        (b"\x81\x05hello", 1002, "frames of a client must be masked"),
        (b"\xa1\x80\0\0\0\0", 1002, "reserved bits are set that no negotiated extension uses"),
        (b"\x83\x80\0\0\0\0", 1002, None),
        (b"\x81\x81\0\0\0\0\xff", 1007, "text is not valid UTF-8"),
        (b"\x81\xfe\x03\xe9\0\0\0\0" + b"x" * 1001, 1009, "message of 1001 bytes is over max_message_size, 1000"),
        (b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 3, 1008, None),
    ],
)
def test_a_bad_frame_closes_its_socket(server: RunServer, frames: bytes, code: int, reason: str | None) -> None:
    """The close frame has the code of the RFC and says why; so does the log."""
    since = server.mark()
    with server.connect("/hall/") as client:
        client.socket.sendall(frames)
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
    received = closed.value.rcvd
    assert received is not None
    assert received.code == code
    assert reason in (None, received.reason)
    line = rf"WS CLOSE /hall/ {code} by server \({re.escape(received.reason)}\) after \d+\.\d s, in 0 out 0"
    assert server.wait_for(line, since)


def test_what_came_before_a_bad_frame_is_answered(server: RunServer) -> None:
    """Messages ahead of the violation are handled, and the close frame comes behind the answers to them."""
    with server.connect("/hall/") as client:
        client.socket.sendall(b"\x81\x85\0\0\0\0first" + b"\x81\x81\0\0\0\0\xff")
        assert receive(client) == "first"
        with pytest.raises(ConnectionClosed) as closed:
            receive(client)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


# Sends of a consumer


@pytest.mark.parametrize(
    ("consumer", "error"),
    [
        ("sends_text", "a message is a dict, not str: 'only text'"),
        ("sends_set", r"message\['headers'\]\[0\]\[1\]: set cannot travel \(\{1, 2\}\); send str\(value\)"),
        ("sends_object", r"message\['lines'\]\[1\]\['price'\]: object cannot travel"),
        ("sends_json", "'text' in a reply is str or None, not dict: {'a': 1}; encode it first, json.dumps"),
        ("sends_key", "a reply to a WebSocket has no key 'txt': did you mean 'text'"),
        ("sends_code", "close code 999 cannot be sent: use .*1000-1003.*3000-4999"),
        ("sends_much", r"message for 'orders' is \d+ bytes, the limit is 100000; .*raise max_message_size in CONFIG"),
        ("misnames", "a channel name is made of ASCII letters, digits, .*, not 'my orders'"),
        (
            "overfills",
            r"channel 'unread-at-once' is full: 2 messages wait, the limit is 2.*channel_capacity\['unread-at-once'\]",
        ),
        ("raises", "receive is broken$"),
        ("raises_async", "async is broken$"),
        ("cancels", "by itself$"),
        ("exits", "3$"),
    ],
)
def test_a_consumer_that_raises_leaves_its_socket_open(server: RunServer, consumer: str, error: str) -> None:
    """The exception and the route are logged with one traceback; the socket that sent the message goes on."""
    since = server.mark()
    with server.connect("/hall/") as client:
        client.send(consumer)
        client.send("next")
        while receive(client) != "next":
            pass
    server.mark()
    name = rf"^mysite\.consumers\.{consumer} raised on websocket\.receive /hall/$"
    assert len(server.matching(name, since)) == 1
    assert len(server.matching("^Traceback", since)) == 1
    assert len(server.matching(f"^[A-Za-z_.]+: {error}", since)) == 1, server.output


def test_what_was_sent_before_an_exception_arrives(server: RunServer) -> None:
    """Sends that a consumer made before it raised are not taken back."""
    with server.connect("/hall/") as client:
        client.send("raises")
        assert receive(client) == "sent before it raised"


@pytest.mark.parametrize(
    ("consumer", "line"),
    [
        ("misspells", "no consumer is routed for 'oders'. Did you mean 'orders'?"),
        ("sends_key_to_group", "group 'everybody', sent by .*sends_key_to_group: .* no key 'txt': did you mean 'text'"),
        (
            "fills",
            (
                r"a message of mysite\.consumers\.fills was not sent: channel 'unread' is full: "
                r"2 messages wait, the limit is 2, .*raise channel_capacity\['unread'\] in CONFIG"
            ),
        ),
        ("denies_late", "denies_late raised DenyConnection on websocket.receive, not websocket.connect"),
    ],
)
def test_a_send_that_goes_nowhere_is_logged(server: RunServer, consumer: str, line: str) -> None:
    """What only turns out after the consumer has returned, or harms nobody, is a line without a traceback."""
    since = server.mark()
    with server.connect("/hall/") as client:
        client.send(consumer)
        assert echoes(client, "next")
    server.mark()
    assert len(server.matching(line, since)) == 1
    assert server.matching("^Traceback", since) == []


# HTTP


@pytest.mark.parametrize(
    ("request_", "status", "line"),
    [
        (b"GET /hello/ HTTP/1.1\r\n\r\n", 400, "needs a Host field"),
        (b"GET /hello/ HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n", 400, "is not one host"),
        (b"GET /hello/ HTTP/1.1\n" + HOST + b"\r\n", 400, "LF|0x0a"),
        (b"hello\r\n\r\n", 400, "not of the form METHOD TARGET HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, "does not begin an HTTP request"),
        (
            b"POST /hello/ HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "Transfer-Encoding",
        ),
        (
            b"GET /hello/ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 20 + b"\r\n",
            431,
            r"More than 20 header fields \(max_headers",
        ),
        (
            b"GET /hello/ HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 2000 + b"\r\n\r\n",
            431,
            r"The header fields exceed 2000 bytes \(max_header_size\)",
        ),
        (b"GET /" + b"a" * 600 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "max_target_size"),
        (
            b"POST /hello/ HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n",
            413,
            r"The body exceeds 1000 bytes \(max_body_size\)",
        ),
        (b"GET /hello/ HTTP/3.0\r\n" + HOST + b"\r\n", 505, "HTTP version 3.0 is neither 1.0 nor 1.1"),
    ],
)
def test_a_bad_request_is_refused(server: RunServer, request_: bytes, status: int, line: str) -> None:
    """Ambiguous or oversized requests are answered with their status and the connection is closed."""
    since = server.mark()
    assert status_of(server, request_) == status
    assert server.wait_for(rf"answered {status}: .*{line}", since)
    assert server.wait_for(rf'"- - HTTP/1\.1" {status} \d+$', since)


@pytest.mark.parametrize(
    ("path", "line", "tracebacks"),
    [
        ("/broken/", "^RuntimeError: the view is broken$", 1),
        ("/raises-in-http/", "^RuntimeError: the consumer is broken$", 1),
        ("/answers-nothing-known/", "a reply to an HTTP request has no key 'stats': did you mean 'status'", 1),
        ("/answers-without-status/", "GET /answers-without-status/ cannot be sent: .* has no 'status'", 0),
    ],
)
def test_a_broken_response_is_an_error(server: RunServer, path: str, line: str, tracebacks: int) -> None:
    """Whoever fails to answer, view or consumer: the client gets 500 at once, and the log says why, once."""
    since = server.mark()
    assert server.get(path)[0] == 500
    server.mark()
    assert len(server.matching(line, since)) == 1, server.output
    assert len(server.matching("^Traceback", since)) == tracebacks, "\n".join(server.lines[since:])
