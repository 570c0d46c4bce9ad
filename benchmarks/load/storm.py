"""Sockets that come, say one thing, and go; and sockets that only stay."""

from __future__ import annotations

import select
import socket
import sys

from benchmarks.load import frames
from benchmarks.load.control import Control, LoadError, clock
from benchmarks.load.dialects import DIALECTS
from benchmarks.load.echo import TURN
from benchmarks.load.sockets import Arrivals, handshake, open_all
from benchmarks.load.spec import Spec

GOODBYE = frames.masked(frames.CLOSE, (1000).to_bytes(2, "big"))


class Visitor:
    """One socket after another: handshake, one echo, closing handshake."""

    def __init__(self, storm: Storm, number: int) -> None:
        self._storm = storm
        self._number = number
        self._step = self._handshaken
        self.begin()

    def begin(self) -> None:
        """Connect anew."""
        spec = self._storm.spec
        port = spec.ports[self._number % len(spec.ports)]
        self._begun = clock()
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(handshake(port, spec.path))
        self.sock.setblocking(False)
        self._step = self._handshaken
        self._storm.visitors[self.sock.fileno()] = self
        self._storm.poll.register(self.sock.fileno(), select.EPOLLIN)

    def end(self) -> None:
        """Go."""
        del self._storm.visitors[self.sock.fileno()]
        self._storm.poll.unregister(self.sock.fileno())
        self.sock.close()

    def hear(self) -> bool:
        """Go on with what has arrived; return whether a visit is over."""
        try:
            data = self.sock.recv(4096)
        except ConnectionResetError:
            data = b""
        return self._step(data)

    def _handshaken(self, data: bytes) -> bool:
        if not data.startswith(b"HTTP/1.1 101") or not data.endswith(b"\r\n\r\n"):
            raise LoadError(f"a handshake was answered {data[:80]!r}")
        self._storm.control.latencies.append(clock() - self._begun)
        self.sock.send(self._storm.frame)
        self._step = self._echoed
        return False

    def _echoed(self, data: bytes) -> bool:
        if data != self._storm.expected:
            raise LoadError(f"an echo was {data[:80]!r}")
        self.sock.send(GOODBYE)
        self._step = self._closed
        return False

    def _closed(self, data: bytes) -> bool:
        """The server's close frame, or the end of the connection, ends the visit."""
        if data and data[0] & 0x0F != frames.CLOSE:
            raise LoadError(f"a close was answered {data[:80]!r}")
        return True


class Storm:
    """Visitors that come again as soon as they have gone."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.spec = control.spec
        dialect = DIALECTS[self.spec.dialect]
        self.frame = dialect.say(self.spec.path, "x" * self.spec.size, False)
        self.expected = dialect.hear(self.spec.path, "x" * self.spec.size, False)
        self.poll = select.epoll()
        self.visitors: dict[int, Visitor] = {}

    def blow(self, seconds: float) -> int:
        """Let visitors come and go for so long; return how many visits were whole."""
        count, until = 0, clock() + seconds
        while clock() < until:
            for fd, _ in self.poll.poll(TURN):
                visitor = self.visitors[fd]
                if visitor.hear():
                    visitor.end()
                    visitor.begin()
                    count += 1
            self.control.check_time()
        return count


def storm(control: Control) -> None:
    """As many visitors at once as ``sockets`` says; the latency is that of a handshake."""
    gale = Storm(control)
    control.ready()
    for number in range(control.spec.sockets):
        Visitor(gale, number)
    gale.blow(control.spec.warm_up)
    control.latencies.clear()
    begun = control.open_window()
    count = gale.blow(control.spec.seconds)
    seconds = control.close_window() - begun
    control.report(count, seconds=seconds)


def hold(control: Control) -> None:
    """Sockets that are open and silent, but for the answers to pings, until the harness has seen enough.

    The harness says what to watch when all is open, and once more when the window is to end.
    """
    sockets = {sock.fileno(): sock for sock in open_all(control.spec)}
    control.ready(lambda: stay(control.spec, sockets))  # others may still be opening theirs
    control.open_window()
    stay(control.spec, sockets)
    sys.stdin.readline()
    control.close_window()
    control.report(len(sockets))


def stay(spec: Spec, sockets: dict[int, socket.socket]) -> None:
    """Answer pings until there is something to read on standard input."""
    arrivals = Arrivals(DIALECTS[spec.dialect], b"")
    poll = select.epoll()
    for fd in sockets:
        poll.register(fd, select.EPOLLIN)
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == sys.stdin.fileno():
                return
            arrivals.count(sockets[fd], sockets[fd].recv(4096))
