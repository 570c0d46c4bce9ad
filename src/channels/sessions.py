"""Sessions for consumers: that of the connection, and that of the browser behind it.

The session of a connection rides along with its messages (:mod:`channels.lane_session`), and the layer keeps a copy for
messages that came another way (:mod:`channels.noted_session`), unless ``CHANNEL_SESSION_ENGINE`` names an engine of
Django that is to keep it. That of the browser is in ``SESSION_ENGINE``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import overload

from channel_layers.notes import EXTENSION, HANDSHAKE
from channels.channel import send_note
from channels.decorators import C, Scope, around
from channels.handshake import kept_handshake
from channels.message import Message
from channels.ordering import OrderScope
from channels.routing import CONNECT
from channels.session_engines import HandshakeSession, HttpSession
from channels.session_sources import (
    channel_session_of,
    http_session_of,
    keep_http_session,
    kept_http_session,
    session_for_reply_channel,
)

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
    "keep_handshake",
    "session_for_reply_channel",
]


def channel_session(consumer: C) -> C:
    """Give a consumer ``message.channel_session``, the session of the connection that the message came from.

    It is a :class:`~django.contrib.sessions.backends.base.SessionBase`; what was changed is saved when the consumer
    ends, also by an exception. Raises :exc:`ValueError` for a message without reply channel, and for one that did not
    come from the interface server that holds the connection where neither the layer keeps notes nor
    ``CHANNEL_SESSION_ENGINE`` is set.
    """
    return around(consumer, _ChannelScope())


def http_session(consumer: C) -> C:
    """Give a consumer ``message.http_session``, the browser's session, or ``None`` where there is none.

    Its key is the GET parameter ``session_key``, else the session cookie; of a WebSocket only the connect message has
    them. What was changed is saved when the consumer returns, not when it raises. A session is never begun, and one in
    a signed cookie can only be read: both is :exc:`ValueError`, as is a message that is not like an HTTP request.
    """
    return around(consumer, _HttpScope())


def channel_and_http_session(consumer: C) -> C:
    """Give a consumer both sessions, on every message of a WebSocket.

    The key of the HTTP session is kept in the channel session, under the name of the session cookie.
    """
    return http_session(channel_session(around(consumer, _RehydrationScope())))


@overload
def enforce_ordering(consumer: C, slight: bool = False) -> C: ...
@overload
def enforce_ordering(consumer: None = None, slight: bool = False) -> Callable[[C], C]: ...
def enforce_ordering(consumer: C | None = None, slight: bool = False) -> C | Callable[[C], C]:
    """Run consumers of one connection in the order of its messages, with ``message.channel_session``.

    The interface server keeps that order for what it sends. A message that came another way waits in the layer, up to
    ``CHANNELS["ORDER_TIMEOUT"]`` seconds, until those before it were handled; with ``slight`` only until the first was.
    Raises :exc:`ValueError` for a message without ``order``, and for one whose ``order`` is no number from 0 on.
    """
    if consumer is None:
        return partial(enforce_ordering, slight=slight)
    return around(channel_session(consumer), OrderScope(slight, channel_session_of))


def keep_handshake(consumer: C) -> C:
    """Have the layer keep the handshake, so that ``message.request`` is complete on all messages of the connection.

    For connect consumers; on other messages it does nothing. It leaves with what the consumer sends, and is fetched
    where a later consumer uses it. Raises :exc:`ValueError` where the layer keeps no notes.
    """
    return around(consumer, _HandshakeScope())


class _ChannelScope(Scope):
    def enter(self, message: Message) -> None:
        channel_session_of(message)

    def leave(self, message: Message, error: BaseException | None) -> None:
        if message.channel_session.modified:
            message.channel_session.save()

    async def aleave(self, message: Message, error: BaseException | None) -> None:
        if message.channel_session.modified:
            await message.channel_session.asave()


class _HttpScope(Scope):
    def enter(self, message: Message) -> None:
        if not hasattr(message, "http_session"):
            message.http_session = http_session_of(message)

    def leave(self, message: Message, error: BaseException | None) -> None:
        if error is None and isinstance(message.http_session, HttpSession | HandshakeSession):
            message.http_session.finish()

    async def aleave(self, message: Message, error: BaseException | None) -> None:
        if error is None and isinstance(message.http_session, HttpSession | HandshakeSession):
            await message.http_session.afinish()


class _RehydrationScope(Scope):
    def enter(self, message: Message) -> None:
        if message.http_session is None:
            message.http_session = kept_http_session(message)
        else:
            keep_http_session(message)

    async def aenter(self, message: Message) -> None:
        await message.channel_session.akeys()  # an engine reads it here, where that does not block the loop
        self.enter(message)


class _HandshakeScope(Scope):
    def enter(self, message: Message) -> None:
        if message.channel_name != CONNECT or message.reply_channel is None:
            return
        if EXTENSION not in message.channel_layer.extensions:
            raise ValueError(f"the layer {message.channel_layer} keeps no handshakes: use message.channel_session")
        send_note(message.reply_channel, HANDSHAKE, kept_handshake(message.content))
