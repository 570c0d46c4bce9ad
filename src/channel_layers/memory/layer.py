"""The channel layer within one process: for ``runserver``, tests, and as the model of what every backend does.

As strict as a networked layer: content is encoded when sent and decoded when received, names and sizes are checked,
queues have capacities, inboxes have limits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec import structs

from channel_layers import names, notes, turns
from channel_layers.base import BaseChannelLayer
from channel_layers.capacity import INBOX_CAPACITY, SEND_TIMEOUT
from channel_layers.dead import DeadLetter
from channel_layers.envelope import Envelope, Piece, queued_again
from channel_layers.memory import dead
from channel_layers.memory.body import MemoryBody
from channel_layers.memory.groups import Groups
from channel_layers.memory.inbox import MemoryInbox
from channel_layers.memory.queues import Queues
from channel_layers.memory.slot import MemoryCustody, MemorySlot
from channel_layers.memory.turns import Turns
from channel_layers.memory.waiters import Waiters
from channel_layers.memory.writer import Writer
from channel_layers.registry import Announcement, alive
from channel_layers.slot import Refused
from channel_layers.turns import Outcome, Step
from channel_layers.verbs.writing import Written


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
        self.groups = Groups()
        self.bodies: dict[str, MemoryBody] = {}
        self.turns = Turns(self.clock)
        self.waiters = Waiters(self.queues)
        self.slots: set[MemorySlot | MemoryCustody] = set()
        self.dead = dead.DeadLetters(self.max_dead_letters, self.clock, self.losses)
        self._processes: dict[str, Announcement] = {}
        self._writer = Writer(self)

    def write(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` in order, waiting for room in a full inbox; return those that were refused."""
        with self.lock:
            refused, crowded = self._writer.put_all(envelopes)
        self.losses.report()
        if crowded:
            refused += self._writer.write_patiently(crowded)
        return refused

    async def awrite(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`write`; only a full inbox costs a thread."""
        with self.lock:
            refused, crowded = self._writer.put_all(envelopes)
        self.losses.report()
        if crowded:
            refused += await asyncio.to_thread(self._writer.write_patiently, crowded)
        return refused

    def start_write(self, envelopes: Sequence[Envelope], written: Written) -> None:
        """As :meth:`awrite`; it is over before this returns, unless an inbox is full."""
        with self.lock:
            refused, crowded = self._writer.put_all(envelopes)
        self.losses.report()
        if crowded:
            super().start_write(crowded, lambda more, error: written(refused + more, error))
        else:
            written(refused, None)

    def open_slot(self, retries: Mapping[str, int] | None = None) -> MemorySlot:
        """Return a new slot to take messages with."""
        slot = MemorySlot(self, retries or {})
        with self.lock:
            self.slots.add(slot)
            self.queues.kept.update(retries or ())
        return slot

    def open_custody(self) -> MemoryCustody:
        """Return a new custody, for claims that slots hand over to it."""
        custody = MemoryCustody(self)
        with self.lock:
            self.slots.add(custody)
        return custody

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

    async def afind_lost(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """As :meth:`find_lost`."""
        return self.find_lost(envelopes)

    def retract(self, envelope: Envelope) -> bool:
        """Take an event back out of its queue; ``False`` if a worker has it already."""
        with self.lock:
            return self.queues.remove(envelope)

    async def aretract(self, envelope: Envelope) -> bool:
        """As :meth:`retract`."""
        return self.retract(envelope)

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

    def dead_letters(self) -> list[DeadLetter]:
        """Return the messages that were set aside, the oldest first."""
        with self.lock:
            return self.dead.all()

    def resend_dead(self, keys: Sequence[str]) -> int:
        """Send dead letters again; return how many there were."""
        return sum(dead.resend(key, self) for key in keys)

    def drop_dead(self, keys: Sequence[str]) -> int:
        """Forget dead letters; return how many there were."""
        with self.lock:
            return self.dead.drop(keys)

    def bury(self, envelope: Envelope, reason: str) -> None:
        """Set a message aside; under the lock."""
        self.dead.add(envelope, reason)

    def flush(self) -> None:
        """Delete every message, dead letter and group."""
        with self.lock:
            self.dead.clear()
            self.queues.clear()
            self.groups.clear()
            self.turns.clear()
            for inbox in self.inboxes.values():
                inbox.clear()
                inbox.notes.clear()
        self._receiver.clear()
