"""What ``write`` says to the server: as little as it takes, in as few writes as order allows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from channel_layers.body import LIFETIME
from channel_layers.envelope import MESSAGE, NOTE, Envelope, announced, done, note_name
from channel_layers.exceptions import AnswerLost, ChannelFull, LayerUnavailable
from channel_layers.redis import aside, entries, routing
from channel_layers.redis.exchange import Exchange, Request, Rest
from channel_layers.redis.keys import Keys
from channel_layers.redis.protocol import Argument, pack, pack_value
from channel_layers.redis.routing import ALWAYS, NOTED, Batches, Parcel
from channel_layers.redis.scripts import APPEND, PUSH, UNREGISTER
from channel_layers.slot import Refused
from channel_layers.verbs.notes import outdated

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

LONG_LIFETIME: Final = 600
"""Seconds after which a long entry that nobody has read is deleted."""
RETRY: Final = 0.05
"""Seconds between two attempts to reach an inbox that a server which has just begun anew does not have yet."""
ROOM_LIFETIME: Final = 60
"""Seconds after which the tokens of senders that no longer wait are deleted."""
NOTES_LIFETIME: Final = 60
"""Seconds that notes outlive the last sign of the process that holds their connections."""
QUEUE_GRACE: Final = 60
"""Seconds that a queue with one reader outlives its last message, so that what has expired can be counted."""


@dataclass
class Claim:
    """The commands that end the claims of a slot, and that make them again while its answers wait for room.

    ``forget`` deletes what was aside of the events. ``rest`` leaves in the same write.
    """

    release: bytes
    restore: Callable[[], Sequence[bytes]]
    forget: Sequence[bytes] = ()
    rest: Rest | None = None


@dataclass
class Prelude:
    """Commands that go in front of a write, in the same request, and what the server answered to them."""

    commands: Sequence[bytes]
    replies: Sequence[Any] = ()


class Crowded(NamedTuple):
    """A parcel that has to wait for room in an inbox, or for the inbox itself."""

    inbox: str
    parcel: Parcel


class Sent(NamedTuple):
    """What became of a write; ``orphaned`` are registrations of inboxes that are no more.

    ``unwanted`` are commands that delete what was aside of refused messages.
    """

    refused: list[Refused]
    crowded: list[Crowded]
    orphaned: list[tuple[str, Parcel]]
    unwanted: list[bytes]


class Writer:
    """Writes envelopes for one layer."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        self._layer = layer
        self._keys = layer.keys

    def write(
        self, envelopes: Sequence[Envelope], claim: Claim | None = None, prelude: Prelude | None = None
    ) -> Exchange[list[Refused]]:
        """Write ``envelopes`` in order, and then end ``claim``; return those that were refused.

        A ``prelude`` needs an envelope to go in front of.
        """
        sent = Sent([], [], [], [])
        answers = yield from self._answers(envelopes)
        first, *others = routing.stages(envelopes, answers)
        yield from self._send(first, sent, None if others else claim, prelude)
        try:
            yield from self._finish(others, sent, claim)
        except LayerUnavailable as error:
            raise AnswerLost(f"{error}; a part of the write was sent") from error
        return sent.refused

    def _finish(self, others: Sequence[Batches], sent: Sent, claim: Claim | None) -> Exchange[None]:
        if sent.crowded:
            yield from self._wait_for_room(sent, None if others else claim)
        for batches in others:
            yield from self._send(batches, sent, claim)
            if sent.crowded:
                yield from self._wait_for_room(sent, claim)
        if sent.orphaned:
            yield from self._unregister(sent)
        if sent.unwanted:
            yield Request(sent.unwanted)

    def deliver(self, batches: Batches) -> Exchange[int]:
        """Send what needs no room; return how many inboxes it was for that are no more."""
        sent = Sent([], [], [], [])
        yield from self._send(batches, sent)
        if sent.orphaned:
            yield from self._unregister(sent)
        return len(sent.orphaned)

    def _answers(self, envelopes: Sequence[Envelope]) -> Exchange[dict[int, Any]]:
        """Ask what has to be known first; return the answers by ``id()`` of the envelope."""
        asking = [envelope for envelope in envelopes if envelope.kind in routing.ASKING]
        asked = [(id(envelope), routing.question(envelope, self._keys)) for envelope in asking]
        questions = {number: command for number, command in asked if command is not None}
        if not questions:
            return {}
        replies = yield Request(list(questions.values()), asks=True)
        return dict(zip(questions, replies, strict=True))

    def _send(
        self, batches: Batches, sent: Sent, claim: Claim | None = None, prelude: Prelude | None = None
    ) -> Exchange[None]:
        if not batches.parcels and claim is None:
            return
        commands = partial(self._commands, batches, claim, prelude)
        replies = yield Request(commands, rest=claim.rest if claim else None)
        if prelude is not None:
            prelude.replies = replies[: len(prelude.commands)]
        last = len(replies) if claim is None else len(replies) - 1 - len(claim.forget)
        # What stores long values was said before.
        for place, (target, parcels) in enumerate(batches.parcels.items(), last - len(batches.parcels)):
            if target.endswith("!"):
                self._read_append(target, parcels, replies[place], sent)
            elif replies[place] != 0:
                self._read_push(target, parcels, replies[place], sent)

    def _commands(self, batches: Batches, claim: Claim | None, prelude: Prelude | None, run: str) -> list[bytes]:
        """Return what is said in the run ``run`` of the server."""
        now = self._layer.clock()
        commands: list[bytes] = []
        stored: list[bytes] = []
        for target, parcels in batches.parcels.items():
            if target.endswith("!"):
                commands.append(self._append(target, parcels, stored))
            else:
                commands.append(self._push(target, parcels, now, run, stored))
        if claim is not None:
            commands += (*claim.forget, claim.release)
        if prelude is not None:
            return [*prelude.commands, *stored, *commands]
        return stored + commands if stored else commands

    def _push(self, channel: str, parcels: Sequence[Parcel], now: float, run: str, stored: list[bytes]) -> bytes:
        """Return the command that appends ``parcels``; what it needs to be stored before goes to ``stored``."""
        layer = self._layer
        lifetime = max(int(layer.expiry), LIFETIME) + QUEUE_GRACE if "?" in channel else 0
        keys = [self._keys.queue(channel), self._keys.bell(channel)]
        elements = [e for parcel in parcels for e in entries.queue_elements(parcel.envelopes, now, run)]
        for parcel in parcels:
            if parcel.size > entries.LONG:
                stored += aside.storing(parcel.envelopes, layer)
        return PUSH.call(keys, layer.capacities[channel], layer.expiry, lifetime, *elements)

    def _append(self, inbox: str, parcels: Sequence[Parcel], stored: list[bytes]) -> bytes:
        """Return the command that appends ``parcels``; what it needs to be stored before goes to ``stored``."""
        arguments: list[Argument] = []
        has_notes = False
        for parcel in parcels:
            noted = [envelope for envelope in parcel.envelopes if envelope.session is not None]
            told = [announced(envelope) for envelope in noted] if parcel.letter == NOTED else parcel.envelopes
            data = entries.encode_entry(told)
            if len(data) > entries.LONG_ENTRY:
                parcel.key = parcel.key or self._keys.entry(inbox, os.urandom(8).hex())
                stored.append(pack_value(parcel.key, data, LONG_LIFETIME))
            arguments += (parcel.letter, "k" if parcel.key else "d", parcel.key or data, parcel.group)
            for envelope in noted:
                has_notes = True
                arguments += note_arguments(envelope.target, note_name(envelope) or "", envelope.session or b"")
        keys = append_keys(inbox, self._keys, has_notes)
        return APPEND.call(keys, self._layer.inbox_capacity, ROOM_LIFETIME, *arguments)

    # -- replies ---------------------------------------------------------------------------------------------------

    def _read_push(self, channel: str, parcels: Sequence[Parcel], reply: Any, sent: Sent) -> None:
        expired, depth, age, places = reply
        losses = self._layer.losses
        if expired:
            self._layer.count_expired(channel, expired)
        pushed = [(envelope, parcel.group) for parcel in parcels for envelope in parcel.envelopes] if places else []
        for place in places:
            envelope, group = pushed[place]
            sent.unwanted.extend(aside.deleting([envelope], self._layer))
            setting = f"channel_capacity[{channel!r}] in CONFIG"
            error = ChannelFull(channel, depth, self._layer.capacities[channel], max(float(age), 0.0), setting)
            if group:
                losses.count("channel full", f"group {group!r} was not sent to a member: {error}")
            else:
                losses.raised("channel full")
                sent.refused.append(Refused(envelope, error))

    def _read_append(self, inbox: str, parcels: Sequence[Parcel], reply: Any, sent: Sent) -> None:
        if reply == 0:
            return
        if reply == -1 and self._layer.connections.connector.is_recovering():
            sent.crowded.extend(Crowded(inbox, parcel) for parcel in parcels)
            return
        if reply == -1:  # that process has ended, and its connections with it
            sent.orphaned.extend((inbox, parcel) for parcel in parcels if parcel.registered)
            return
        handled, _, _, skipped, lost = reply
        sent.crowded.extend(Crowded(inbox, parcel) for parcel in parcels[handled:])
        for place in skipped:
            parcel = parcels[place]
            detail = f"group {parcel.group!r} was not sent to inbox {inbox!r}: it is full"
            self._layer.losses.count("inbox full", detail, len(parcel.envelopes))
        self._read_outdated(parcels, lost, sent)

    def _read_outdated(self, parcels: Sequence[Parcel], lost: Sequence[int], sent: Sent) -> None:
        """Refuse the notes in the places ``lost``; what a session came with was delivered, so that is only counted."""
        noted = [e for parcel in parcels for e in parcel.envelopes if e.session is not None] if lost else []
        for envelope in (noted[place] for place in lost):
            if envelope.kind == NOTE:
                sent.refused.append(Refused(envelope, outdated(envelope)))
            else:
                self._layer.count_outdated(envelope)
        self._layer.losses.report()

    def _unregister(self, sent: Sent) -> Exchange[None]:
        yield Request(
            [
                UNREGISTER.call([self._keys.group(parcel.group)], inbox, parcel.registered, 0)
                for inbox, parcel in sent.orphaned
            ]
        )

    # -- full inboxes ----------------------------------------------------------------------------------------------

    def _wait_for_room(self, sent: Sent, claim: Claim | None = None) -> Exchange[None]:
        """Send what is crowded one by one, each as soon as there is room, and refuse what finds none in time."""
        deadline = time.monotonic() + self._layer.send_timeout
        if claim is not None and (commands := claim.restore()):
            yield Request(commands)
        crowded, sent.crowded[:] = sent.crowded[:], []
        for inbox, parcel in crowded:
            error = yield from self._send_patiently(inbox, parcel, sent, deadline)
            if error is not None:
                yield from self._refuse(inbox, parcel, error, sent)
        if claim is not None:
            yield Request([claim.release])

    def _send_patiently(self, inbox: str, parcel: Parcel, sent: Sent, deadline: float) -> Exchange[ChannelFull | None]:
        while True:
            stored: list[bytes] = []
            command = self._append(inbox, [parcel], stored)
            *_, reply = yield Request([*stored, command])
            self._read_append(inbox, [parcel], reply, sent)
            if not sent.crowded:
                return None
            sent.crowded.clear()
            patience = deadline - time.monotonic()
            if reply == -1:  # nothing tells when the inbox is made again
                yield Request([pack("BLPOP", self._keys.room(inbox), RETRY)], RETRY)
                continue
            if patience <= 0:
                _, depth, age, *_ = reply
                setting = "inbox_capacity in CONFIG"
                return ChannelFull(inbox, depth, self._layer.inbox_capacity, max(float(age), 0.0), setting)
            yield Request([pack("BLPOP", self._keys.room(inbox), max(patience, 0.001))], patience)

    def _refuse(self, inbox: str, parcel: Parcel, error: ChannelFull, sent: Sent) -> Exchange[None]:
        """Give up the messages of ``parcel``; what settles an event is sent all the same: that has ended."""
        if parcel.key:
            yield Request([pack("UNLINK", parcel.key)])
        rest = Batches()
        for envelope in parcel.envelopes:
            if envelope.kind != MESSAGE:
                rest.add(inbox, envelope, ALWAYS)
                continue
            self._layer.losses.raised("inbox full")
            sent.refused.append(Refused(envelope, error))
            if envelope.token:
                rest.add(inbox, done(envelope.target, envelope.token, session=envelope.session), ALWAYS)
        yield from self._send(rest, sent)


def append_keys(inbox: str, keys: Keys, has_notes: bool) -> list[str]:
    """Return the keys that a write to ``inbox`` touches."""
    own = [keys.stream(inbox), keys.gaps(inbox), keys.waiting(inbox)]
    return [*own, keys.notes(inbox)] if has_notes else own


def note_arguments(channel: str, name: str, note: bytes) -> tuple[Argument, ...]:
    """Return what tells a write to keep ``note`` of a connection."""
    return ("n", note_field(channel, name), note, NOTES_LIFETIME)


def note_field(channel: str, name: str) -> str:
    """Return where the notes of an inbox have that of ``channel`` under ``name``."""
    return f"{name} {channel}"
