"""Where the sessions of a message are: that of its connection, and that of the browser behind it."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.signals import setting_changed
from django.http import HttpRequest

from channel_layers.notes import EXTENSION
from channels.lane_session import ChannelSession
from channels.noted_session import NotedSession
from channels.request import AsgiRequest
from channels.routing import CONNECT
from channels.session_engines import (
    HandshakeSession,
    HttpSession,
    browser_session,
    guard,
    has_custom_middleware,
    reply_channel_store,
)

if TYPE_CHECKING:
    from channels.message import Message

SEEN: Final = ("HTTP_USER_AGENT", "REMOTE_ADDR")
"""What sessions of a middleware that is not Django's want to know of a browser, on later messages as well."""
SEEN_KEY: Final = "_http_session_seen"
"""Where the channel session has that."""
_KEY_SOURCES: Final = ("headers", "query_string")
"""Where a message has the key of an HTTP session."""


def session_for_reply_channel(name: str) -> SessionBase:
    """Return the session that ``CHANNEL_SESSION_ENGINE``, else ``SESSION_ENGINE``, has for the reply channel ``name``.

    Without ``CHANNEL_SESSION_ENGINE`` the decorators do not use it. Raises :exc:`ValueError` for signed cookies.
    """
    return reply_channel_store(_channel_engine() or settings.SESSION_ENGINE)(name)


def channel_session_of(message: Message) -> SessionBase:
    """Return ``message.channel_session``; made if there is none, or :exc:`ValueError` if there can be none."""
    if not hasattr(message, "channel_session"):
        message.channel_session = _new_channel_session(message)
    return message.channel_session


def http_session_of(message: Message) -> SessionBase | None:
    """Return the browser's session whose key ``message`` has, ``None`` if it has none.

    Raises :exc:`ValueError` for a message that is not like an HTTP request.
    """
    if message.content.keys().isdisjoint(_KEY_SOURCES) and "path" in message.content:
        return None  # as on all messages of a WebSocket but the first
    try:
        request = message.request if message.channel_name == CONNECT else AsgiRequest(message)
        key = key_in(request)
    except Exception as error:
        raise ValueError(
            f"the message on {message.channel_name!r} is not like an HTTP request, so it has no HTTP session: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _usable(open_http_session(request, key)) if key else None


def kept_http_session(message: Message) -> SessionBase | None:
    """Return the browser's session whose key is in the channel session of ``message``, ``None`` if there is none."""
    kept = channel_session_of(message)
    key = kept.get(settings.SESSION_COOKIE_NAME)
    if not _is_key(key):
        return None
    request = HttpRequest()
    request.path = request.path_info = message.get("path", "")
    request.META = dict(zip(SEEN, kept.get(SEEN_KEY) or ("", ""), strict=True))
    session = browser_session(request, key)
    guard(session, HttpSession)
    return _usable(session)


def keep_http_session(message: Message) -> None:
    """Let the channel session of ``message`` have the key of its HTTP session, if it has none."""
    found, kept = message.http_session, message.channel_session
    if found is not None and found.session_key:
        kept.setdefault(settings.SESSION_COOKIE_NAME, found.session_key)
        if has_custom_middleware():
            kept.setdefault(SEEN_KEY, [message.request.META.get(key, "") for key in SEEN])


def key_in(request: AsgiRequest) -> str | None:
    """Return the key of the browser's session: the GET parameter ``session_key``, else the session cookie."""
    key = request.GET.get("session_key") or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return key if _is_key(key) else None


def open_http_session(request: AsgiRequest, key: str | None) -> SessionBase:
    """Return the browser's session under ``key``, which is ``request.session`` from now on."""
    session = browser_session(request, key)
    guard(session, HandshakeSession if request.message.channel_name == CONNECT else HttpSession)
    if isinstance(session, HandshakeSession):
        session.told = key
        session.tell = partial(_set_session_cookie, request.message)
    return session


def _new_channel_session(message: Message) -> SessionBase:
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


def _usable(session: SessionBase) -> SessionBase | None:
    return session if session.session_key else None  # engines refuse keys that are too short to be theirs


def _is_key(key: object) -> bool:
    # A parameter can hold what no cookie can, and what makes a database raise, such as U+0000.
    return isinstance(key, str) and key.isascii() and key.isprintable() and bool(key)


def _set_session_cookie(message: Message, session: SessionBase, key: str | None) -> None:
    """Let the browser know the key of its session, as Django's middleware does."""
    name = settings.SESSION_COOKIE_NAME
    where = {
        "path": settings.SESSION_COOKIE_PATH,
        "domain": settings.SESSION_COOKIE_DOMAIN,
        "samesite": settings.SESSION_COOKIE_SAMESITE,
    }
    if key is not None:
        ends_with_browser = session.get_expire_at_browser_close()
        message.set_cookie(
            name,
            key,
            max_age=None if ends_with_browser else session.get_expiry_age(),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=settings.SESSION_COOKIE_HTTPONLY,
            **where,
        )
    elif name in message.request.COOKIES:
        message.delete_cookie(name, **where)


@cache
def _channel_engine() -> str | None:
    # Kept, because asking for a setting that is not there takes longer than all else in channel_session.
    engine: str | None = getattr(settings, "CHANNEL_SESSION_ENGINE", None)
    return engine


def _forget_channel_engine(**kwargs: object) -> None:
    _channel_engine.cache_clear()


setting_changed.connect(_forget_channel_engine, dispatch_uid="channels.session_sources")
