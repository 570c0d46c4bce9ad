"""Sessions for consumers: that of the connection, and that of the browser behind it.

The session of a connection rides along with its messages (:mod:`channels.lane_session`), and the layer keeps a copy for
messages that came another way (:mod:`channels.noted_session`), unless ``CHANNEL_SESSION_ENGINE`` names an engine of
Django that is to keep it. That of the browser is in ``SESSION_ENGINE``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import overload

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.signals import setting_changed

from channel_layers.notes import EXTENSION
from channels.decorators import C, Scope, around
from channels.lane_session import ChannelSession
from channels.message import Message
from channels.noted_session import NotedSession
from channels.ordering import OrderScope
from channels.request import AsgiRequest
from channels.session_engines import http_store, reply_channel_store

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
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
    return around(channel_session(consumer), OrderScope(slight, _ensured))


def session_for_reply_channel(name: str) -> SessionBase:
    """Return the session that ``CHANNEL_SESSION_ENGINE``, else ``SESSION_ENGINE``, has for the reply channel ``name``.

    Without ``CHANNEL_SESSION_ENGINE`` the decorators do not use it. Raises :exc:`ValueError` for signed cookies.
    """
    return reply_channel_store(_channel_engine() or settings.SESSION_ENGINE)(name)


class _ChannelScope(Scope):
    def enter(self, message: Message) -> None:
        _ensured(message)

    def leave(self, message: Message, error: BaseException | None) -> None:
        if message.channel_session.modified:
            message.channel_session.save()

    async def aleave(self, message: Message, error: BaseException | None) -> None:
        if message.channel_session.modified:
            await message.channel_session.asave()


class _HttpScope(Scope):
    def enter(self, message: Message) -> None:
        if not hasattr(message, "http_session"):
            message.http_session = _http_session_of(message)

    def leave(self, message: Message, error: BaseException | None) -> None:
        session = message.http_session
        if error is None and session is not None and _is_unsaved(session):
            session.save()

    async def aleave(self, message: Message, error: BaseException | None) -> None:
        session = message.http_session
        if error is None and session is not None and _is_unsaved(session):
            await session.asave()


class _RehydrationScope(Scope):
    def enter(self, message: Message) -> None:
        found, kept = message.http_session, message.channel_session
        if found is None:
            message.http_session = _http_session(kept.get(settings.SESSION_COOKIE_NAME))
        elif found.session_key:
            kept.setdefault(settings.SESSION_COOKIE_NAME, found.session_key)

    async def aenter(self, message: Message) -> None:
        await message.channel_session.akeys()  # an engine reads it here, where that does not block the loop
        self.enter(message)


def _ensured(message: Message) -> SessionBase:
    if not hasattr(message, "channel_session"):
        message.channel_session = _channel_session_of(message)
    return message.channel_session


def _channel_session_of(message: Message) -> SessionBase:
    channel = message.content.get("reply_channel")
    if not channel:
        raise ValueError(f"the message on {message.channel_name!r} has no reply channel, so it has no channel session")
    if _channel_engine():
        return session_for_reply_channel(channel)
    if message.lane is not None:
        return ChannelSession(channel, message.lane, message.channel_layer)
    if EXTENSION in message.channel_layer.extensions:
        return NotedSession(channel, message.channel_layer)
    raise ValueError(
        f"the message on {message.channel_name!r} was sent by a process that does not hold the connection {channel!r}, "
        "and its layer keeps no copy of the channel session: send what the consumer needs in the message, or set "
        "CHANNEL_SESSION_ENGINE"
    )


def _http_session_of(message: Message) -> SessionBase | None:
    try:
        request = AsgiRequest(message)
        key = request.GET.get("session_key") or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    except Exception as error:
        raise ValueError(
            f"the message on {message.channel_name!r} is not like an HTTP request, so it has no HTTP session: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _http_session(key)


def _http_session(key: str | None) -> SessionBase | None:
    # A parameter can hold what no cookie can, and what makes a database raise, such as U+0000.
    if not key or not (key.isascii() and key.isprintable()):
        return None
    session = http_store(settings.SESSION_ENGINE)(key)
    return session if session.session_key else None  # engines refuse keys that are too short to be theirs


def _is_unsaved(session: SessionBase) -> bool:
    # One that was flushed has neither key nor data: the engine has deleted it, and there is nothing to save.
    return session.modified and not session.is_empty()


@cache
def _channel_engine() -> str | None:
    # Kept, because asking for a setting that is not there takes longer than all else in channel_session.
    engine: str | None = getattr(settings, "CHANNEL_SESSION_ENGINE", None)
    return engine


def _forget_channel_engine(**kwargs: object) -> None:
    _channel_engine.cache_clear()


setting_changed.connect(_forget_channel_engine, dispatch_uid="channels.sessions")
