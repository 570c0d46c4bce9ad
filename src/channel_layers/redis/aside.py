"""Long contents of events and requests: they are put aside, and only the rest of the envelope goes through the queue.

A script that handles an element gets all of it, and Redis hashes every byte of what a script gets: on its way through a
queue that happens three times. Whoever has taken an event fetches its content. It is deleted when the claim ends;
where nobody is left to do that, it goes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from channel_layers.body import LIFETIME
from channel_layers.envelope import Envelope
from channel_layers.redis import entries
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack, pack_value

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

GRACE: Final = 60
"""Seconds that a content outlives the last moment at which its event may still be taken."""


def storing(envelopes: Iterable[Envelope], layer: RedisChannelLayer) -> list[bytes]:
    """Return the commands that put aside what is long."""
    lifetime = _lifetime(layer)
    return [pack_value(_key(e, layer), e.content, lifetime) for e in envelopes if entries.is_long(e)]


def keeping(envelopes: Iterable[Envelope], layer: RedisChannelLayer) -> list[bytes]:
    """Return the commands that let the contents of events live on that wait for a worker."""
    lifetime = _lifetime(layer)
    return [pack("EXPIRE", _key(e, layer), lifetime) for e in envelopes if entries.is_long(e)]


def deleting(envelopes: Iterable[Envelope], layer: RedisChannelLayer) -> list[bytes]:
    """Return the command that deletes what is aside of ``envelopes``, if anything is."""
    keys = [_key(envelope, layer) for envelope in envelopes if entries.is_long(envelope)]
    return [pack("UNLINK", *keys)] if keys else []


def fetching(envelopes: Sequence[Envelope], layer: RedisChannelLayer) -> Exchange[set[int]]:
    """Give ``envelopes`` the contents that are aside; return the ``id()`` of those whose content is gone."""
    wanted = [envelope for envelope in envelopes if envelope.run.endswith(entries.ASIDE)]
    if not wanted:
        return set()
    (contents,) = yield Request([pack("MGET", *(_key(envelope, layer) for envelope in wanted))])
    gone = set()
    for envelope, content in zip(wanted, contents, strict=True):
        envelope.run = envelope.run.removesuffix(entries.ASIDE)
        envelope.content = content or b""
        if content is None:
            gone.add(id(envelope))
    return gone


def dropping(channel: str, layer: RedisChannelLayer) -> Exchange[None]:
    """Delete a queue, and what is aside of it."""
    queue = layer.keys.queue(channel)
    (elements,) = yield Request([pack("LRANGE", queue, 0, -1)])
    keys = [_key(envelope, layer) for envelope in _readable(elements) if envelope.run.endswith(entries.ASIDE)]
    yield Request([pack("UNLINK", queue, layer.keys.bell(channel), *keys)])


def _readable(elements: Iterable[bytes]) -> Iterable[Envelope]:
    for element in elements:
        try:
            yield entries.read_element(element)
        except entries.UNREADABLE:
            continue


def _key(envelope: Envelope, layer: RedisChannelLayer) -> str:
    return layer.keys.content(f"{envelope.owner}:{envelope.token}.{envelope.attempt}")


def _lifetime(layer: RedisChannelLayer) -> int:
    return max(int(layer.expiry), LIFETIME) + GRACE
