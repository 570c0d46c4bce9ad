"""What ``write`` says to the server: as little as it takes, in as few writes as order allows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from channel_layers.envelope import Envelope, done
from channel_layers.exceptions import ChannelFull
from channel_layers.redis import routing
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack
from channel_layers.redis.routing import GROUPED, JOINING, Batches, Item
from channel_layers.redis.scripts import APPEND, PUSH, UNREGISTER
from channel_layers.slot import Refused

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

LONG: Final = 64 * 1024
"""Bytes of an entry beyond which it has a key of its own, so that what is behind it need not wait for it."""
LONG_LIFETIME: Final = 600
"""Seconds after which a long entry that nobody has read is deleted."""
ROOM_LIFETIME: Final = 60
"""Seconds after which the tokens of senders that no longer wait are deleted."""
QUEUE_GRACE: Final = 60
"""Seconds that a queue with one reader outlives its last message, so that what has expired can be counted."""


class Claim(NamedTuple):
    """The commands that end the claims of a slot, and that make them again while its answers wait for room."""

    release: bytes
    restore: Sequence[bytes]


class Sent(NamedTuple):
    """What became of the items of a write."""

    refused: list[Refused]
    crowded: list[Item]
    orphaned: list[Item]


class Writer:
    """Writes envelopes for one layer."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        self._layer = layer
        self._keys = layer.keys

    def write(self, envelopes: Sequence[Envelope], claim: Claim | None = None) -> Exchange[list[Refused]]:
        """Write ``envelopes`` in order, and then end ``claim``; return those that were refused."""
        now = self._layer.clock()
        for envelope in envelopes:
            envelope.time = now
        found = yield from self._resolved(envelopes)
        *early, last = routing.stages(found)
        sent = Sent([], [], [])
        for stage in early:
            yield from self._send(routing.batched(stage), sent)
            if sent.crowded:
                yield from self._wait_for_room(sent)
        yield from self._send(routing.batched(last), sent, claim)
        if sent.crowded:
            yield from self._wait_for_room(sent, claim)
        if sent.orphaned:
            yield Request([self._unregistration(item) for item in sent.orphaned])
        return sent.refused

    def deliver(self, items: Sequence[Item]) -> Exchange[int]:
        """Send ``items`` that need no room; return how many inboxes they were for that are no more."""
        sent = Sent([], [], [])
        yield from self._send(routing.batched(items), sent)
        if sent.orphaned:
            yield Request([self._unregistration(item) for item in sent.orphaned])
        return len(sent.orphaned)

    def _resolved(self, envelopes: Sequence[Envelope]) -> Exchange[list[Item]]:
        """Return what is to be sent for ``envelopes``, after groups were asked and joins were registered."""
        questions = [routing.question(envelope, self._keys) for envelope in envelopes]
        commands = [question for question in questions if question is not None]
        replies = iter((yield Request(commands)) if commands else ())
        return [
            routing.stored(item, self._keys, LONG) if item.target.endswith("!") else item
            for envelope, question in zip(envelopes, questions, strict=True)
            for item in routing.items(envelope, next(replies) if question is not None else None)
        ]

    def _send(self, batches: Batches, sent: Sent, claim: Claim | None = None) -> Exchange[None]:
        commands = [command for target in batches for command in self._commands(target, batches[target])]
        places = self._places(batches)
        if claim is not None:
            commands.append(claim.release)
        if not commands:
            return
        replies = yield Request(commands)
        for place, (target, batch) in zip(places, batches.items(), strict=True):
            if target.endswith("!"):
                self._read_append(batch, replies[place], sent)
            else:
                self._read_push(batch, replies[place], sent)

    def _places(self, batches: Batches) -> list[int]:
        """Return where among the replies each batch finds its own: entries with a key have commands before it."""
        places, place = [], -1
        for batch in batches.values():
            place += 1 + sum(1 for item in batch if item.key)
            places.append(place)
        return places

    def _commands(self, target: str, batch: Sequence[Item]) -> Iterable[bytes]:
        if not target.endswith("!"):
            return [self._push(target, batch)]
        long = [pack("SET", item.key, item.data, "EX", LONG_LIFETIME) for item in batch if item.key]
        return [*long, self._append(target, batch)]

    def _push(self, channel: str, batch: Sequence[Item]) -> bytes:
        layer = self._layer
        lifetime = int(layer.expiry) + QUEUE_GRACE if "?" in channel else 0
        keys = [self._keys.queue(channel), self._keys.bell(channel)]
        return PUSH.call(keys, layer.capacities[channel], layer.expiry, lifetime, *(item.data for item in batch))

    def _append(self, inbox: str, batch: Sequence[Item]) -> bytes:
        arguments: list[str | bytes] = []
        for item in batch:
            group = item.envelope.target if item.letter in (GROUPED, JOINING) else ""
            arguments += (item.letter, "k" if item.key else "d", item.key or item.data, group)
        keys = [self._keys.stream(inbox), self._keys.gaps(inbox), self._keys.waiting(inbox)]
        return APPEND.call(keys, self._layer.inbox_capacity, ROOM_LIFETIME, *arguments)

    # -- replies ---------------------------------------------------------------------------------------------------

    def _read_push(self, batch: Sequence[Item], reply: Any, sent: Sent) -> None:
        if reply == 0:
            return
        expired, depth, age, places = reply
        channel, losses = batch[0].target, self._layer.losses
        if expired:
            self._layer.count_expired(channel, expired)
        for place in places:
            item = batch[place]
            setting = f"channel_capacity[{channel!r}] in CONFIG"
            error = ChannelFull(channel, depth, self._layer.capacities[channel], max(float(age), 0.0), setting)
            if item.letter == GROUPED:
                losses.count("channel full", f"group {item.envelope.target!r} was not sent to a member: {error}")
            else:
                losses.raised("channel full")
                sent.refused.append(Refused(item.envelope, error))

    def _read_append(self, batch: Sequence[Item], reply: Any, sent: Sent) -> None:
        if reply == 0:
            return
        if reply == -1:  # that process has ended, and its connections with it
            sent.orphaned.extend(item for item in batch if item.registered)
            return
        handled, _, _, skipped = reply
        sent.crowded.extend(batch[handled:])
        for place in skipped:
            item = batch[place]
            detail = f"group {item.envelope.target!r} was not sent to inbox {item.target!r}: it is full"
            self._layer.losses.count("inbox full", detail)

    def _unregistration(self, item: Item) -> bytes:
        return UNREGISTER.call([self._keys.group(item.envelope.target)], item.target, item.registered, 0)

    # -- full inboxes ----------------------------------------------------------------------------------------------

    def _wait_for_room(self, sent: Sent, claim: Claim | None = None) -> Exchange[None]:
        """Send what is crowded one by one, each as soon as there is room, and refuse what finds none in time."""
        deadline = time.monotonic() + self._layer.send_timeout
        if claim is not None and claim.restore:
            yield Request(claim.restore)
        crowded, sent.crowded[:] = sent.crowded[:], []
        for item in crowded:
            error = yield from self._send_patiently(item, sent, deadline)
            if error is not None:
                yield from self._refuse(item, error, sent)
        if claim is not None:
            yield Request([claim.release])

    def _send_patiently(self, item: Item, sent: Sent, deadline: float) -> Exchange[ChannelFull | None]:
        while True:
            *_, reply = yield Request(list(self._commands(item.target, [item])))
            self._read_append([item], reply, sent)
            if not sent.crowded:
                return None
            sent.crowded.clear()
            patience = deadline - time.monotonic()
            if patience <= 0:
                _, depth, age, _ = reply
                setting = "inbox_capacity in CONFIG"
                return ChannelFull(item.target, depth, self._layer.inbox_capacity, max(float(age), 0.0), setting)
            yield Request([pack("BLPOP", self._keys.room(item.target), max(patience, 0.001))], patience)

    def _refuse(self, item: Item, error: ChannelFull, sent: Sent) -> Exchange[None]:
        self._layer.losses.raised("inbox full")
        envelope = item.envelope
        sent.refused.append(Refused(envelope, error))
        if item.key:
            yield Request([pack("UNLINK", item.key)])
        if envelope.token:  # the event it carried the end of has ended all the same
            ending = done(envelope.target, envelope.token, session=envelope.session)
            yield from self._send(routing.batched(routing.items(ending, None)), sent)
