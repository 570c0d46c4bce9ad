"""Streams that share a WebSocket: their frames, and which consumer handles which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from channel_layers.suggestions import did_you_mean
from channels.channel import Channel, Content
from channels.consumers import Consumer, is_async, name_of
from channels.exceptions import SendNotAvailableOnDemultiplexer
from channels.generic.hooks import MULTIPLEXER, JsonCodec, WebsocketHooks, reply, reply_channel_of
from channels.message import Message

STREAM, PAYLOAD = "stream", "payload"


class Streams:
    """The frames of a multiplexer."""

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """Return ``content`` as text."""
        return JsonCodec.encode_json(content)

    @classmethod
    def encode(cls, stream: str, payload: Any, close: bool | int = False) -> Content:
        """Return the message that carries ``payload`` on ``stream``, and then closes if told to."""
        return reply(cls.encode_json({STREAM: stream, PAYLOAD: payload}), close=close)


class StreamHooks(JsonCodec, WebsocketHooks):
    """Attributes and checks of a demultiplexer; ``consumers`` maps the names of streams to consumers."""

    consumers: ClassVar[Mapping[str, Consumer]] = {}
    multiplexer_class: type[Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for stream, consumer in cls.consumers.items():
            if is_async(consumer) != is_async(cls):
                kinds = ("a plain", "an async") if is_async(cls) else ("an async", "a plain")
                raise TypeError(
                    f"{name_of(cls)}.consumers[{stream!r}] is {kinds[0]} consumer, {name_of(consumer)}, and the class "
                    f"is {kinds[1]} one, so it cannot call it: let both be of one kind"
                )

    def _addressed(self, content: Any) -> tuple[str, dict[str, Any]]:
        """Return stream and payload of a frame; raise :exc:`ValueError` if it cannot be handed on."""
        if not isinstance(content, dict) or STREAM not in content or PAYLOAD not in content:
            raise ValueError(
                f"a frame for {name_of(type(self))} is an object with 'stream' and 'payload', not {_shape(content)}"
            )
        stream, payload = content[STREAM], content[PAYLOAD]
        if not isinstance(stream, str) or stream not in self.consumers:
            known = ", ".join(map(repr, sorted(self.consumers))) or "none"
            hint = did_you_mean(str(stream), self.consumers)
            raise ValueError(
                f"{name_of(type(self))} has no consumer for the stream {stream!r:.100}, only {known}.{hint}"
            )
        if not isinstance(payload, dict):
            raise ValueError(f"the payload of a frame for stream {stream!r} is an object, not {_shape(payload)}")
        return stream, payload

    def _call_stream(self, stream: str, message: Message, kwargs: dict[str, Any]) -> Any:
        """Call the consumer of ``stream``; what an async one returns is to be awaited."""
        multiplexer = self.multiplexer_class(stream, reply_channel_of(message))
        return self.consumers[stream](message, **{**kwargs, MULTIPLEXER: multiplexer})

    @classmethod
    def _refuse_send(cls) -> NoReturn:
        """Raise what tells how to send."""
        raise SendNotAvailableOnDemultiplexer(
            f"{name_of(cls)} shares its socket out to streams: send by the multiplexer that a stream's consumer gets, "
            f"or to a group by {cls.multiplexer_class.__name__}.group_send(name, stream, payload)"
        )


def _shape(content: object) -> str:
    """Return what ``content`` is without what it says: users' data stay out of the log."""
    if isinstance(content, dict):
        return f"one with {', '.join(sorted(map(repr, content)))[:200] or 'nothing in it'}"
    return f"{type(content).__name__}"
