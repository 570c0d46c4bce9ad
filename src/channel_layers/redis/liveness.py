"""Which processes are alive, and which events nobody holds any more."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from channel_layers.envelope import Envelope
from channel_layers.redis import aside, dead, entries
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import Argument, pack
from channel_layers.redis.scripts import ANNOUNCE, FIND_LOST, REAP
from channel_layers.registry import HEARTBEAT_EXPIRY, Announcement

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

SEARCH_SIZE: Final = 100
"""Events that one script looks for: it holds up everybody else meanwhile."""

KEPT_LIFETIME: Final = 7 * 24 * 3600
"""Seconds that messages are kept in a queue whose last reader said so: it may be away for long."""

_TIME: Final = struct.Struct(">d")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Announcement)


def announcing(announcement: Announcement, layer: RedisChannelLayer) -> Exchange[None]:
    """Say that a process is alive, and look for those that are not."""
    keys = layer.keys
    pairs = [key for channel in announcement.channels for key in (keys.queue(channel), keys.bell(channel))]
    data = _encoder.encode(announcement)
    kept = map(keys.queue, announcement.kept)
    command = ANNOUNCE.call([keys.processes, *pairs], announcement.process, layer.process, data, KEPT_LIFETIME, *kept)
    *_, reply = yield Request([command, _reaping(layer)])
    _read(reply, layer)
    layer.losses.report()


def withdrawing(process: str, layer: RedisChannelLayer) -> Exchange[None]:
    """Say that a process has ended; the claims of its slots end with it."""
    (reply,) = yield Request([_reaping(layer, process)])
    _read(reply, layer)


def listing(layer: RedisChannelLayer) -> Exchange[list[Announcement]]:
    """Return the last announcement of every live process."""
    (reply,) = yield Request([_reaping(layer)])
    return _read(reply, layer)


def finding_lost(envelopes: Sequence[Envelope], layer: RedisChannelLayer) -> Exchange[list[Envelope]]:
    """Return those events that are neither queued nor claimed by a live slot; contents of the others live on."""
    shares = [envelopes[i : i + SEARCH_SIZE] for i in range(0, len(envelopes), SEARCH_SIZE)]
    commands = [_search(share, layer) for share in shares]
    replies = (yield Request([*commands, *aside.keeping(envelopes, layer)])) if commands else []
    return [share[place] for share, places in zip(shares, replies, strict=False) for place in places]


def retracting(envelope: Envelope, layer: RedisChannelLayer) -> Exchange[bool]:
    """Take an event out of its queue; return whether it was there."""
    element = entries.queue_element(envelope)
    (removed,) = yield Request([pack("LREM", layer.keys.queue(envelope.target), 1, element)])
    if removed and (commands := aside.deleting([envelope], layer)):
        yield Request(commands)
    return bool(removed)


def _search(envelopes: Sequence[Envelope], layer: RedisChannelLayer) -> bytes:
    keys = layer.keys
    channels = list(dict.fromkeys(envelope.target for envelope in envelopes))
    arguments: list[Argument] = [keys.claims, HEARTBEAT_EXPIRY]
    for envelope in envelopes:
        arguments += (channels.index(envelope.target) + 1, entries.queue_element(envelope))
    return FIND_LOST.call([keys.slots, keys.processes, *map(keys.queue, channels)], *arguments)


def _reaping(layer: RedisChannelLayer, ended: str = "") -> bytes:
    keys = layer.keys
    return REAP.call([keys.processes, keys.slots, keys.dead], *dead.places(layer), HEARTBEAT_EXPIRY, ended)


def _read(reply: Any, layer: RedisChannelLayer) -> list[Announcement]:
    sums, values = reply
    dead.count_sums(sums, layer)
    return [_read_announcement(value) for value in values]


def _read_announcement(value: bytes) -> Announcement:
    (time,) = _TIME.unpack_from(value)
    announcement = _decoder.decode(value[value.index(b"\0", _TIME.size) + 1 :])
    announcement.time = time
    return announcement
