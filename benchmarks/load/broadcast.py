"""Messages to groups, delivered to every member."""

from __future__ import annotations

import select
import sys
from collections import defaultdict

from benchmarks.load.control import Control, LoadError, clock
from benchmarks.load.dialects import DIALECTS
from benchmarks.load.echo import TURN
from benchmarks.load.sockets import Arrivals, open_all

COMPARED = 8
"""Messages that may arrive together and are still compared as one."""


class Members:
    """The members of all groups, and when each message left for its group.

    Of a message to a group each member has one copy, in order: so the number of copies that a member has says which
    message the last of them was, and when it was sent.
    """

    def __init__(self, control: Control) -> None:
        spec = self.spec = control.spec
        self.control = control
        dialect = DIALECTS[spec.dialect]
        self.frame = dialect.say(spec.path, "x" * spec.size, spec.binary)
        expected = dialect.hear(spec.path, "x" * spec.size, spec.binary)
        self.whole = {expected * number: number for number in range(1, COMPARED + 1)}
        self.arrivals = Arrivals(dialect, expected)
        sockets = open_all(spec)
        self.sockets = {sock.fileno(): sock for sock in sockets}
        self.group = {sock.fileno(): number % spec.groups for number, sock in enumerate(sockets)}
        self.copies = dict.fromkeys(self.sockets, 0)
        self.sent_at: dict[int, list[float]] = defaultdict(list)
        self.deliveries = 0
        self.poll = select.epoll()
        for fd, sock in self.sockets.items():
            sock.setblocking(False)
            self.poll.register(fd, select.EPOLLIN)

    @property
    def sent(self) -> int:
        """Messages sent to all groups."""
        return sum(map(len, self.sent_at.values()))

    def send(self) -> None:
        """Send a message to each group, by its first member."""
        for sock in list(self.sockets.values())[: self.spec.groups]:
            self.sent_at[self.group[sock.fileno()]].append(clock())
            if sock.send(self.frame) != len(self.frame):
                raise LoadError("a socket had no room for a message")

    def receive(self) -> None:
        """Count what has arrived, waiting for it for a while."""
        whole, copies, note = self.whole, self.copies, self.control.latencies.append
        for fd, _ in self.poll.poll(TURN):
            sock = self.sockets[fd]
            data = sock.recv(1 << 16)
            count = whole.get(data) or self.arrivals.count(sock, data)
            if count:
                now, sent = clock(), self.sent_at[self.group[fd]]
                for at in sent[copies[fd] : copies[fd] + count]:
                    note(now - at)
                copies[fd] += count
                self.deliveries += count


def broadcast(control: Control) -> None:
    """The next message leaves when every member has the one ``ahead`` before it. Windows begin and end between rounds.

    With several processes, the first sends; the others count, and are told at the end what to wait for.
    """
    members = Members(control)
    control.ready()
    if control.spec.number:
        follow(members)
    else:
        lead(members)


def lead(members: Members) -> None:
    """Send, measure, and wait for the last delivery."""
    spec, control = members.spec, members.control
    rounds(members, spec.warm_up, 1)
    before = members.deliveries
    control.latencies.clear()
    begun = control.open_window()
    rounds(members, spec.seconds, spec.at_least)
    count = members.deliveries - before
    seconds = control.close_window() - begun
    await_all(members, members.sent // spec.groups)
    control.report(count, seconds=seconds, sent=members.sent, rounds=members.sent // spec.groups)


def rounds(members: Members, seconds: float, at_least: int) -> None:
    """Send for so long and so many rounds at least, and end where a round ends, as far as that can be told."""
    done, until = members.deliveries // len(members.sockets), clock() + seconds
    while True:
        complete = members.deliveries // len(members.sockets)
        if clock() >= until and complete - done >= at_least:
            return
        while members.sent // members.spec.groups - complete < members.spec.ahead:
            members.send()
        members.receive()
        members.control.check_time()


def await_all(members: Members, messages: int) -> None:
    """Wait until every member has so many messages; more, or fewer for too long, is an error."""
    while members.deliveries < messages * len(members.sockets):
        members.receive()
        members.control.check_time()
    if set(members.copies.values()) != {messages}:
        raise LoadError("some members have more messages than were sent, others fewer")


def follow(members: Members) -> None:
    """Count deliveries until the harness says how many messages each member should have."""
    while not select.select([sys.stdin], [], [], 0)[0]:
        members.receive()
    members.control.give_time()
    await_all(members, int(sys.stdin.readline()))
    members.control.report_nothing()
