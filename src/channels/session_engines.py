"""Django's session engines as consumers may use them: without a response that could set a cookie.

The classes here come before that of an engine, whichever it is; the functions put the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Final

from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies

from channels.lane_session import ReplyChannelSession

_GONE: Final = (
    "the HTTP session has expired or was flushed, and a consumer cannot begin a new one, because only the response to "
    "a request can set its cookie: begin it in a view"
)
_READ_ONLY: Final = (
    "sessions in signed cookies can be read by a consumer but not changed, because only the response to a request can "
    "set a cookie: change it in a view, use channel_session, or choose another SESSION_ENGINE"
)
_FIXED_KEY: Final = (
    "a consumer cannot change the key of an HTTP session, because only the response to a request can set the cookie "
    "that holds it: log in and out, and change passwords, in a view"
)


@cache
def reply_channel_store(engine: str) -> Callable[[str], SessionBase]:
    """Return what makes the session that ``engine``, a module, has for the name of a reply channel.

    Raises :exc:`ValueError` for signed cookies.
    """
    store = import_module(engine).SessionStore
    if issubclass(store, SignedCookies):
        raise ValueError(
            f"channel sessions cannot be kept by {engine!r}, because there is no cookie to set: choose another "
            "CHANNEL_SESSION_ENGINE, or none to let them travel with the messages of their connection"
        )
    return type("SessionStore", (EngineSession, store), {})


@cache
def http_store(engine: str) -> Callable[[str], SessionBase]:
    """Return what makes the session that ``engine``, a module, has for the key in a browser's cookie."""
    store = import_module(engine).SessionStore
    return type("SessionStore", (CookieSession if issubclass(store, SignedCookies) else HttpSession, store), {})


class EngineSession(ReplyChannelSession):
    """A channel session in an engine of Django: it is stored while there is something in it."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        super().__init__()

    def save(self, must_create: bool = False) -> None:
        """Save the data, or delete what was saved if there are none."""
        if self.keys():
            super().save(must_create or not self.exists(self.session_key))
        else:
            self.delete()
        self.modified = False

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        if await self.akeys():
            await super().asave(must_create or not await self.aexists(self.session_key))
        else:
            await self.adelete()
        self.modified = False


class HttpSession(SessionBase):
    """A browser's session in an engine of Django. Its data can be changed, its key cannot, and none is begun."""

    def create(self) -> None:
        """Have no key: an engine wants a new one in place of one that it does not find."""
        self._session_key = None

    async def acreate(self) -> None:
        """As :meth:`create`."""
        self.create()

    def cycle_key(self) -> None:
        """Raise :exc:`ValueError`."""
        raise ValueError(_FIXED_KEY)

    async def acycle_key(self) -> None:
        """As :meth:`cycle_key`."""
        self.cycle_key()

    def save(self, must_create: bool = False) -> None:
        """Save the data; raise :exc:`ValueError` if the session is gone."""
        with _updating(self):
            super().save(must_create)

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        with _updating(self):
            await super().asave(must_create)


class CookieSession(HttpSession):
    """A browser's session that is in its cookie: it can only be read."""

    def save(self, must_create: bool = False) -> None:
        """Raise :exc:`ValueError`."""
        raise ValueError(_READ_ONLY)

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        self.save()

    def delete(self, session_key: str | None = None) -> None:
        """Raise :exc:`ValueError`."""
        raise ValueError(_READ_ONLY)

    async def adelete(self, session_key: str | None = None) -> None:
        """As :meth:`delete`."""
        self.delete()


@contextmanager
def _updating(session: SessionBase) -> Iterator[None]:
    if session.session_key is None:
        raise ValueError(_GONE)
    try:
        yield
    except UpdateError as error:
        raise ValueError(_GONE) from error
    session.modified = False
