"""The twins of :mod:`channels.generic.websockets` with ``async def`` methods.

They run on the worker's event loop, many at a time, and what they send leaves at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels.channel import Group
from channels.generic.base import AsyncConsumer
from channels.generic.hooks import JsonCodec, WebsocketHooks, closing, reply, reply_channel_of
from channels.generic.streams import StreamHooks, Streams
from channels.message import Message

__all__ = [
    "AsyncJsonWebsocketConsumer",
    "AsyncWebsocketConsumer",
    "AsyncWebsocketDemultiplexer",
    "AsyncWebsocketMultiplexer",
]


class AsyncWebsocketConsumer(WebsocketHooks, AsyncConsumer):
    """As :class:`~channels.generic.websockets.WebsocketConsumer`."""

    async def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Make the socket a member of its groups, then :meth:`connect`."""
        channel = reply_channel_of(message)
        for group in self._groups(message, kwargs):
            await group.aadd(channel)
        message.has_to_accept = True
        await self.connect(message, **kwargs)

    async def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the socket. An override accepts by ``{"accept": True}`` or ``super()``, else the client gets 403."""
        if not self._is_multiplexed:
            await reply_channel_of(message).asend({"accept": True})

    async def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Call :meth:`receive` with what has come."""
        text = message.get("text")
        if text is not None:
            await self.receive(text=text, **kwargs)
        else:
            await self.receive(bytes=message["bytes"], **kwargs)

    if TYPE_CHECKING:

        async def receive(self, *args: Any, **kwargs: Any) -> None:
            """Let subclasses have either signature: that of JSON consumers is another one."""

    else:

        async def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
            """Handle what a client has sent, text or bytes."""

    async def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Call :meth:`disconnect`; the socket has left its groups by now."""
        await self.disconnect(message, **kwargs)

    async def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Handle the end of the socket."""

    async def send(self, text: str | None = None, bytes: bytes | None = None, close: bool | int = False) -> None:
        """As :meth:`WebsocketConsumer.send() <channels.generic.websockets.WebsocketConsumer.send>`."""
        await self._own_channel().asend(reply(text, bytes, close))

    @classmethod
    async def group_send(
        cls,
        name: str,
        text: str | None = None,
        bytes: bytes | None = None,
        close: bool | int = False,
    ) -> None:
        """As :meth:`send`, to every member of the group ``name`` on the default layer."""
        await Group(name).asend(reply(text, bytes, close))

    async def close(self, status: bool | int = True, reason: str | None = None) -> None:
        """Close the socket with ``status``, a close code or ``True`` for 1000; before it is accepted, refuse it."""
        await reply_channel_of(self.message).asend(closing(status, reason))


class AsyncJsonWebsocketConsumer(JsonCodec, AsyncWebsocketConsumer):
    """As :class:`~channels.generic.websockets.JsonWebsocketConsumer`."""

    async def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Decode what has come and call :meth:`receive`; bytes are a :exc:`ValueError`."""
        await self.receive(self._decoded(message), **kwargs)

    async def receive(self, content: Any, **kwargs: Any) -> None:
        """Handle what a client has sent, decoded."""

    async def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]  # as its twin
        """Send ``content`` as JSON."""
        await self._own_channel().asend(reply(self.encode_json(content), close=close))

    @classmethod
    async def group_send(cls, name: str, content: Any, close: bool | int = False) -> None:  # type: ignore[override]  # as its twin
        """As :meth:`send`, to every member of the group ``name`` on the default layer."""
        await Group(name).asend(reply(cls.encode_json(content), close=close))


class AsyncWebsocketMultiplexer(Streams):
    """As :class:`~channels.generic.websockets.WebsocketMultiplexer`."""

    async def send(self, payload: Any) -> None:
        """Send ``payload`` on this stream."""
        await self.reply_channel.asend(self.encode(self.stream, payload))

    @classmethod
    async def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send ``payload`` on ``stream`` to every member of the group ``name``, then close if told to."""
        await Group(name).asend(cls.encode(stream, payload, close))


class AsyncWebsocketDemultiplexer(StreamHooks, AsyncJsonWebsocketConsumer):
    """As :class:`~channels.generic.websockets.WebsocketDemultiplexer`; its ``consumers`` are async ones too."""

    multiplexer_class: type[AsyncWebsocketMultiplexer] = AsyncWebsocketMultiplexer

    async def receive(self, content: Any, **kwargs: Any) -> None:
        """Hand the payload to the consumer of its stream, or raise :exc:`ValueError`."""
        stream, payload = self._addressed(content)
        self.message.content["text"] = self.encode_json(payload)
        await self._call_stream(stream, self.message, kwargs)

    async def connect(self, message: Message, **kwargs: Any) -> None:
        """Let every consumer know, then accept: one that raises ``DenyConnection`` refuses the socket."""
        for stream in self.consumers:
            await self._call_stream(stream, message, kwargs)
        await super().connect(message, **kwargs)

    async def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Let every consumer know."""
        for stream in self.consumers:
            await self._call_stream(stream, message, kwargs)

    async def send(self, *args: Any, **kwargs: Any) -> None:
        """Raise :exc:`~channels.exceptions.SendNotAvailableOnDemultiplexer`."""
        self._refuse_send()

    @classmethod
    async def group_send(cls, *args: Any, **kwargs: Any) -> None:
        """Raise :exc:`~channels.exceptions.SendNotAvailableOnDemultiplexer`."""
        cls._refuse_send()
