"""WebSocket consumers as classes, and streams that share a socket.

The twins with ``async def`` methods are in :mod:`channels.generic.async_websockets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from channels.channel import Group
from channels.generic.base import BaseConsumer
from channels.generic.hooks import JsonCodec, WebsocketHooks, closing, reply, reply_channel_of
from channels.generic.streams import StreamHooks, Streams
from channels.message import Message

__all__ = ["JsonWebsocketConsumer", "WebsocketConsumer", "WebsocketDemultiplexer", "WebsocketMultiplexer"]


class WebsocketConsumer(WebsocketHooks, BaseConsumer):
    """A class with a method for each event of a WebSocket: :meth:`connect`, :meth:`receive`, :meth:`disconnect`.

    Keyword arguments of the route go to all of them, and to :meth:`connection_groups`.
    """

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Make the socket a member of its groups, then :meth:`connect`."""
        channel = reply_channel_of(message)
        for group in self._groups(message, kwargs):
            group.add(channel)
        message.has_to_accept = True
        self.connect(message, **kwargs)

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the socket. An override accepts by ``{"accept": True}`` or ``super()``, else the client gets 403."""
        if not self._is_multiplexed:
            reply_channel_of(message).send({"accept": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Call :meth:`receive` with what has come."""
        text = message.get("text")
        if text is not None:
            self.receive(text=text, **kwargs)
        else:
            self.receive(bytes=message["bytes"], **kwargs)

    if TYPE_CHECKING:

        def receive(self, *args: Any, **kwargs: Any) -> None:
            """Let subclasses have either signature: that of JSON consumers is another one."""

    else:

        def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
            """Handle what a client has sent, text or bytes."""

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Call :meth:`disconnect`; the socket has left its groups by now."""
        self.disconnect(message, **kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Handle the end of the socket."""

    def send(self, text: str | None = None, bytes: bytes | None = None, close: bool | int = False) -> None:
        """Send text, else bytes, to the client; ``close`` (``True`` or a close code) closes behind it.

        Raises :exc:`ValueError` for neither, and on a stream
        :exc:`~channels.exceptions.SendNotAvailableOnDemultiplexer`.
        """
        self._own_channel().send(reply(text, bytes, close))

    @classmethod
    def group_send(
        cls,
        name: str,
        text: str | None = None,
        bytes: bytes | None = None,
        close: bool | int = False,
    ) -> None:
        """As :meth:`send`, to every member of the group ``name`` on the default layer."""
        Group(name).send(reply(text, bytes, close))

    def close(self, status: bool | int = True, reason: str | None = None) -> None:
        """Close the socket with ``status``, a close code or ``True`` for 1000; before it is accepted, refuse it."""
        reply_channel_of(self.message).send(closing(status, reason))


class JsonWebsocketConsumer(JsonCodec, WebsocketConsumer):
    """A :class:`WebsocketConsumer` whose frames are JSON: override :meth:`receive`, which gets it decoded."""

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Decode what has come and call :meth:`receive`; bytes are a :exc:`ValueError`."""
        self.receive(self._decoded(message), **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:
        """Handle what a client has sent, decoded."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]  # as in 1.x
        """Send ``content`` as JSON."""
        self._own_channel().send(reply(self.encode_json(content), close=close))

    @classmethod
    def group_send(cls, name: str, content: Any, close: bool | int = False) -> None:  # type: ignore[override]  # as in 1.x
        """As :meth:`send`, to every member of the group ``name`` on the default layer."""
        Group(name).send(reply(cls.encode_json(content), close=close))


class WebsocketMultiplexer(Streams):
    """The way back from a stream: what is sent says which stream it is of.

    ``stream`` is its name, ``reply_channel`` that of the socket. A message is a JSON object with the keys ``stream``
    and ``payload``.
    """

    def send(self, payload: Any) -> None:
        """Send ``payload`` on this stream."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send ``payload`` on ``stream`` to every member of the group ``name``, then close if told to."""
        Group(name).send(cls.encode(stream, payload, close))


class WebsocketDemultiplexer(StreamHooks, JsonWebsocketConsumer):
    """Streams that share a WebSocket: each frame goes to the consumer of its stream.

    ``consumers`` maps the name of a stream to a consumer, a class or a function. It is called with the message, whose
    ``text`` is the payload, and beside the keyword arguments of the route with ``multiplexer``, of
    ``multiplexer_class``, to reply with. Connect and disconnect go to all of them.
    """

    multiplexer_class: type[WebsocketMultiplexer] = WebsocketMultiplexer

    def receive(self, content: Any, **kwargs: Any) -> None:
        """Hand the payload to the consumer of its stream.

        Raises :exc:`ValueError` for a frame without stream or payload, a payload that is no object, or a stream that
        has no consumer.
        """
        stream, payload = self._addressed(content)
        self.message.content["text"] = self.encode_json(payload)
        self._call_stream(stream, self.message, kwargs)

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Let every consumer know, then accept: one that raises ``DenyConnection`` refuses the socket."""
        for stream in self.consumers:
            self._call_stream(stream, message, kwargs)
        super().connect(message, **kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Let every consumer know."""
        for stream in self.consumers:
            self._call_stream(stream, message, kwargs)

    def send(self, *args: Any, **kwargs: Any) -> None:
        """Raise :exc:`~channels.exceptions.SendNotAvailableOnDemultiplexer`."""
        self._refuse_send()

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> None:
        """Raise :exc:`~channels.exceptions.SendNotAvailableOnDemultiplexer`."""
        cls._refuse_send()
