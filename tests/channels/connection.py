"""A stand-in for the interface server's side of one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from channel_layers.memory import MemoryChannelLayer
from channels.consumers import is_async
from channels.message import LaneState, Message


class Connection:
    """Makes the messages of one connection, and keeps its session between two of them as its lane does."""

    def __init__(self, channel: str = "websocket.send.tests!1", session: bytes | None = None) -> None:
        self.channel = channel
        self.session = session
        self.layer = MemoryChannelLayer()
        self.order = 0

    def message(self, channel: str = "websocket.receive", **content: Any) -> Message:
        """Return the next event, with ``content`` above what an event always has."""
        content = {"reply_channel": self.channel, "path": "/", "order": self.order, **content}
        self.order += 1
        return Message(content, channel, self.layer, LaneState(self.session))

    def run(self, consumer: Callable[..., Any], channel: str = "websocket.receive", **content: Any) -> Message:
        """Call ``consumer``, of either kind, with the next event and return that; keep the session it gives back."""
        message = self.message(channel, **content)
        assert message.lane is not None
        try:
            if is_async(consumer):
                asyncio.run(_awaited(consumer, message))
            else:
                consumer(message)
        finally:
            if message.lane.changed:
                self.session = message.lane.session
        return message


async def _awaited(consumer: Callable[..., Any], message: Message) -> None:
    await consumer(message)
