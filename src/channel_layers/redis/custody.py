"""The custody of the Redis layer: claims on a list of its own, ended one by one by their bytes.

It has no connection: it waits for nothing, so it uses those that everybody writes with.
"""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from channel_layers.envelope import Envelope
from channel_layers.exceptions import LayerUnavailable, may_have_arrived
from channel_layers.redis import dead, entries
from channel_layers.redis.exchange import Exchange, Request
from channel_layers.redis.protocol import pack
from channel_layers.redis.scripts import END, SEND_BACK
from channel_layers.redis.writer import Claim
from channel_layers.slot import Custody, Refused

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer

logger = logging.getLogger("channel_layers")


class RedisCustody(Custody):
    """A custody of the Redis layer. ``name`` is as that of a slot."""

    def __init__(self, layer: RedisChannelLayer, name: str) -> None:
        self.name = name
        self._layer = layer
        self._held: dict[int, tuple[Envelope, bytes]] = {}
        self._unconfirmed: list[bytes] = []  # were to end, and the server may not know it
        self._lock = threading.Lock()

    @property
    def claims(self) -> str:
        """The key of its claim list."""
        return self._layer.keys.claims + self.name

    def hold(self, claimed: Sequence[tuple[Envelope, bytes]]) -> None:
        """Hold claims that a slot has handed over."""
        with self._lock:
            self._held.update({id(envelope): (envelope, element) for envelope, element in claimed})

    def settle(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> list[Refused]:
        """Write ``envelopes`` and end the claims of ``ended``, in one write."""
        return self._layer.connections.run(self._settling(ended, envelopes))

    async def asettle(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> list[Refused]:
        """As :meth:`settle`."""
        return await self._layer.connections.arun(self._settling(ended, envelopes))

    def send_back(self, envelope: Envelope, replacement: Envelope) -> None:
        """End a claim and put ``replacement`` at the end of its queue."""
        self._layer.connections.run(self._sending_back(envelope, replacement))

    def bury(self, envelope: Envelope, reason: str) -> None:
        """End a claim and set the message aside."""
        self._layer.connections.run(self._burying(envelope, reason))

    def close(self) -> None:
        """Give the custody up; what it holds is lost, and counted, or delivered again."""
        if not self._held and not self._unconfirmed:
            return
        try:
            self._layer.connections.run(self._closing())
        except LayerUnavailable:  # then the claims end when this process is found dead
            logger.warning("custody %s could not give up its claims: the layer is away", self.name)

    def _settling(self, ended: Sequence[Envelope], envelopes: Sequence[Envelope]) -> Exchange[list[Refused]]:
        held, unconfirmed = self._taken_out(ended)
        elements = [element for _, element in held] + unconfirmed
        if not elements and not envelopes:
            return []
        try:
            return (yield from self._layer.writer.write(envelopes, self._claim(elements)))
        except LayerUnavailable as error:
            with self._lock:
                self._unconfirmed += elements if may_have_arrived(error) else unconfirmed
            if not may_have_arrived(error):
                self.hold(held)
            raise

    def _taken_out(self, ended: Sequence[Envelope]) -> tuple[list[tuple[Envelope, bytes]], list[bytes]]:
        """Return the claims of ``ended``, and the elements of those that are not known to have ended."""
        with self._lock:
            held = [found for e in ended if (found := self._held.pop(id(e), None)) is not None]
            unconfirmed, self._unconfirmed = self._unconfirmed, []
        return held, unconfirmed

    def _claim(self, elements: Sequence[bytes]) -> Claim:
        ending = END.call([self.claims, self._layer.keys.slots], self.name, *elements)
        return Claim(ending, partial(self._restoring, elements))

    def _restoring(self, elements: Sequence[bytes]) -> list[bytes]:
        if not elements:
            return []
        now = struct.pack(">d", self._layer.clock())
        return [pack("RPUSH", self.claims, *elements), pack("HSET", self._layer.keys.slots, self.name, now)]

    def _sending_back(self, envelope: Envelope, replacement: Envelope) -> Exchange[None]:
        held = self._held.get(id(envelope))
        if held is None:
            return
        keys, channel = self._layer.keys, replacement.target
        element = entries.replacement_of(held[1], replacement, self._layer.clock())
        named = [self.claims, keys.slots, keys.queue(channel), keys.bell(channel)]
        yield Request([SEND_BACK.call(named, self.name, held[1], element)])
        self._held.pop(id(envelope), None)

    def _burying(self, envelope: Envelope, reason: str) -> Exchange[None]:
        held = self._held.get(id(envelope))
        if held is None:
            return
        yield from dead.setting_aside(held[1], reason, self.claims, self.name, self._layer)
        self._held.pop(id(envelope), None)

    def _closing(self) -> Exchange[None]:
        if self._unconfirmed:  # what has ended is not to be delivered again
            yield from self._settling([], [])
        yield from dead.giving_up(self.name, self._layer)
        self._held.clear()
        self._unconfirmed.clear()
