"""Messages that come back: as fast as the server allows, and at a rate that does not wait for it."""

from __future__ import annotations

import random
import select
import socket
from collections import deque
from collections.abc import Iterator

from benchmarks.load.control import Control, LoadError, clock
from benchmarks.load.dialects import DIALECTS
from benchmarks.load.sockets import Arrivals, open_all

TURN = 0.5
"""Seconds after which a loop looks at the clock though nothing has arrived."""


class Echo:
    """The sockets of a load, with the message that each sends and the one that it expects."""

    def __init__(self, control: Control) -> None:
        spec = self.spec = control.spec
        self.control = control
        dialect = DIALECTS[spec.dialect]
        text = spec.text or "x" * spec.size
        self.frame = dialect.say(spec.path, text, spec.binary)
        self.expected = dialect.hear(spec.path, spec.answer or text, spec.binary)
        self.arrivals = Arrivals(dialect, self.expected)
        self.sockets = {sock.fileno(): sock for sock in open_all(spec)}
        self.size = max(2048, 2 * len(self.expected))
        self.poll = select.epoll()
        for fd, sock in self.sockets.items():
            sock.setblocking(False)
            self.poll.register(fd, select.EPOLLIN)

    def send(self, sock: socket.socket) -> None:
        """Send the message, at once and whole: there is room, since the one before has been answered."""
        if sock.send(self.frame) != len(self.frame):
            raise LoadError("a socket had no room for a message")


def closed_loop(control: Control) -> None:
    """Every socket sends its next message when the last has come back."""
    echo = Echo(control)
    control.ready()
    sent_at = dict.fromkeys(echo.sockets, clock())
    for sock in echo.sockets.values():
        echo.send(sock)
    turn(echo, sent_at, control.spec.warm_up)
    control.latencies.clear()
    begun = control.open_window()
    count = turn(echo, sent_at, control.spec.seconds)
    seconds = control.close_window() - begun
    drain(echo, sent_at)
    control.report(count * control.spec.weight, seconds=seconds)


def turn(echo: Echo, sent_at: dict[int, float], seconds: float) -> int:
    """Answer every message with the next for so long, and until a round is whole; return how many have come."""
    poll, size, expected, frame = echo.poll.poll, echo.size, echo.expected, echo.frame
    receive = {fd: sock.recv for fd, sock in echo.sockets.items()}
    send = {fd: sock.send for fd, sock in echo.sockets.items()}
    note = echo.control.latencies.append
    count, at_least, until = 0, echo.spec.at_least, clock() + seconds
    while clock() < until or count < at_least:
        for fd, _ in poll(TURN):
            data = receive[fd](size)
            if data == expected or echo.arrivals.count(echo.sockets[fd], data):
                now = clock()
                note(now - sent_at[fd])
                sent_at[fd] = now
                send[fd](frame)
                count += 1
        echo.control.check_time()
    return count


def drain(echo: Echo, waiting: dict[int, float]) -> None:
    """Wait until every message has come back: a figure counts only if nothing was lost."""
    left = set(waiting)
    while left:
        for fd, _ in echo.poll.poll(TURN):
            sock = echo.sockets[fd]
            if echo.arrivals.count(sock, sock.recv(echo.size)):
                left.discard(fd)
        echo.control.check_time()


def open_loop(control: Control) -> None:
    """Messages leave at times that were fixed before, whether or not those before have come back.

    A latency is counted from the time at which the message *should* have left: a server that stops for a second is
    charged for all that should have been sent in it, and not for one message (coordinated omission). Times are those of
    a Poisson process, the same in each run.
    """
    echo = Echo(control)
    control.ready()
    spec = control.spec
    paced = Paced(echo)
    paced.run(spec.warm_up)
    control.latencies.clear()
    control.lags.clear()
    begun = control.open_window()
    count = paced.run(spec.seconds)
    seconds = control.close_window() - begun
    paced.wait_for_rest()
    control.report(count, seconds=seconds)


class Paced:
    """Sends by schedule and matches each answer with the time at which its message was due."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._due = self._schedule(clock())
        self._next = next(self._due)
        self._turns = self._in_turn()
        self._waiting: dict[int, deque[float]] = {fd: deque() for fd in echo.sockets}

    def run(self, seconds: float) -> int:
        """Send what is due for so long; return how many answers have come meanwhile."""
        count, until = 0, clock() + seconds
        while (now := clock()) < until:
            self._send_due(now)
            # epoll waits for whole milliseconds, select for microseconds.
            select.select([self._echo.poll], [], [], max(0.0, min(self._next, until) - clock()))
            count += self._receive()
            self._echo.control.check_time()
        return count

    def wait_for_rest(self) -> None:
        """Wait for the answers that are still under way; they count as latencies."""
        while any(self._waiting.values()):
            select.select([self._echo.poll], [], [], TURN)
            self._receive()
            self._echo.control.check_time()

    def _send_due(self, now: float) -> None:
        while self._next <= now:
            fd = next(self._turns)
            self._echo.send(self._echo.sockets[fd])
            self._waiting[fd].append(self._next)
            self._echo.control.lags.append(clock() - self._next)
            self._next = next(self._due)

    def _receive(self) -> int:
        count = 0
        for fd, _ in self._echo.poll.poll(0):
            sock = self._echo.sockets[fd]
            for _ in range(self._echo.arrivals.count(sock, sock.recv(self._echo.size))):
                self._echo.control.latencies.append(clock() - self._waiting[fd].popleft())
                count += 1
        return count

    def _schedule(self, at: float) -> Iterator[float]:
        chance = random.Random(self._echo.spec.number)
        while True:
            at += chance.expovariate(self._echo.spec.rate)
            yield at

    def _in_turn(self) -> Iterator[int]:
        while True:
            yield from self._echo.sockets
