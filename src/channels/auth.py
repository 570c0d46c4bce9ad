"""Users for consumers: who the browser is logged in as, and who a connection belongs to.

``message.user`` is loaded when it is first used; an ``async def`` consumer finds it loaded. It is an
:class:`~django.contrib.auth.models.AnonymousUser` where the session names nobody, or somebody whose password has
changed since (:func:`django.contrib.auth.get_user`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, aget_user, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from channels.decorators import C, Scope, around
from channels.message import Message
from channels.sessions import channel_and_http_session, channel_session, http_session

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

__all__ = [
    "channel_and_http_session_user_from_http",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session_user",
    "transfer_user",
]

USER_KEYS = (BACKEND_SESSION_KEY, SESSION_KEY, HASH_SESSION_KEY)
"""What Django keeps of a login in a session."""


def transfer_user(from_session: SessionBase, to_session: SessionBase) -> None:
    """Copy the login of one session to another, if it has one in full."""
    login = {key: from_session[key] for key in USER_KEYS if key in from_session}
    is_new = any(to_session.get(key) != value for key, value in login.items())
    if len(login) == len(USER_KEYS) and is_new:
        to_session.update(login)


def channel_session_user(consumer: C) -> C:
    """Give a consumer ``message.user`` from ``message.channel_session``, which it gets as well."""
    return channel_session(around(consumer, _ChannelUserScope()))


def http_session_user(consumer: C) -> C:
    """Give a consumer ``message.user`` from ``message.http_session``, which it gets as well.

    Where there is no HTTP session, as on all messages of a WebSocket but the first, the user is anonymous.
    """
    return http_session(around(consumer, _HttpUserScope()))


def channel_session_user_from_http(consumer: C) -> C:
    """Give a connect consumer ``message.user`` from the HTTP session, and let the channel session remember the login.

    Consumers of the later messages use :func:`channel_session_user`.
    """
    return http_session_user(channel_session(around(consumer, _TransferScope())))


def channel_and_http_session_user_from_http(consumer: C) -> C:
    """Give a consumer both sessions and, from the HTTP session, ``message.user``, on every message of a WebSocket.

    The channel session remembers the login as well, for :func:`channel_session_user`.
    """
    return channel_and_http_session(around(around(consumer, _TransferScope()), _HttpUserScope()))


class _ChannelUserScope(Scope):
    def enter(self, message: Message) -> None:
        session = message.channel_session
        message.user = _lazy(lambda: get_user(_request(session)))

    async def aenter(self, message: Message) -> None:
        message.user = await aget_user(_request(message.channel_session))


class _HttpUserScope(Scope):
    def enter(self, message: Message) -> None:
        session = message.http_session
        message.user = _lazy(lambda: get_user(_request(_LoginCopy(session))))

    async def aenter(self, message: Message) -> None:
        if message.http_session is not None:
            await message.http_session.akeys()  # read where that does not block the loop
        message.user = await aget_user(_request(_LoginCopy(message.http_session)))


class _TransferScope(Scope):
    def enter(self, message: Message) -> None:
        if message.http_session is not None:
            transfer_user(message.http_session, message.channel_session)

    async def aenter(self, message: Message) -> None:
        if message.http_session is not None:
            await message.http_session.akeys()
            await message.channel_session.akeys()
        self.enter(message)


class _LoginCopy(SessionBase):
    """The login in an HTTP session, or none.

    Django renews the key of a session, or flushes it, when the login in it has been overtaken. A consumer cannot send
    the cookie that belongs to that, so it is done to a copy.
    """

    def __init__(self, session: SessionBase | None) -> None:
        super().__init__()
        if session is not None:
            self.update({key: session[key] for key in USER_KEYS if key in session})

    def create(self) -> None:
        """Do nothing: a copy is stored nowhere."""

    def delete(self, session_key: str | None = None) -> None:
        """As :meth:`create`."""


def _lazy(load: Callable[[], Any]) -> AbstractBaseUser | AnonymousUser:
    return cast("AbstractBaseUser | AnonymousUser", SimpleLazyObject(load))


def _request(session: SessionBase) -> HttpRequest:
    """Return as much of a request as Django looks for a user in."""
    request = HttpRequest()
    request.session = session
    return request
