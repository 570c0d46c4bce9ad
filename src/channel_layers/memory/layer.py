"""The channel layer within one process: for ``runserver``, tests, and as the model of what every backend does.

As strict as a networked layer: content is encoded when sent and decoded when received, names and sizes are checked,
queues have capacities, inboxes have limits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from msgspec import structs

from channel_layers import names, notes, turns
from channel_layers.base import BaseChannelLayer, Written, outdated
from channel_layers.envelope import (
    GROUP,
    JOIN,
    LEAVE,
    MESSAGE,
    NOTE,
    Envelope,
    Piece,
    announced,
    done,
    note_name,
    queued_again,
)
from channel_layers.exceptions import ChannelFull
from channel_layers.memory.body import MemoryBody
from channel_layers.memory.inbox import MemoryInbox
from channel_layers.memory.queues import Queues
from channel_layers.memory.slot import MemorySlot, Waiter
from channel_layers.memory.turns import Turns
from channel_layers.registry import Announcement, alive
from channel_layers.slot import Refused
from channel_layers.turns import Outcome, Step

INBOX_CAPACITY: Final = 50_000
"""Entries of one inbox; a direct send then waits, a group send skips the inbox and marks the gap."""
SEND_TIMEOUT: Final = 5.0
"""Seconds a direct send waits for room in an inbox before it raises ChannelFull."""


class MemoryChannelLayer(BaseChannelLayer):
    """Queues, inboxes and groups as deques and dicts behind one lock.

    ``inbox_capacity`` and ``send_timeout`` (seconds) bound what waits for an interface server; the other options
    are those of :class:`~channel_layers.base.BaseChannelLayer`.
    """

    crosses_processes: ClassVar[bool] = False
    extensions: ClassVar[list[str]] = [*BaseChannelLayer.extensions, notes.EXTENSION, turns.EXTENSION]

    def __init__(
        self, *, inbox_capacity: int = INBOX_CAPACITY, send_timeout: float = SEND_TIMEOUT, **options: Any
    ) -> None:
        super().__init__(**options)
        self.inbox_capacity = inbox_capacity
        self.send_timeout = send_timeout
        self.lock = threading.Lock()
        self.queues = Queues(self._capacities, self.expiry, self.clock, self.losses)
        self.inboxes: dict[str, MemoryInbox] = {}
        self.groups: dict[str, dict[str, float]] = {}
        self.bodies: dict[str, MemoryBody] = {}
        self.turns = Turns(self.clock)
        self.waiters: dict[MemorySlot, Waiter] = {}
        self.slots: set[MemorySlot] = set()
        self._processes: dict[str, Announcement] = {}

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` in order, waiting for room in a full inbox; return those that were refused."""
        with self.lock:
            refused, crowded = self._put_all(envelopes)
        self.losses.report()
        if crowded:
            refused += self._write_crowded(crowded)
        return refused

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`write`; only a full inbox costs a thread."""
        with self.lock:
            refused, crowded = self._put_all(envelopes)
        self.losses.report()
        if crowded:
            refused += await asyncio.to_thread(self._write_crowded, crowded)
        return refused

    def start_write(self, envelopes: Sequence[Envelope], written: Written) -> None:
        """As :meth:`awrite`; it is over before this returns, unless an inbox is full."""
        with self.lock:
            refused, crowded = self._put_all(envelopes)
        self.losses.report()
        if crowded:
            super().start_write(crowded, lambda more, error: written(refused + more, error))
        else:
            written(refused, None)

    def open_slot(self) -> MemorySlot:
        """Return a new slot to take messages with."""
        slot = MemorySlot(self)
        with self.lock:
            self.slots.add(slot)
        return slot

    def open_inbox(self, kind: str) -> MemoryInbox:
        """Return a new inbox ``<kind>.<process>!`` that this process reads."""
        with self.lock:
            name = names.inbox_name(kind, self.process)
            if name in self.inboxes:  # several servers in one process
                name = names.inbox_name(kind, names.new_process_name())
            inbox = self.inboxes[name] = MemoryInbox(name, self)
            return inbox

    def open_body(self, channel: str) -> MemoryBody:
        """Return the writing end of the body for a reply channel whose beginning was sent."""
        with self.lock:
            body = self.bodies[channel] = MemoryBody(channel, self)
            return body

    def fetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """Take a piece of a body away; the last one ends the body."""
        with self.lock:
            body = self.bodies.get(channel) if piece.more_content else self.bodies.pop(channel, None)
        return body.fetch(piece.key) if body is not None else None

    async def afetch_piece(self, channel: str, piece: Piece) -> bytes | None:
        """As :meth:`fetch_piece`."""
        return self.fetch_piece(channel, piece)

    def close_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """Say that nobody reads a body any more."""
        with self.lock:
            body = self.bodies.pop(channel, None)
        if body is not None:
            body.close()

    async def aclose_body(self, channel: str, unread: Sequence[Piece] = ()) -> None:
        """As :meth:`close_body`."""
        self.close_body(channel, unread)

    def read_note(self, channel: str, name: str) -> bytes | None:
        """Return what is kept of a connection under ``name``."""
        with self.lock:
            inbox = self.inboxes.get(names.inbox_of(names.check_reply_channel(channel)) or "")
            return inbox.notes.get((channel, name)) if inbox is not None else None

    async def aread_note(self, channel: str, name: str) -> bytes | None:
        """As :meth:`read_note`."""
        return self.read_note(channel, name)

    def turn(self, step: Step) -> Outcome:
        """Do one step in the order of a connection's messages."""
        with self.lock:
            outcome, due = self.turns.take(step)
        if due:
            self.write([queued_again(envelope) for envelope in due])
        return outcome

    async def aturn(self, step: Step) -> Outcome:
        """As :meth:`turn`."""
        return self.turn(step)

    def group_channels(self, group: str) -> list[str]:
        """Return the members of ``group``, those whose joins wait in an inbox included."""
        with self.lock:
            reached = list(self.groups.get(names.check_group(group), ()))
            members: list[str] = []
            for name in reached:
                if not name.endswith("!"):
                    members.append(name)
                elif name in self.inboxes:
                    members += self.inboxes[name].members_to_be(group)
        return members

    def find_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Return those events that are neither queued nor claimed by a live slot."""
        with self.lock:
            held = {(e.owner, e.token) for slot in self.slots for e in slot.claimed}
            for channel in {envelope.target for envelope in envelopes}:
                held.update((e.owner, e.token) for e in self.queues[channel])
        return [envelope for envelope in envelopes if (envelope.owner, envelope.token) not in held]

    def retract(self, envelope: Envelope) -> bool:
        """Take an event back out of its queue; ``False`` if a worker has it already."""
        with self.lock:
            return self.queues.remove(envelope)

    def announce(self, announcement: Announcement) -> None:
        """Say that a process is alive."""
        announcement = structs.replace(announcement, time=self.clock())
        with self.lock:
            self._processes[announcement.process] = announcement
            self.queues.expire()
            self.turns.expire()
        self.losses.report()

    async def aannounce(self, announcement: Announcement) -> None:
        """As :meth:`announce`."""
        self.announce(announcement)

    def withdraw(self, process: str) -> None:
        """Say that a process has ended."""
        with self.lock:
            self._processes.pop(process, None)

    async def awithdraw(self, process: str) -> None:
        """As :meth:`withdraw`."""
        self.withdraw(process)

    def processes(self) -> list[Announcement]:
        """Return the last announcement of every live process."""
        with self.lock:
            return alive(self._processes.values(), self.clock())

    async def aprocesses(self) -> list[Announcement]:
        """As :meth:`processes`."""
        return self.processes()

    async def afind_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """As :meth:`find_lost`."""
        return self.find_lost(envelopes)

    async def aretract(self, envelope: Envelope) -> bool:
        """As :meth:`retract`."""
        return self.retract(envelope)

    def drop_queue(self, channel: str) -> None:
        """Delete a queue that nobody will read."""
        with self.lock:
            self.queues.drop(channel)

    async def adrop_queue(self, channel: str) -> None:
        """As :meth:`drop_queue`."""
        self.drop_queue(channel)

    def depth(self, channel: str) -> int:
        """Return how many messages wait in a queue."""
        with self.lock:
            return len(self.queues[channel])

    def flush(self) -> None:
        """Delete every message and group."""
        with self.lock:
            self.queues.clear()
            self.groups.clear()
            self.turns.clear()
            for inbox in self.inboxes.values():
                inbox.clear()
                inbox.notes.clear()
        self._receiver.clear()

    # -- under the lock, for the slots and inboxes too -------------------------------------------------------------

    def _put_all(self, envelopes: Sequence[Envelope]) -> tuple[list[Refused], list[Envelope]]:
        """Put each envelope where it belongs; return what was refused, and what waits for room in an inbox."""
        refused: list[Refused] = []
        crowded: list[Envelope] = []
        touched: set[str] = set()
        now = self.clock()
        for envelope in envelopes:
            envelope.time = now
            if envelope.kind == GROUP:
                self._put_group(envelope, touched)
            elif "!" not in _addressee(envelope):
                self._put_normal(envelope, refused, touched)
            elif _waits_behind(envelope, crowded) or not self._put_inbox(envelope, refused):
                crowded.append(envelope)
        if touched:
            self.wake_takers(touched)
        return refused, crowded

    def _put_normal(self, envelope: Envelope, refused: list[Refused], touched: set[str]) -> None:
        if envelope.kind == JOIN:
            self.groups.setdefault(envelope.target, {})[envelope.owner] = envelope.time
        elif envelope.kind == LEAVE:
            self.leave(envelope.target, envelope.owner)
        elif (error := self.queues.put(envelope)) is None:
            touched.add(envelope.target)
        else:
            self.losses.raised("channel full")
            refused.append(Refused(envelope, error))

    def _put_inbox(self, envelope: Envelope, refused: list[Refused]) -> bool:
        """Put an entry into the inbox it leads to; ``False`` if a direct send must wait for room."""
        inbox = self.inboxes.get(names.inbox_of(_addressee(envelope)) or "")
        if inbox is None:
            return True  # that process has ended, and the connection with it
        if envelope.kind == MESSAGE and len(inbox.entries) >= self.inbox_capacity:
            return False
        if envelope.kind == JOIN:
            self.groups.setdefault(envelope.target, {})[inbox.name] = envelope.time
        if envelope.session is not None and not self._keep(envelope, inbox, refused):
            return True
        inbox.put(envelope if envelope.kind != NOTE else announced(envelope))
        return True

    def _keep(self, envelope: Envelope, inbox: MemoryInbox, refused: list[Refused]) -> bool:
        """Keep what comes with an entry; return whether the entry is still of use."""
        name, session = note_name(envelope), envelope.session
        if name is None or session is None or inbox.keep(envelope.target, name, session):
            return True
        if envelope.kind == NOTE:
            refused.append(Refused(envelope, outdated(envelope)))
            return False
        self.count_outdated(envelope)
        return True

    def _put_group(self, envelope: Envelope, touched: set[str]) -> None:
        for name in list(self.groups.get(envelope.target, ())):
            if name in envelope.without:
                continue
            if not name.endswith("!"):
                self._put_copy(envelope, name, touched)
            elif (inbox := self.inboxes.get(name)) is None:  # its process has ended
                self.leave(envelope.target, name)
            elif len(inbox.entries) >= self.inbox_capacity:
                inbox.put_gap(envelope.target)
                self.losses.note("inbox full", f"group {envelope.target!r} was not sent to inbox {name!r}: it is full")
            else:
                inbox.put(envelope)

    def _put_copy(self, envelope: Envelope, channel: str, touched: set[str]) -> None:
        error = self.queues.put(structs.replace(envelope, kind=MESSAGE, target=channel, without=()))
        if error is None:
            touched.add(channel)
        else:
            self.losses.note("channel full", f"group {envelope.target!r} was not sent to a member: {error}")

    def leave(self, group: str, member: str) -> None:
        """Take a queue or an inbox out of a group."""
        members = self.groups.get(group)
        if members is not None:
            members.pop(member, None)
            if not members:
                del self.groups[group]

    def wake_takers(self, touched: Iterable[str]) -> None:
        """Wake as many waiting slots as it takes to hold what has come, and no more."""
        for channel in touched:
            depth = len(self.queues[channel])
            for slot, waiter in list(self.waiters.items()) if depth else ():
                wanted = min(waiter.wants.get(channel, 0), waiter.limit)
                if wanted:
                    del self.waiters[slot]
                    waiter.wakeup.wake()
                    depth -= wanted
                if depth <= 0:
                    break

    # -- outside the lock ------------------------------------------------------------------------------------------

    def _write_crowded(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Send messages for full inboxes one by one, each as soon as there is room."""
        refused: list[Refused] = []
        deadline = time.monotonic() + self.send_timeout
        for envelope in envelopes:
            error = self._put_patiently(envelope, deadline, refused)
            if error is not None:
                self.losses.raised("inbox full")
                refused.append(Refused(envelope, error))
                if envelope.token:  # the event it carried the end of has ended all the same
                    self.write([done(envelope.target, envelope.token, session=envelope.session)])
        return refused

    def _put_patiently(self, envelope: Envelope, deadline: float, refused: list[Refused]) -> ChannelFull | None:
        while True:
            with self.lock:
                if self._put_inbox(envelope, refused):
                    return None
                inbox = self.inboxes[names.inbox_of(envelope.target) or ""]
                patience = deadline - time.monotonic()
                if patience <= 0:
                    return self._inbox_full(inbox)
            inbox.wait_for_room(patience)

    def _inbox_full(self, inbox: MemoryInbox) -> ChannelFull:
        age = self.clock() - inbox.entries[0].time
        return ChannelFull(inbox.name, len(inbox.entries), self.inbox_capacity, age, "inbox_capacity in CONFIG")


def _addressee(envelope: Envelope) -> str:
    """Return the channel whose queue or inbox an entry goes to: a join goes where its member is."""
    return envelope.owner if envelope.kind in (JOIN, LEAVE) else envelope.target


def _waits_behind(envelope: Envelope, crowded: Sequence[Envelope]) -> bool:
    """Return whether an entry must not pass those that wait for room: a done ends the run that sent them all."""
    if not crowded:
        return False
    return bool(envelope.token) or any(_same_inbox(envelope, earlier) for earlier in crowded)


def _same_inbox(one: Envelope, other: Envelope) -> bool:
    return names.inbox_of(_addressee(one)) == names.inbox_of(_addressee(other))
