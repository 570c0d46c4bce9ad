"""Requests that a group answers, over real sockets: long polling, and streams of events."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import override_settings
from django.urls import path

from channels import Group
from channels.exceptions import ResponseLater
from channels.handler import AsgiHandler
from channels.sse import END, EventStream, event, last_event_id
from channels.test.liveserver import LiveServer
from tests.channel_layers.redis.server import until
from tests.services import many_files

PATIENCE = 30.0
CROWD = 2000
LAYERS = {"default": {"BACKEND": "channel_layers.memory.MemoryChannelLayer", "ROUTING": []}}


def poll(request: Any) -> HttpResponseBase:
    """Wait for whatever is sent next."""
    Group("waiting").add(request.reply_channel)
    raise ResponseLater


def stream(request: HttpRequest) -> HttpResponseBase:
    """Follow the news."""
    last = int(last_event_id(request) or 0)
    return EventStream(request, ["news"], [event(f"missed {last + 1}", id=last + 1)] if last else ())


urlpatterns = [path("poll/", poll), path("stream/", stream)]


@pytest.fixture
def live() -> Iterator[LiveServer]:
    """A server with a worker, where silence is broken soon."""
    changed = {"ROOT_URLCONF": __name__, "CHANNEL_LAYERS": LAYERS, "CHANNELS": {"PING_INTERVAL": 0.2}}
    with override_settings(**changed), LiveServer("127.0.0.1", serve_static=False) as server:
        yield server


def request(path: str, *lines: str) -> bytes:
    """Return the bytes of a GET."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def test_one_message_answers_two_thousand_who_wait(live: LiveServer) -> None:
    """Each gets a whole response, on a connection that is good for another."""
    [answer] = AsgiHandler.encode_response(HttpResponse("news"))

    async def wait(entered: asyncio.Semaphore) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with entered:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
        writer.write(request("/poll/"))
        return reader, writer

    async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        return head.partition(b"\r\n")[0], await reader.readexactly(4)

    async def scene() -> None:
        entered = asyncio.Semaphore(200)
        crowd = await asyncio.gather(*(wait(entered) for _ in range(CROWD)))
        await asyncio.to_thread(until, lambda: len(Group("waiting").channels()) == CROWD)
        await Group("waiting").asend(answer)
        answers = await asyncio.gather(*(read(reader) for reader, _ in crowd))
        assert set(answers) == {(b"HTTP/1.1 200 OK", b"news")}
        assert Group("waiting").channels() == []
        for _, writer in crowd:
            writer.close()

    with many_files(2 * CROWD + 200):
        asyncio.run(asyncio.wait_for(scene(), PATIENCE))


class Page:
    """A page that follows the stream, by hand."""

    def __init__(self, live: LiveServer, *lines: str) -> None:
        self._sock = socket.create_connection(("127.0.0.1", live.port), timeout=PATIENCE)
        self._file = self._sock.makefile("rb")
        self._sock.sendall(request("/stream/", *lines))
        self.head = list(iter(self._line, b""))

    def next(self) -> bytes:
        """Return the next chunk, an empty one at the end."""
        chunk = self._file.read(int(self._line(), 16))
        assert self._line() == b""
        return chunk

    def events(self, number: int) -> list[bytes]:
        """Return the next events, without comments."""
        found: list[bytes] = []
        while len(found) < number:
            blocks = self.next().split(b"\n\n")  # several may come in one chunk, none in two
            found += [block + b"\n\n" for block in blocks[:-1] if not block.startswith(b":")]
        return found

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self._sock.close()

    def _line(self) -> bytes:
        return self._file.readline().rstrip(b"\r\n")


def test_a_page_follows_a_group(live: LiveServer) -> None:
    """It gets events as they are sent, comments while nothing is, and comes back where it was."""
    page = Page(live)
    assert b"Content-Type: text/event-stream; charset=utf-8" in page.head
    assert page.next() == b":\n\n"
    Group("news").send(event("one", id=1))
    assert page.events(1) == [b"id: 1\ndata: one\n\n"]
    assert page.next().startswith(b":"), "it is kept alive"
    page.close()
    again = Page(live, "Last-Event-ID: 1")
    Group("news").send(event("three", id=3))
    assert again.events(2) == [b"id: 2\ndata: missed 2\n\n", b"id: 3\ndata: three\n\n"]
    Group("news").send(END)
    while chunk := again.next():
        assert chunk.startswith(b":")
    again.close()


def test_a_worker_is_free_while_pages_follow(live: LiveServer) -> None:
    """Its one thread has answered all of them, and goes on."""
    pages = [Page(live) for _ in range(20)]
    assert {page.next() for page in pages} == {b":\n\n"}
    live.wait_until_idle()
    Group("news").send(event("for all"))
    assert {page.events(1)[0] for page in pages} == {b"data: for all\n\n"}
    for page in pages:
        page.close()
