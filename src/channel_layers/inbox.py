"""The reading end of an interface server, and what it knows of groups.

The layer knows which inboxes a group reaches; only the process behind an inbox knows its members. Adds arrive as
entries of the same inbox that messages arrive in, so a group message can never overtake the add before it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from channel_layers.envelope import GAP, GROUP, JOIN, LEAVE, MESSAGE, NOTE, PIECE, Envelope
from channel_layers.names import Keys
from channel_layers.notes import replaces

VACANCY: Final = 10.0
"""Seconds without a local member after which a group's registration is withdrawn."""


class Delivery(NamedTuple):
    """An entry and the reply channels of this process it is for. Kinds: MESSAGE, GROUP, DONE, PIECE, GAP and NOTE."""

    channels: Sequence[str]
    envelope: Envelope


class Inbox(ABC):
    """One inbox of one process; used by a single reader, which also calls every other method.

    ``name`` ends in ``!``. Reply channels are made by :meth:`new_channel`; :meth:`retire` ends the memberships of one
    whose connection is gone but whose events are not settled, :meth:`forget` gives it up: nothing for it is returned
    any more.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self._clock = clock
        self._keys = Keys()
        self._channels: dict[str, bool] = {}  # known reply channels: whether they may be members
        self._members: dict[str, dict[str, None]] = {}
        self._groups: dict[str, set[str]] = {}
        self._vacant: dict[str, float] = {}
        self._sessions: dict[str, bytes] = {}  # of channels that the layer keeps notes of; empty: other notes only
        self._ended: list[str] = []  # channels whose notes are to be dropped

    def new_channel(self) -> str:
        """Return the name of a new reply channel; nobody can guess it and no other connection ever gets it."""
        channel = self.name + next(self._keys)
        self._channels[channel] = True
        return channel

    def retire(self, channel: str) -> None:
        """End the memberships of ``channel``, now and for joins still on their way; it can still be sent to."""
        if channel in self._channels:
            self._channels[channel] = False
        for group in self._groups.pop(channel, ()):
            self._remove(group, channel)

    def forget(self, channel: str) -> None:
        """Give ``channel`` up: its memberships end, and messages for it are discarded from now on."""
        self.retire(channel)
        self._channels.pop(channel, None)
        if self._sessions.pop(channel, None) is not None:
            self._ended.append(channel)

    def holds(self, channel: str) -> bool:
        """Return whether ``channel`` is a reply channel of this inbox that was not given up."""
        return channel in self._channels

    def members(self, group: str) -> tuple[str, ...]:
        """Return the reply channels of this process that are in ``group``."""
        return tuple(self._members.get(group, ()))

    def receive(self, timeout: float | None = None) -> list[Delivery]:
        """Return what has arrived, in order; wait up to ``timeout`` seconds (``None``: for ever) for an entry."""
        return self._resolve_all(self._read(timeout))

    async def areceive(self) -> list[Delivery]:
        """As :meth:`receive`, without a time limit. A call that is cancelled takes nothing."""
        return self._resolve_all(await self._aread())

    def beat(self) -> None:
        """Withdraw groups that have had no member here for a while, and drop notes of connections that have ended.

        Called with each heartbeat of the process.
        """
        now = self._clock()
        for group, since in list(self._vacant.items()):
            if now - since >= VACANCY:
                del self._vacant[group]
                self._withdraw(group, since)
        if self._ended:
            ended, self._ended = self._ended, []
            self._drop_notes(ended)

    def reannounce(self) -> None:
        """Register every group that has members here again, after the layer lost its memory; keep sessions again."""
        for group in self._members:
            self._register(group)
        sessions = {channel: session for channel, session in self._sessions.items() if session}
        if sessions:
            self._keep_sessions(sessions)

    @abstractmethod
    def close(self) -> None:
        """Withdraw the inbox: messages for it are discarded from now on."""

    @abstractmethod
    def _read(self, timeout: float | None) -> list[Envelope]: ...

    @abstractmethod
    async def _aread(self) -> list[Envelope]: ...

    @abstractmethod
    def _register(self, group: str) -> None:
        """Tell the layer that ``group`` reaches this inbox."""

    @abstractmethod
    def _withdraw(self, group: str, since: float) -> None:
        """Tell the layer that ``group`` does not reach this inbox, unless it was registered after ``since``."""

    def _drop_notes(self, channels: Sequence[str]) -> None:
        """Forget what the layer keeps of connections that have ended; for layers that keep notes."""

    def _keep_sessions(self, sessions: Mapping[str, bytes]) -> None:
        """Have the layer keep sessions again, unless it has newer ones; for layers that keep notes."""

    def _refuse(self, envelope: Envelope) -> None:
        """Tell the writer of a piece, whose reply channel was given up, that nobody reads it."""

    def _resolve_all(self, envelopes: list[Envelope]) -> list[Delivery]:
        deliveries: list[Delivery] = []
        for envelope in envelopes:
            if envelope.kind == MESSAGE and envelope.session is None and envelope.target in self._channels:
                # Nearly every entry. Called like this, the constructor takes a third of its time.
                deliveries.append(tuple.__new__(Delivery, ((envelope.target,), envelope)))
            elif channels := self._resolve(envelope):
                deliveries.append(Delivery(channels, envelope))
        return deliveries

    def _resolve(self, envelope: Envelope) -> Sequence[str]:
        kind = envelope.kind
        if kind == JOIN:
            self._add(envelope.target, envelope.owner)
        elif kind == LEAVE:
            self._leave(envelope.target, envelope.owner)
        elif kind == GROUP or kind == GAP:
            return self._reached(envelope)
        elif envelope.target in self._channels:
            if envelope.session is not None or kind == NOTE:
                self._note(envelope)
            return (envelope.target,)
        elif envelope.session is not None or kind == NOTE:  # written when its connection had ended
            self._ended.append(envelope.target)
        elif kind == PIECE:
            self._refuse(envelope)
        return ()

    def _note(self, envelope: Envelope) -> None:
        """Remember that the layer keeps something of a connection, and the newest session."""
        session = envelope.session or b""
        if replaces(session, self._sessions.setdefault(envelope.target, session)):
            self._sessions[envelope.target] = session

    def _reached(self, envelope: Envelope) -> Sequence[str]:
        members = self._members.get(envelope.target)
        if not members:
            self._vacant.setdefault(envelope.target, self._clock())
            return ()
        if envelope.without:
            return [channel for channel in members if channel not in envelope.without]
        return tuple(members)

    def _add(self, group: str, channel: str) -> None:
        if not self._channels.get(channel):  # gone before its join arrived
            if group not in self._members:
                self._vacant[group] = self._clock()  # not earlier than the registration that came with the join
            return
        members = self._members.get(group)
        if members is None:
            members = self._members[group] = {}
            self._vacant.pop(group, None)
            self._register(group)
        members[channel] = None
        self._groups.setdefault(channel, set()).add(group)

    def _leave(self, group: str, channel: str) -> None:
        groups = self._groups.get(channel)
        if groups and group in groups:
            groups.discard(group)
            self._remove(group, channel)

    def _remove(self, group: str, channel: str) -> None:
        members = self._members[group]
        del members[channel]
        if not members:
            del self._members[group]
            self._vacant[group] = self._clock()
