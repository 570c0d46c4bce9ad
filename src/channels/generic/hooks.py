"""What WebSocket consumers are, be their methods plain or ``async def``: attributes, checks and replies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import cached_property

from channel_layers.names import several
from channels import auth, sessions
from channels.channel import Channel, Content, Group
from channels.consumers import name_of
from channels.exceptions import SendNotAvailableOnDemultiplexer
from channels.generic.base import ConsumerClass, Decorators
from channels.message import Message
from channels.routing import CONNECT, DISCONNECT, RECEIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

MULTIPLEXER = "multiplexer"
"""The keyword argument by which a demultiplexer tells its consumers how to reply."""


class WebsocketHooks(ConsumerClass):
    """Attributes of WebSocket consumers.

    ``http_user`` gives every message the user of the browser's session, ``http_user_and_session`` that session as
    well. ``groups`` is what :meth:`connection_groups` returns. ``strict_ordering`` and ``slight_ordering`` do what
    :func:`~channels.sessions.enforce_ordering` does.
    """

    method_mapping: ClassVar[Mapping[str, str]] = {
        CONNECT: "raw_connect",
        RECEIVE: "raw_receive",
        DISCONNECT: "raw_disconnect",
    }
    http_user: bool = False
    http_user_and_session: bool = False
    strict_ordering: bool = False
    slight_ordering: bool = False
    groups: Sequence[str] | None = None

    @cached_property
    def path(self) -> str:
        """The path of the WebSocket."""
        path: str = self.message["path"]
        return path

    def _decorators(self) -> Decorators:
        """Return the decorators that the attributes ask for, the innermost first."""
        if self.http_user_and_session:
            chosen: Decorators = (auth.channel_session_user, auth.channel_and_http_session_user_from_http)
        elif self.http_user:
            chosen = (auth.channel_session_user, auth.channel_session_user_from_http)
        else:
            chosen = super()._decorators()
        return (*chosen, sessions.enforce_ordering) if self.strict_ordering or self.slight_ordering else chosen

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """Return the names of the groups that a socket is in from its connect on; ``kwargs`` are those of the route."""
        return self.groups or ()

    def _groups(self, message: Message, kwargs: dict[str, Any]) -> list[Group]:
        """Return the groups that :meth:`connection_groups` names, on the layer of ``message``."""
        names = self.connection_groups(**kwargs)
        if isinstance(names, str):
            raise TypeError(f"the groups of {name_of(type(self))} are a list of names, not one name: [{names!r}]")
        return [Group(name, channel_layer=message.channel_layer) for name in several(list(names))]

    @property
    def _is_multiplexed(self) -> bool:
        """Whether a demultiplexer has called it for one of its streams."""
        return MULTIPLEXER in self.kwargs

    def _own_channel(self) -> Channel:
        """Return the reply channel to send on.

        Raises :exc:`~channels.exceptions.SendNotAvailableOnDemultiplexer` where a demultiplexer shares it out.
        """
        if self._is_multiplexed:
            raise SendNotAvailableOnDemultiplexer(
                f"{name_of(type(self))} handles one stream of a demultiplexer, and send() would bypass it: use "
                "multiplexer.send(payload), with the multiplexer that each method gets as a keyword argument"
            )
        return reply_channel_of(self.message)


class JsonCodec:
    """How JSON consumers turn text into content and back; a subclass may know better."""

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """Return the content of ``text``."""
        return json.loads(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """Return ``content`` as text; dates, UUIDs, decimals and lazy strings become what Django makes of them."""
        return _encode(content)

    @classmethod
    def _decoded(cls, message: Message) -> Any:
        """Return the content of what a client has sent; raise :exc:`ValueError` for bytes, and what decoding raises."""
        text = message.get("text")
        if text is None:
            raise ValueError(f"{name_of(cls)} takes text with JSON in it, and this message has none: {message!r}")
        return cls.decode_json(text)


def reply_channel_of(message: Message) -> Channel:
    """Return the reply channel of ``message``; raise :exc:`ValueError` if it has none."""
    channel = message.reply_channel
    if channel is None:
        raise ValueError(f"a message on {message.channel_name!r} without reply channel comes from no WebSocket")
    return channel


def reply(text: str | None = None, data: bytes | None = None, close: bool | int = False) -> Content:
    """Return the message that sends ``text``, else ``data``, and then closes if told to.

    Raises :exc:`ValueError` for neither.
    """
    if text is not None:
        content: Content = {"text": text}
    elif data is not None:
        content = {"bytes": data}
    else:
        raise ValueError("there is nothing to send: give text or bytes; close() closes")
    if close:
        content["close"] = close
    return content


def closing(status: bool | int, reason: str | None) -> Content:
    """Return the message that closes with ``status``, a close code or ``True`` for 1000."""
    return {"close": status, "reason": reason} if reason else {"close": status}


_encode = DjangoJSONEncoder().encode  # made once: json.dumps() makes an encoder for each call that names one
