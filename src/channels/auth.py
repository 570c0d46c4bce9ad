"""Users for consumers: who the browser is logged in as, and who a connection belongs to.

``message.user`` is loaded when it is first used; an ``async def`` consumer finds it loaded. It is an
:class:`~django.contrib.auth.models.AnonymousUser` where the session names nobody, or somebody whose password has
changed since (:func:`django.contrib.auth.get_user`).

A socket that a browser with a login has opened is closed when that login ends (:mod:`channels.logins`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import SESSION_KEY, aget_user, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from channels import conf
from channels.channel import Group, aadd_to_groups, add_to_groups
from channels.decorators import C, Scope, around
from channels.handshake import USER_KEYS, login_request
from channels.layers import DEFAULT_CHANNEL_LAYER
from channels.logins import LOGIN_ENDED, groups_of, user_group
from channels.message import Message
from channels.routing import CONNECT, DISCONNECT
from channels.session_sources import keep_http_session, kept_http_session
from channels.sessions import channel_and_http_session, channel_session, http_session

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

__all__ = [
    "USER_KEYS",
    "channel_and_http_session_user_from_http",
    "channel_session_user",
    "channel_session_user_from_http",
    "follow_login",
    "http_session_user",
    "sockets_of",
    "transfer_user",
]

UNCHECKED = (CONNECT, DISCONNECT)
"""Channels whose consumers are called whatever has become of a login: to decide, and to clear up."""


def transfer_user(from_session: SessionBase, to_session: SessionBase) -> None:
    """Copy the login of one session to another, if it has one in full."""
    login = {key: from_session[key] for key in USER_KEYS if key in from_session}
    is_new = any(to_session.get(key) != value for key, value in login.items())
    if len(login) == len(USER_KEYS) and is_new:
        to_session.update(login)


def sockets_of(user: AbstractBaseUser, alias: str = DEFAULT_CHANNEL_LAYER) -> Group:
    """Return the group of the sockets that ``user`` has opened, on the layer ``alias``.

    A socket is a member where its connect consumer asks for the user of the browser, or calls :func:`follow_login`,
    unless ``CHANNELS["CLOSE_ON_LOGOUT"]`` is ``False``.
    """
    return Group(user_group(str(user._meta.pk.value_to_string(user))), alias)


def follow_login(message: Message) -> None:
    """Close the socket of ``message`` when the login in its channel session ends.

    For consumers that put a login there themselves, from a token for instance; the decorators do it for the browser's.
    """
    groups = groups_of(message.channel_session)
    if groups and message.reply_channel is not None:
        add_to_groups(message.reply_channel, groups[:1])


def channel_session_user(consumer: C) -> C:
    """Give a consumer ``message.user`` from ``message.channel_session``, which it gets as well."""
    return channel_session(around(consumer, _ChannelUserScope()))


def http_session_user(consumer: C) -> C:
    """Give a consumer ``message.user`` from ``message.http_session``, which it gets as well.

    Where there is no HTTP session, as on all messages of a WebSocket but the first, the user is anonymous.
    """
    return http_session(around(around(consumer, _HttpUserScope()), _FollowScope()))


def channel_session_user_from_http(consumer: C) -> C:
    """Give a connect consumer ``message.user`` from the HTTP session, and let the channel session remember the login.

    Consumers of the later messages use :func:`channel_session_user`.
    """
    return http_session_user(channel_session(around(consumer, _TransferScope())))


def channel_and_http_session_user_from_http(consumer: C) -> C:
    """Give a consumer both sessions and, from the HTTP session, ``message.user``, on every message of a WebSocket.

    The channel session remembers the login as well, for :func:`channel_session_user`.
    """
    return channel_and_http_session(
        around(around(around(consumer, _TransferScope()), _HttpUserScope()), _FollowScope())
    )


class _FollowScope(Scope):
    """Makes a socket that connects a member of the groups that are closed when its login ends."""

    def enter(self, message: Message) -> None:
        session, channel = message.http_session, message.reply_channel
        groups = groups_of(session) if message.channel_name == CONNECT else []
        if groups and channel is not None and session is not None:
            add_to_groups(channel, groups)
            _forget(session)

    async def aenter(self, message: Message) -> None:
        session, channel = message.http_session, message.reply_channel
        if message.channel_name != CONNECT or channel is None or session is None:
            return
        await session.akeys()  # read where that does not block the loop
        if groups := groups_of(session):
            await aadd_to_groups(channel, groups)
            _forget(session)


class _UserScope(Scope):
    """Sets ``message.user``; where the settings ask for it, no consumer is called whose user's login has ended."""

    def session_of(self, message: Message) -> SessionBase | None:
        """Return the session that names the user, ``None`` if there is none."""
        raise NotImplementedError

    def request_of(self, session: SessionBase | None) -> HttpRequest:
        """Return as much of a request as Django looks for a user in."""
        return _request(session)

    def admits(self, message: Message) -> bool:
        """Return whether the login of the connection, if it has one, is still good; else close its socket."""
        if not self._checks(message):
            return True
        message.user = get_user(self.request_of(self.session_of(message)))
        return _is_good(message, kept_http_session(message)) or _close(message)

    async def aadmits(self, message: Message) -> bool:
        """As :meth:`admits`."""
        await self._read(message)
        if not self._checks(message):
            return True
        message.user = await aget_user(self.request_of(self.session_of(message)))
        kept = kept_http_session(message)
        if kept is not None:
            await kept.akeys()
        return _is_good(message, kept) or _close(message)

    def enter(self, message: Message) -> None:
        if not self._checks(message):
            session = self.session_of(message)
            message.user = _lazy(lambda: get_user(self.request_of(session)))

    async def aenter(self, message: Message) -> None:
        if not self._checks(message):
            message.user = await aget_user(self.request_of(self.session_of(message)))

    def _checks(self, message: Message) -> bool:
        """Return whether :meth:`admits` looks at the login, and has loaded the user."""
        if not conf.rechecks_logins() or message.channel_name in UNCHECKED or self.session_of(message) is None:
            return False
        return hasattr(message, "channel_session") and SESSION_KEY in message.channel_session

    async def _read(self, message: Message) -> None:
        """Read the sessions where that does not block the loop."""
        session = self.session_of(message)
        if session is not None:
            await session.akeys()
        if conf.rechecks_logins() and hasattr(message, "channel_session"):
            await message.channel_session.akeys()


