"""How the in-memory layer writes: each entry goes where it belongs, or waits for room there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from channel_layers import names
from channel_layers.envelope import GROUP, JOIN, LEAVE, MESSAGE, NOTE, Envelope, announced, done, note_name
from channel_layers.exceptions import ChannelFull
from channel_layers.memory.inbox import MemoryInbox
from channel_layers.slot import Refused
from channel_layers.verbs.notes import outdated

if TYPE_CHECKING:
    from channel_layers.memory.layer import MemoryChannelLayer


class Writer:
    """Writes into the queues, inboxes and groups of one layer."""

    def __init__(self, layer: MemoryChannelLayer) -> None:
        self._layer = layer
        self._clock = layer.clock
        self._queues = layer.queues
        self._inboxes = layer.inboxes
        self._groups = layer.groups
        self._waiters = layer.waiters

    # -- under the layer's lock ------------------------------------------------------------------------------------

    def put_all(self, envelopes: Sequence[Envelope]) -> tuple[list[Refused], list[Envelope]]:
        """Put each envelope where it belongs; return what was refused, and what waits for room in an inbox."""
        refused: list[Refused] = []
        crowded: list[Envelope] = []
        touched: set[str] = set()
        now = self._clock()
        for envelope in envelopes:
            envelope.time = now
            if envelope.kind == GROUP:
                self._put_group(envelope, touched)
            elif "!" not in _addressee(envelope):
                self._put_normal(envelope, refused, touched)
            elif _waits_behind(envelope, crowded) or not self._put_inbox(envelope, refused):
                crowded.append(envelope)
        if touched:
            self._waiters.wake(touched)
        return refused, crowded

    def _put_normal(self, envelope: Envelope, refused: list[Refused], touched: set[str]) -> None:
        if envelope.kind == JOIN:
            self._groups.join(envelope.target, envelope.owner, envelope.time)
        elif envelope.kind == LEAVE:
            self._groups.leave(envelope.target, envelope.owner)
        elif (error := self._queues.put(envelope)) is None:
            touched.add(envelope.target)
        else:
            self._layer.losses.raised("channel full")
            refused.append(Refused(envelope, error))

    def _put_inbox(self, envelope: Envelope, refused: list[Refused]) -> bool:
        """Put an entry into the inbox it leads to; ``False`` if a direct send must wait for room."""
        inbox = self._inboxes.get(names.inbox_of(_addressee(envelope)) or "")
        if inbox is None:
            return True  # that process has ended, and the connection with it
        if envelope.kind == MESSAGE and len(inbox.entries) >= self._layer.inbox_capacity:
            return False
        if envelope.kind == JOIN:
            self._groups.join(envelope.target, inbox.name, envelope.time)
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
        self._layer.count_outdated(envelope)
        return True

    def _put_group(self, envelope: Envelope, touched: set[str]) -> None:
        for name in list(self._groups.get(envelope.target, ())):
            if name in envelope.without:
                continue
            if not name.endswith("!"):
                self._put_copy(envelope, name, touched)
            elif (inbox := self._inboxes.get(name)) is None:  # its process has ended
                self._groups.leave(envelope.target, name)
            elif len(inbox.entries) >= self._layer.inbox_capacity:
                inbox.put_gap(envelope.target)
                self._layer.losses.note(
                    "inbox full", f"group {envelope.target!r} was not sent to inbox {name!r}: it is full"
                )
            else:
                inbox.put(envelope)

    def _put_copy(self, envelope: Envelope, channel: str, touched: set[str]) -> None:
        error = self._queues.put(structs.replace(envelope, kind=MESSAGE, target=channel, without=()))
        if error is None:
            touched.add(channel)
        else:
            self._layer.losses.note("channel full", f"group {envelope.target!r} was not sent to a member: {error}")

    # -- outside the lock ------------------------------------------------------------------------------------------

    def write_patiently(self, envelopes: Sequence[Envelope]) -> list[Refused]:
        """Send messages for full inboxes one by one, each as soon as there is room."""
        refused: list[Refused] = []
        deadline = time.monotonic() + self._layer.send_timeout
        for envelope in envelopes:
            error = self._put_patiently(envelope, deadline, refused)
            if error is not None:
                self._layer.losses.raised("inbox full")
                refused.append(Refused(envelope, error))
                if envelope.token:  # the event it carried the end of has ended all the same
                    self._layer.write([done(envelope.target, envelope.token, session=envelope.session)])
        return refused

    def _put_patiently(self, envelope: Envelope, deadline: float, refused: list[Refused]) -> ChannelFull | None:
        while True:
            with self._layer.lock:
                if self._put_inbox(envelope, refused):
                    return None
                inbox = self._inboxes[names.inbox_of(envelope.target) or ""]
                patience = deadline - time.monotonic()
                if patience <= 0:
                    return self._inbox_full(inbox)
            inbox.wait_for_room(patience)

    def _inbox_full(self, inbox: MemoryInbox) -> ChannelFull:
        age = self._clock() - inbox.entries[0].time
        return ChannelFull(inbox.name, len(inbox.entries), self._layer.inbox_capacity, age, "inbox_capacity in CONFIG")


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
