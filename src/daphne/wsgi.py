"""A WSGI application whose requests are answered by workers, for a site that a WSGI server serves already.

It is an interface server without a port: each request goes over a pair of sockets to a server in a thread beside it,
and is treated there as any other.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPResponse, IncompleteRead
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from channel_layers.base import BaseChannelLayer
from daphne.access import Access
from daphne.config import Config
from daphne.http_connection import HttpConnection
from daphne.server import Server, new_event_loop
from daphne.source import Source

Environ: TypeAlias = Mapping[str, Any]
StartResponse: TypeAlias = Callable[..., object]

PIECE_SIZE: Final = 64 * 1024
STOP_TIMEOUT: Final = 15.0
"""Seconds that requests get when the process ends."""
OF_THIS_HOP: Final = frozenset(
    (
        "connection",
        "date",
        "expect",
        "keep-alive",
        "proxy-connection",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers that belong to the WSGI server and its client (PEP 3333, RFC 9110 section 7.6.1)."""
_SAFE: Final = "/!$&'()*+,;=:@~"


class WsgiToAsgiAdapter:
    """Sends requests to workers through ``channel_layer``; 1.x had it as ``asgiref.wsgi.WsgiToAsgiAdapter``.

    Thread-safe and fork-safe; a request keeps a thread of the WSGI server until it is answered. Limits are those of the
    layer's ``server_options``, which ``channels.asgi.get_channel_layer()`` reads from the settings. A handshake of
    a WebSocket cannot pass: it is answered as the request it looks like.
    """

    def __init__(self, channel_layer: BaseChannelLayer) -> None:
        self.channel_layer = channel_layer
        self._lock = threading.Lock()
        self._thread: _ServerThread | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Generator[bytes]:
        """Answer a request as PEP 3333 says.

        The response is cut by an exception where its worker's was; :exc:`ConnectionAbortedError` is raised for a client
        that has left within its body.
        """
        with closing(self._server().connect(_source_of(environ))) as client:
            _send(client, _request_of(environ))
            with HTTPResponse(client, method=environ["REQUEST_METHOD"]) as response:
                response.begin()
                headers = [pair for pair in response.getheaders() if pair[0].lower() not in OF_THIS_HOP]
                start_response(f"{response.status} {response.reason}", headers)
                yield from _parts_of(response)

    def _server(self) -> _ServerThread:
        with self._lock:
            if self._thread is None or self._thread.pid != os.getpid():
                self._thread = _ServerThread(self.channel_layer)
            return self._thread


class _ServerThread:
    """A server that listens nowhere, on a loop of its own, in the process ``pid``."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self.pid = os.getpid()
        self._layer = layer
        self._loop: asyncio.AbstractEventLoop
        self._stop = asyncio.Event()
        self._begun = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="daphne.wsgi", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self._error is not None:
            raise self._error
        atexit.register(self.stop)

    def connect(self, source: Source) -> socket.socket:
        """Return one end of a connection to the server, whose requests come from ``source``."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        asyncio.run_coroutine_threadsafe(self._accept(theirs, source), self._loop).result()
        return ours

    def stop(self) -> None:
        """End the server, unless this is another process."""
        if self.pid == os.getpid() and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_TIMEOUT)

    async def _accept(self, sock: socket.socket, source: Source) -> None:
        await self._loop.connect_accepted_socket(partial(HttpConnection, self._server, source=source), sock)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
            self._error = error
        finally:
            self._begun.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        options = {**self._layer.server_options, "probes": False, "trusted_proxies": ()}
        self._server = Server(self._layer, Config(**options), _log_nothing)
        await self._server.start([])
        self._begun.set()
        await self._stop.wait()
        with suppress(OSError):  # the layer is away, and has said so
            await self._server.stop()


def _log_nothing(access: Access) -> None:
    """Leave the access log to the WSGI server."""


def _source_of(environ: Environ) -> Source:
    client = (environ["REMOTE_ADDR"], int(environ.get("REMOTE_PORT") or 0)) if environ.get("REMOTE_ADDR") else None
    server = (environ["SERVER_NAME"], int(environ["SERVER_PORT"])) if environ.get("SERVER_PORT") else None
    script_name = environ.get("SCRIPT_NAME", "").encode("latin-1").decode("utf-8", "replace")
    return Source(client, server, environ["wsgi.url_scheme"] == "https", root_path=script_name or None)


def _send(client: socket.socket, request: Iterable[bytes]) -> None:
    """Send all of a request, unless it is answered before."""
    for data in request:
        try:
            client.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return


def _request_of(environ: Environ) -> Iterator[bytes]:
    """Yield a request as it is sent: with a body of the length that it says, or in chunks if there is one without."""
    length, stream = environ.get("CONTENT_LENGTH") or "", environ["wsgi.input"]
    if length or not environ.get("wsgi.input_terminated"):
        yield _head_of(environ, f"Content-Length: {length}" if length else "")
        yield from _counted(stream, int(length) if length.isdecimal() else 0)
        return
    data = stream.read(PIECE_SIZE)
    yield _head_of(environ, "Transfer-Encoding: chunked" if data else "")
    while data:
        yield b"%x\r\n%b\r\n" % (len(data), data)
        data = stream.read(PIECE_SIZE)
        if not data:
            yield b"0\r\n\r\n"


def _counted(stream: Any, left: int) -> Iterator[bytes]:
    while left and (data := stream.read(min(left, PIECE_SIZE))):
        left -= len(data)
        yield data
    if left:
        raise ConnectionAbortedError(f"the client has left, {left} bytes before the end of its body")


def _head_of(environ: Environ, framing: str) -> bytes:
    path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"), _SAFE) or "/"
    query = "?" + environ["QUERY_STRING"] if environ.get("QUERY_STRING") else ""
    lines = [f"{environ['REQUEST_METHOD']} {path}{query} HTTP/1.1", *_fields_of(environ), framing, "Connection: close"]
    # A line end within a line, which no WSGI server should let through, is left for the parser to refuse.
    whole = (line.replace("\r\n", "\n") for line in lines if line)
    return "\r\n".join([*whole, "", ""]).encode("latin-1")


def _fields_of(environ: Environ) -> Iterable[str]:
    if not environ.get("HTTP_HOST"):
        yield f"Host: {environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if environ.get("CONTENT_TYPE"):
        yield f"Content-Type: {environ['CONTENT_TYPE']}"
    for key, value in environ.items():
        name = key.removeprefix("HTTP_").replace("_", "-")
        if key.startswith("HTTP_") and name.lower() not in OF_THIS_HOP and (value or name != "HOST"):
            yield f"{name}: {value}"


def _parts_of(response: HTTPResponse) -> Iterator[bytes]:
    while data := response.read1(PIECE_SIZE):
        yield data
    if response.length:
        raise IncompleteRead(b"", response.length)
