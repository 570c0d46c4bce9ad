"""Requests that come through a WSGI server: what workers are told of them, and how they end."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import IncompleteRead
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from channel_layers.envelope import RAISED, Envelope, done
from channel_layers.exceptions import LayerUnavailable
from channel_layers.memory import MemoryChannelLayer
from daphne.wsgi import WsgiToAsgiAdapter
from tests.channel_layers.redis.server import until

PATIENCE = 10.0
Answer = tuple[str, dict[str, str], bytes]


class Site:
    """A layer whose messages the test takes itself, and an application that is called in threads."""

    def __init__(self, threads: ThreadPoolExecutor, **options: Any) -> None:
        self.layer = MemoryChannelLayer()
        self.layer.server_options = options
        self.application = WsgiToAsgiAdapter(self.layer)
        self._threads = threads

    def ask(self, **environ: Any) -> Future[Answer]:
        """Send a request, and return what will be its status, its headers and its body."""
        environ = {key.replace("wsgi_", "wsgi."): value for key, value in environ.items()}
        setup_testing_defaults(environ)
        return self._threads.submit(self._ask, environ)

    def _ask(self, environ: dict[str, Any]) -> Answer:
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self.application(environ, lambda *given: begun.append(given)))
        [(status, headers)] = begun
        return status, dict(headers), body

    def begin(self) -> tuple[Generator[bytes], Future[bytes]]:
        """Send a request; return the iterator of its response, and what will be its first part."""
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        parts = self.application(environ, lambda status, headers: None)
        return parts, self._threads.submit(next, parts)

    def taken(self) -> dict[str, Any]:
        """Return the next request, as a consumer gets it."""
        _, content = self.layer.receive(["http.request"], block=True, timeout=PATIENCE)
        assert content is not None
        return content

    def body_of(self, content: dict[str, Any]) -> bytes:
        """Return all of a body."""
        body, more = content["body"], bool(content.get("body_channel"))
        while more:
            _, chunk = self.layer.receive([content["body_channel"]], block=True, timeout=PATIENCE)
            assert chunk is not None
            body, more = body + chunk["content"], chunk["more_content"]
        return bytes(body)

    def answer(self, request: dict[str, Any], **reply: Any) -> None:
        """Answer a request."""
        self.layer.send(request["reply_channel"], {"status": 200, "headers": [], "content": b"", **reply})


@pytest.fixture
def new_site() -> Iterator[Callable[..., Site]]:
    """Make sites with limits of their own, which end with the test."""
    sites: list[Site] = []
    with ThreadPoolExecutor() as threads:

        def new(**options: Any) -> Site:
            sites.append(Site(threads, **options))
            return sites[-1]

        yield new
        for site in sites:
            if site.application._thread is not None:
                site.application._thread.stop()
                assert not site.application._thread._thread.is_alive()


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    """A site with the usual limits."""
    return new_site()


def test_a_request_becomes_a_message(site: Site) -> None:
    """Its client and its scheme are those that the WSGI server tells, and so is where the application is mounted."""
    answer = site.ask(
        REQUEST_METHOD="POST",
        SCRIPT_NAME="/mount",
        PATH_INFO="/caf\xc3\xa9 %/",
        QUERY_STRING="a=%20b",
        REMOTE_ADDR="203.0.113.5",
        REMOTE_PORT="4711",
        HTTP_HOST="example.com",
        HTTP_X_TWO_WORDS="caf\xe9",
        HTTP_CONNECTION="keep-alive",
        CONTENT_TYPE="text/plain",
        CONTENT_LENGTH="5",
        wsgi_input=io.BytesIO(b"hello, and no more"),
        wsgi_url_scheme="https",
    )
    content = site.taken()
    assert (content["method"], content["scheme"], content["root_path"]) == ("POST", "https", "/mount")
    assert (content["path"], content["query_string"]) == ("/mount/café %/", b"a=%20b")
    assert (list(content["client"]), list(content["server"])) == (["203.0.113.5", 4711], ["127.0.0.1", 443])
    headers = dict(content["headers"])
    assert headers.pop(b"x-request-id")
    assert headers == {
        b"host": b"example.com",
        b"x-two-words": b"caf\xe9",
        b"content-type": b"text/plain",
        b"content-length": b"5",
        b"connection": b"close",
    }
    assert site.body_of(content) == b"hello"
    site.answer(content, status=201, headers=[(b"X-Own", b"1"), (b"Content-Type", b"text/plain")], content=b"made")
    status, headers, body = answer.result(PATIENCE)
    assert (status, headers.pop("X-Request-ID") != "", body) == ("201 Created", True, b"made")
    assert headers == {"X-Own": "1", "Content-Type": "text/plain", "Content-Length": "4"}


def test_a_request_need_not_say_much(site: Site) -> None:
    """One of HTTP/1.0 has no host; a WSGI server on a Unix socket knows no address."""
    answer = site.ask(HTTP_HOST="", SERVER_PORT="", PATH_INFO="")
    content = site.taken()
    assert (content["path"], content["client"], content["server"], content["root_path"]) == ("/", None, None, "")
    assert dict(content["headers"])[b"host"] == b"127.0.0.1:"
    site.answer(content, headers=[(b"Content-Type", b"text/plain")])
    assert answer.result(PATIENCE)[0] == "200 OK"


@pytest.mark.parametrize("size", [1, 100, 3_000_000])
def test_bodies_without_a_length_have_an_end(site: Site, size: int) -> None:
    """Where the WSGI server says that they have; what it does not know the end of is not read."""
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    asked = {"REQUEST_METHOD": "POST", "wsgi_input": io.BytesIO(data)}
    answer = site.ask(**asked, wsgi_input_terminated=True, **{"wsgi.input_terminated": True})
    content = site.taken()
    assert site.body_of(content) == data
    site.answer(content, headers=[(b"Content-Type", b"text/plain")])
    assert answer.result(PATIENCE)[0] == "200 OK"
    answer = site.ask(**asked)
    content = site.taken()
    assert (content["body"], content.get("body_channel")) == (b"", None)
    site.answer(content, headers=[(b"Content-Type", b"text/plain")])
    answer.result(PATIENCE)


def test_a_response_in_parts_arrives_part_by_part(site: Site) -> None:
    """None waits for the next."""
    parts, first = site.begin()
    content = site.taken()
    site.answer(content, content=b"one", more_content=True)
    assert first.result(PATIENCE) == b"one"
    site.layer.send(content["reply_channel"], {"content": b"two", "more_content": False})
    assert list(parts) == [b"two"]


def test_a_client_that_leaves_is_noticed(site: Site) -> None:
    """Its reply channel leads nowhere any more."""
    parts, first = site.begin()
    content = site.taken()
    site.layer.group_add("all", content["reply_channel"])
    site.answer(content, content=b"one", more_content=True)
    first.result(PATIENCE)
    until(lambda: site.layer.group_channels("all"))
    parts.close()
    until(lambda: not site.layer.group_channels("all"))


def test_a_client_that_leaves_within_its_body_is_noticed(site: Site) -> None:
    """By whoever reads it, and by the WSGI server."""
    answer = site.ask(REQUEST_METHOD="POST", CONTENT_LENGTH="300000", wsgi_input=io.BytesIO(bytes(200_000)))
    content = site.taken()
    with pytest.raises(ConnectionAbortedError, match="100000 bytes before the end"):
        answer.result(PATIENCE)
    _, chunk = site.layer.receive([content["body_channel"]], block=True, timeout=PATIENCE)
    while chunk is not None and not chunk.get("closed"):
        _, chunk = site.layer.receive([content["body_channel"]], block=True, timeout=PATIENCE)
    assert chunk == {"closed": True}


@pytest.mark.parametrize("headers", [[], [(b"Content-Length", b"10")]], ids=["chunks", "length"])
def test_a_response_that_breaks_off_is_no_whole_one(site: Site, headers: list[tuple[bytes, bytes]]) -> None:
    """An exception tells the WSGI server, which cuts the connection."""
    parts, first = site.begin()
    content = site.taken()
    site.answer(content, headers=headers, content=b"begun", more_content=True)
    assert first.result(PATIENCE) == b"begun"
    end: Envelope = done(content["reply_channel"], 1, RAISED)
    site.layer.write([end])
    with pytest.raises((IncompleteRead, ConnectionResetError)):
        next(parts)


def test_limits_are_those_of_the_settings(new_site: Callable[..., Site]) -> None:
    """What is too much is refused before it has arrived, and what takes too long is answered."""
    site = new_site(max_body_size=1000, http_timeout=0.2)
    size = 100_000_000
    answer = site.ask(REQUEST_METHOD="POST", CONTENT_LENGTH=str(size), wsgi_input=io.BytesIO(bytes(size)))
    assert answer.result(PATIENCE)[0].startswith("413 ")
    status, headers, _ = site.ask().result(PATIENCE)
    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "1")


def test_headers_that_are_none_are_refused(site: Site) -> None:
    """Whatever the WSGI server let through."""
    for environ in ({"HTTP_X_OWN": "a\r\nX-Other: b"}, {"HTTP_X_OWN": "a\nb"}, {"QUERY_STRING": "a HTTP/1.1\r\nX: b"}):
        assert site.ask(**environ).result(PATIENCE)[0] == "400 Bad Request"


def test_each_process_has_a_server_of_its_own(site: Site) -> None:
    """One that was forked from it begins with none."""
    site.answer(_asked(site), headers=[(b"Content-Type", b"text/plain")])
    before = site.application._thread
    assert before is not None
    before.pid = -1  # what a fork would change
    site.answer(_asked(site), headers=[(b"Content-Type", b"text/plain")])
    assert site.application._thread is not before
    assert site.application._thread is not None
    before.pid = site.application._thread.pid
    before.stop()


def _asked(site: Site) -> dict[str, Any]:
    site.ask()
    return site.taken()


def test_a_server_that_cannot_start_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the WSGI server, at each request until it can."""

    async def fail(*arguments: object) -> None:
        raise LayerUnavailable("no layer at localhost:6379")

    with monkeypatch.context() as patched:
        patched.setattr(site.layer, "aannounce", fail)
        with pytest.raises(LayerUnavailable, match="no layer at"):
            site.ask().result(PATIENCE)
    answer = site.ask()
    site.answer(site.taken(), headers=[(b"Content-Type", b"text/plain")])
    assert answer.result(PATIENCE)[0] == "200 OK"
