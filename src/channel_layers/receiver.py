"""The reading verbs of 1.x, one message a call, on top of slots and inboxes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from channel_layers import codec, names
from channel_layers.envelope import GROUP, MESSAGE, Envelope, done
from channel_layers.exceptions import InvalidName
from channel_layers.inbox import Delivery, Inbox
from channel_layers.unread import Unread

if TYPE_CHECKING:
    from channel_layers.base import BaseChannelLayer
    from channel_layers.slot import Slot

Received = tuple[str, dict[str, Any]] | tuple[None, None]


class Receiver:
    """What :meth:`~channel_layers.base.BaseChannelLayer.receive` and its twin do. Thread-safe."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._unread = Unread()

    def receive(self, channels: Sequence[str], timeout: float | None) -> Received:
        """Return the next message of ``channels``; wait up to ``timeout`` seconds, ``None`` for ever."""
        readable = [names.check_readable(name) for name in names.several(channels)]
        inbox = self._inbox_among(readable)
        message = self._next(readable, inbox)
        if message or not readable:
            return message or (None, None)
        if inbox is not None:
            self._keep(inbox, inbox.receive(timeout))
        else:
            self._take(readable, timeout)
        return self._next(readable, inbox) or (None, None)

    async def areceive(self, channels: Sequence[str], timeout: float | None) -> Received:
        """As :meth:`receive`; a call that is cancelled takes nothing."""
        readable = [names.check_readable(name) for name in names.several(channels)]
        inbox = self._inbox_among(readable)
        message = self._next(readable, inbox)
        if message or not readable:
            return message or (None, None)
        if inbox is not None:
            await self._aread(inbox, timeout)
        else:
            await self._atake(readable, timeout)
        return self._next(readable, inbox) or (None, None)

    def clear(self) -> None:
        """Forget what was read and not returned."""
        self._unread.clear()

    def _inbox_among(self, readable: Sequence[str]) -> Inbox | None:
        name = next((name for name in readable if name.endswith("!")), None)
        if name is None:
            return None
        if len(readable) > 1:
            raise InvalidName(f"an inbox is received from alone, not together with others: {readable!r}")
        inbox = self._layer.find_inbox(name)
        if inbox is None:
            raise InvalidName(f"{name!r} is no inbox of this process; new_channel(pattern) opens one")
        return inbox

    def _next(self, readable: Sequence[str], inbox: Inbox | None) -> tuple[str, dict[str, Any]] | None:
        message = self._unread.pop(readable)
        while message and inbox is not None and not inbox.holds(message[0]):
            message = self._unread.pop(readable)
        return message

    def _take(self, readable: Sequence[str], timeout: float | None) -> None:
        with self._layer.open_slot() as slot:
            taken = slot.take(_one_of_each(readable), 1, timeout)
            slot.settle(dones_of(taken))
        self._unpack(taken)

    async def _atake(self, readable: Sequence[str], timeout: float | None) -> None:
        slot = self._layer.open_slot()
        try:
            taken = await slot.atake(_one_of_each(readable), 1, timeout)
            if taken:
                await self._akeep(taken, slot)
        finally:
            await slot.aclose()

    async def _akeep(self, taken: Sequence[Envelope], slot: Slot) -> None:
        """Settle what was taken and keep it: for the next call, if this one is cancelled meanwhile."""

        async def keep() -> None:
            await slot.asettle(dones_of(taken))
            self._unpack(taken)

        keeping = asyncio.ensure_future(keep())
        try:
            await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait([keeping])
            raise

    def _unpack(self, taken: Iterable[Envelope]) -> None:
        for envelope in taken:
            self._unread.add(envelope.target, [(envelope.target, each) for each in contents_of(envelope)])

    async def _aread(self, inbox: Inbox, timeout: float | None) -> None:
        if timeout == 0:
            # Read and kept in one thread, so that a cancelled call loses nothing.
            await asyncio.to_thread(lambda: self._keep(inbox, inbox.receive(0)))
            return
        try:
            async with asyncio.timeout(timeout):
                deliveries = await inbox.areceive()
        except TimeoutError:
            return
        self._keep(inbox, deliveries)

    def _keep(self, inbox: Inbox, deliveries: Iterable[Delivery]) -> None:
        for channels, envelope in deliveries:
            if envelope.kind in (MESSAGE, GROUP):
                messages = [(channel, codec.decode(envelope.content)) for channel in channels]
                self._unread.add(inbox.name, messages)


def _one_of_each(readable: Sequence[str]) -> dict[str, int]:
    # In random order: every call has a slot of its own, whose rotation would begin at the same channel.
    return dict.fromkeys(random.sample(readable, len(readable)), 1)


def contents_of(envelope: Envelope) -> list[dict[str, Any]]:
    """Return the contents of the messages that travel in one envelope."""
    content = codec.decode(envelope.content)
    return content if isinstance(content, list) else [content]


def dones_of(taken: Iterable[Envelope]) -> list[Envelope]:
    """Return what tells the owners of events that these were read."""
    return [done(envelope.owner, envelope.token) for envelope in taken if envelope.owner]
