"""A browser's session, as a view leaves it and as a handshake names it; consumers that use sessions."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from channels.message import Message


def begun(**data: Any) -> SessionBase:
    """Return a session of the browser, as a view has left it."""
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore()
    session.update(data)
    session.save()
    return session


def stored(key: str | None) -> dict[str, Any]:
    """Return what is stored of a browser's session."""
    return dict(import_module(settings.SESSION_ENGINE).SessionStore(key).items())


def cookie(session: SessionBase) -> dict[str, Any]:
    """Return headers of a handshake with the session cookie."""
    return {"headers": [[b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode()]]}


def setting(key: str, value: Any) -> Callable[[Message], None]:
    """Return a consumer that puts ``value`` into the channel session."""

    def consumer(message: Message) -> None:
        message.channel_session[key] = value

    return consumer


def setting_http(key: str, value: Any) -> Callable[[Message], None]:
    """Return a consumer that puts ``value`` into the HTTP session."""

    def consumer(message: Message) -> None:
        assert message.http_session is not None
        message.http_session[key] = value

    return consumer


def nothing(message: Message) -> None:
    """Leave both sessions alone."""
