"""Messages that the layer on Redis has set aside, and what becomes of claims whose holder has gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from channel_layers.dead import UNFINISHED, DeadLetter, count_orphans, dropping, letter_of
from channel_layers.envelope import MESSAGE, Envelope
from channel_layers.exceptions import ChannelFull, InvalidName
from channel_layers.redis import entries
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import Argument, pack
from channel_layers.redis.scripts import GIVE_UP, RESEND, SET_ASIDE

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer


def listing(layer: RedisChannelLayer) -> Exchange[list[DeadLetter]]:
    """Return the messages that were set aside, the oldest first."""
    (found,) = yield Request([pack("XRANGE", layer.keys.dead, "-", "+")])
    return [_letter(key, fields) for key, fields in found]


def resending(keys: Sequence[str], layer: RedisChannelLayer) -> Exchange[int]:
    """Send dead letters again, one after another; return how many there were."""
    sent = 0
    for key in keys:
        (found,) = yield Request([pack("XRANGE", layer.keys.dead, key, key)])
        for _, fields in found:
            sent += yield from _resending(key, fields, layer)
    return sent


def dropping_letters(keys: Sequence[str], layer: RedisChannelLayer) -> Exchange[int]:
    """Forget dead letters; return how many there were."""
    replies = (yield Request([pack("XDEL", layer.keys.dead, key) for key in keys])) if keys else []
    return sum(replies)


def setting_aside(element: bytes, reason: str, claims: str, holder: str, layer: RedisChannelLayer) -> Exchange[None]:
    """Set aside what ``holder`` has in its list ``claims``."""
    keys = [claims, layer.keys.slots, layer.keys.dead]
    (dropped,) = yield Request([SET_ASIDE.call(keys, holder, element, reason, layer.max_dead_letters)])
    count_dropped(dropped, layer)


def readable(elements: Sequence[bytes], claims: str, holder: str, layer: RedisChannelLayer) -> Exchange[list[bytes]]:
    """Return those of ``elements`` that can be read; the others are set aside, so that they are in nobody's way."""
    good: list[bytes] = []
    for element in elements:
        try:
            entries.read_element(element)
        except entries.UNREADABLE as error:
            reason = f"it is no message of this layer: {error}"
            yield from setting_aside(element, reason, claims, holder, layer)
            layer.losses.count("unreadable", f"something was taken from a queue and set aside: {reason}")
        else:
            good.append(element)
    return good


def giving_up(slot: str, layer: RedisChannelLayer) -> Exchange[None]:
    """End all claims of a slot or a custody that is closed."""
    (sums,) = yield Request([GIVE_UP.call([layer.keys.slots, layer.keys.dead], *places(layer), slot)])
    count_sums(sums, layer)


def places(layer: RedisChannelLayer) -> list[Argument]:
    """Return what scripts are told that end the claims of others."""
    keys = layer.keys
    return [keys.claims, keys.queues, keys.bells, layer.max_dead_letters, UNFINISHED]


def count_sums(sums: Sequence[int], layer: RedisChannelLayer) -> None:
    """Count what a script says has become of claims whose holder has gone."""
    *orphans, dropped = sums
    count_orphans(layer.losses, *orphans)
    count_dropped(dropped, layer)


def count_dropped(dropped: int, layer: RedisChannelLayer) -> None:
    """Count dead letters that had to go for others."""
    if dropped:
        layer.losses.count("dead letter dropped", dropping(layer.max_dead_letters), dropped)


def _resending(key: str, fields: Sequence[bytes], layer: RedisChannelLayer) -> Exchange[int]:
    envelope = _read(fields)
    if envelope is None:
        raise InvalidName(f"dead letter {key!r} cannot be sent again: nothing tells the channel it is for")
    channel, keys = envelope.target, layer.keys
    again = structs.replace(envelope, kind=MESSAGE, redelivered=0, attempt=0)
    call = RESEND.call(
        [keys.dead, keys.queue(channel), keys.bell(channel)],
        *(key, layer.capacities[channel], entries.queue_element(again)),
    )
    (reply,) = yield Request([call])
    if isinstance(reply, list):
        depth, age = reply
        setting = f"channel_capacity[{channel!r}] in CONFIG"
        raise ChannelFull(channel, depth, layer.capacities[channel], max(float(age), 0.0), setting)
    return int(reply)


def _letter(key: bytes, fields: Sequence[bytes]) -> DeadLetter:
    envelope, reason = _read(fields), _named(fields)[b"r"].decode()
    time = entries.entry_time(key)
    if envelope is None:
        return DeadLetter(key.decode(), "", reason, time, _named(fields)[b"e"])
    return letter_of(key.decode(), envelope, reason, time)


def _read(fields: Sequence[bytes]) -> Envelope | None:
    try:
        return entries.read_element(_named(fields)[b"e"])
    except entries.UNREADABLE:
        return None


def _named(fields: Sequence[bytes]) -> dict[bytes, Any]:
    return dict(zip(fields[::2], fields[1::2], strict=True))
