"""What a slot of the Redis layer says to the server."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from channel_layers.envelope import Envelope
from channel_layers.redis.protocol import Argument, pack
from channel_layers.redis.scripts import RELEASE, TAKE

if TYPE_CHECKING:
    from channel_layers.redis.layer import RedisChannelLayer
    from channel_layers.redis.link import Link

Wants: TypeAlias = tuple[tuple[str, int], ...]
"""Channels, and how many messages of each."""

MAX_TAKES: Final = 64
"""Commands that are kept for the next time: making one takes as long as running some consumers, and a slot wants the
same again and again."""
SHORTEST: Final = 0.001
"""Seconds of a wait, at least: to the server, 0 is for ever."""
WAKE_LIFETIME: Final = 60
"""Seconds after which a token is deleted that found nobody waiting."""


class SlotCommands:
    """The commands of the slot ``name``. ``claims`` is the key of its claims, ``wake`` that of what ends its wait."""

    def __init__(self, layer: RedisChannelLayer, name: str, retries: Mapping[str, int]) -> None:
        self.claims = layer.keys.claims + name
        self.wake = layer.keys.wake(name)
        self._layer = layer
        self._name = name
        self._retries = retries
        self._rotation = 0
        self._takes: dict[tuple[Wants, int, int, int], tuple[list[str], bytes]] = {}

    def take(self, wants: Mapping[str, int], limit: int, known: int) -> tuple[list[str], bytes]:
        """Return the channels in the order they are served in this time, and the command that takes from them.

        Its answer leaves out the ``known`` first claims.
        """
        self._rotation += 1
        wanted = tuple([want for want in wants.items() if want[1] > 0])
        key = (wanted, limit, known, self._rotation % max(len(wanted), 1))
        found = self._takes.get(key)
        if found is None:
            if len(self._takes) >= MAX_TAKES:
                self._takes.clear()
            found = self._takes[key] = self._new_take(*key)
        return found

    def _new_take(self, wants: Wants, limit: int, known: int, first: int) -> tuple[list[str], bytes]:
        keys = self._layer.keys
        wanted = dict(wants[first:] + wants[:first])
        pairs = [key for channel in wanted for key in (keys.queue(channel), keys.bell(channel))]
        arguments: list[Argument] = [self._name, known, limit, self._layer.expiry, *wanted.values()]
        if self._retries:
            arguments += (self._retries.get(channel, -1) for channel in wanted)
        return list(wanted), TAKE.call([self.claims, keys.slots, *pairs], *arguments)

    def wait(self, channels: Sequence[str], seconds: float | None) -> bytes:
        """Return the command that waits for a bell of ``channels``, for so many seconds (``None``: for ever)."""
        timeout = 0 if seconds is None else max(seconds, SHORTEST)
        return pack("BLPOP", *map(self._layer.keys.bell, channels), self.wake, timeout)

    def ring(self) -> list[bytes]:
        """Return the commands that end this wait, or else the next one."""
        return [pack("RPUSH", self.wake, ""), pack("EXPIRE", self.wake, WAKE_LIFETIME)]

    def release(self, known: int) -> bytes:
        """Return the command that ends the ``known`` first claims."""
        return RELEASE.call([self.claims, self._layer.keys.slots], self._name, known)

    def restore(self, claimed: Sequence[tuple[Envelope, bytes]]) -> list[bytes]:
        """Return the commands that make claims again which were just ended."""
        if not claimed:
            return []
        elements = [element for _, element in reversed(claimed)]
        now = struct.pack(">d", self._layer.clock())
        return [pack("LPUSH", self.claims, *elements), pack("HSET", self._layer.keys.slots, self._name, now)]


def end_of(lost: Link | None, link: Link) -> list[bytes]:
    """Return what ends by ``link`` a link that the server may not know to be lost, and that may still take.

    Another run of the server has given its number to somebody else. Numbers grow, and tell so where runs are not told.
    """
    if lost is None or lost.run != link.run or not 0 < lost.client_id < link.client_id:
        return []
    return [pack("CLIENT", "KILL", "ID", lost.client_id)]