class _ChannelUserScope(_UserScope):
    def session_of(self, message: Message) -> SessionBase:
        return message.channel_session


class _HttpUserScope(_UserScope):
    def session_of(self, message: Message) -> SessionBase | None:
        return message.http_session

    def request_of(self, session: SessionBase | None) -> HttpRequest:
        return login_request(session)


class _TransferScope(Scope):
    def enter(self, message: Message) -> None:
        if message.http_session is not None:
            transfer_user(message.http_session, message.channel_session)
            if conf.rechecks_logins():
                keep_http_session(message)

    async def aenter(self, message: Message) -> None:
        if message.http_session is not None:
            await message.http_session.akeys()
            await message.channel_session.akeys()
        self.enter(message)


def _is_good(message: Message, kept: SessionBase | None) -> bool:
    """Return whether the login in the channel session is that of a valid user, and that of the browser's session."""
    is_theirs = kept is None or kept.get(SESSION_KEY) == message.channel_session.get(SESSION_KEY)
    return message.user.is_authenticated and is_theirs


def _close(message: Message) -> bool:
    """Close the socket of ``message``, whose consumer is not called."""
    if message.reply_channel is not None:
        message.reply_channel.send({"close": LOGIN_ENDED, "reason": "login ended"})
    return False


def _forget(session: SessionBase) -> None:
    """Let ``session`` be read again: a logout may have come before its socket was a member of the groups to close."""
    if not session.modified:
        session.__dict__.pop("_session_cache", None)


def _lazy(load: Callable[[], Any]) -> AbstractBaseUser | AnonymousUser:
    return cast("AbstractBaseUser | AnonymousUser", SimpleLazyObject(load))


def _request(session: SessionBase | None) -> HttpRequest:
    request = HttpRequest()
    request.session = SessionBase() if session is None else session
    return request
