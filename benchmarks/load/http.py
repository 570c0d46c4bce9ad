"""Requests over connections that stay open, and requests that wait for news."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable, Collection
from contextlib import suppress

from benchmarks.load.control import Control, LoadError, clock
from benchmarks.load.echo import TURN
from benchmarks.load.sockets import connect
from benchmarks.load.spec import Spec

SETTLE = 0.3
"""Seconds in which every server can take the requests that are to wait."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
ROOM = 512 * 1024
"""Of a socket's buffer: a whole request has to fit."""


def request(port: int, path: str, method: str = "GET", body: int = 0) -> bytes:
    """Return a request whose connection stays open."""
    length = f"Content-Length: {body}\r\nContent-Type: application/octet-stream\r\n" if method == "POST" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n{length}\r\n"
    return head.encode() + b"x" * body


class Response:
    """The response that arrives on one connection, as far as it has."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._data = b""
        self._size = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; return whether the response is complete. Raises :exc:`LoadError` for any but the expected one."""
        if not self._data and len(data) == self._size and data.startswith(b"HTTP/1.1 200 "):
            return True  # as long as the one before, which was looked at
        if not data:
            raise LoadError("the server closed a connection")
        self._data += data
        size = measure(self._data)
        if not size or len(self._data) < size:
            return False
        if content_length(self._data[:size]) != self._expected or len(self._data) > size:
            raise LoadError(f"another response was expected than {self._data[:200]!r}")
        self._size = size
        self._data = b""
        return True


def measure(data: bytes) -> int:
    """Return the length of the response that ``data`` begins with, or 0 if that cannot be told yet."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return 0
    head = data[:end]
    if not head.startswith(b"HTTP/1.1 200 "):
        raise LoadError(f"the server answered {head.splitlines()[0].decode(errors='replace')}")
    if CHUNKED.search(head):
        return len(data) if data.endswith(b"\r\n0\r\n\r\n") else 0
    found = LENGTH.search(head)
    if found is None:
        raise LoadError("a response has no length: the connection cannot stay open")
    return end + int(found[1])


def content_length(response: bytes) -> int:
    """Return the length of the content of a complete response."""
    head, _, body = response.partition(b"\r\n\r\n")
    if not CHUNKED.search(head + b"\r\n"):
        return len(body)
    length = at = 0
    while at < len(body):
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        length, at = length + size, end + size + 4
    return length


class Connections:
    """The connections of a load."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.responses: dict[int, Response] = {}
        for number in range(spec.sockets):
            self.open(number)

    def open(self, number: int) -> None:
        """Open one more connection."""
        sock = connect(self.spec.ports[number % len(self.spec.ports)])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        sock.setblocking(False)
        self.sockets[sock.fileno()] = sock
        self.responses[sock.fileno()] = Response(self.spec.expected)
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def send(self, sock: socket.socket, message: bytes) -> None:
        """Send a whole request; there is room, since the one before was answered."""
        if sock.send(message) != len(message):
            raise LoadError("a connection had no room for a request")

    def collect(self, waiting: set[int], control: Control, note: Callable[[], None]) -> None:
        """Wait until each of ``waiting`` has its response, and call ``note`` for each."""
        while waiting:
            for fd, _ in self.poll.poll(TURN):
                if self.responses[fd].feed(self.sockets[fd].recv(1 << 18)):
                    waiting.discard(fd)
                    note()
            control.check_time()


def requests(control: Control) -> None:
    """Every connection sends its next request when it has the response to the last."""
    spec = control.spec
    connections = Connections(spec)
    message = request(spec.ports[0], spec.path, spec.method, spec.body)
    control.ready()
    sent_at = dict.fromkeys(connections.sockets, clock())
    for sock in connections.sockets.values():
        connections.send(sock, message)
    turn(connections, message, sent_at, control, spec.warm_up)
    control.latencies.clear()
    begun = control.open_window()
    count = turn(connections, message, sent_at, control, spec.seconds)
    seconds = control.close_window() - begun
    connections.collect(set(connections.sockets), control, lambda: None)
    control.report(count, seconds=seconds)


def turn(connections: Connections, message: bytes, sent_at: dict[int, float], control: Control, seconds: float) -> int:
    """Answer every response with the next request for so long; return how many have come."""
    poll, note = connections.poll.poll, control.latencies.append
    receive = {fd: sock.recv for fd, sock in connections.sockets.items()}
    feed = {fd: response.feed for fd, response in connections.responses.items()}
    count, until = 0, clock() + seconds
    while clock() < until:
        for fd, _ in poll(TURN):
            if feed[fd](receive[fd](1 << 18)):
                now = clock()
                note(now - sent_at[fd])
                sent_at[fd] = now
                connections.send(connections.sockets[fd], message)
                count += 1
        control.check_time()
    return count


def news(control: Control) -> None:
    """Requests wait until somebody publishes; the latency is from the publication to each response.

    The last connection publishes, by a POST to ``spec.text``. Those who wait have a while to arrive.
    """
    spec = control.spec
    connections = Connections(spec)
    waiting = list(connections.sockets)
    publisher = publication(spec)
    control.ready()
    wake_up(connections, waiting, publisher, control)
    control.latencies.clear()
    begun, count = control.open_window(), 0
    while clock() < begun + spec.seconds:
        count += wake_up(connections, waiting, publisher, control)
    seconds = control.close_window() - begun
    control.report(count, seconds=seconds)


def publication(spec: Spec) -> Callable[[], None]:
    """Return what publishes, over a connection of its own, and reads no answer but the one before."""
    sock = connect(spec.ports[0])
    message = request(spec.ports[0], spec.text, "POST", spec.expected)

    def publish() -> None:
        sock.setblocking(False)
        with suppress(BlockingIOError):
            sock.recv(1 << 16)
        sock.setblocking(True)
        sock.sendall(message)

    return publish


def wake_up(connections: Connections, waiting: Collection[int], publish: Callable[[], None], control: Control) -> int:
    """Let all wait, publish, and note when each has heard of it; return how many there were."""
    spec = connections.spec
    for fd in waiting:
        connections.send(connections.sockets[fd], request(spec.ports[0], spec.path))
    if connections.poll.poll(SETTLE):
        raise LoadError("a request that was to wait was answered before there was news")
    sent_at = clock()
    publish()
    connections.collect(set(waiting), control, lambda: control.latencies.append(clock() - sent_at))
    return len(waiting)
