"""Django's session engines as consumers may use them: without a response that could set a cookie.

The classes here come before that of an engine, whichever it is; the functions put the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, Final

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from channels.lane_session import ReplyChannelSession

_GONE: Final = (
    "the HTTP session has expired or was flushed, and a consumer cannot begin a new one, because only the response to "
    "a request can set its cookie: begin it in a view, or in the connect consumer with message.request.session"
)
_READ_ONLY: Final = (
    "sessions in signed cookies can be read by a consumer but not changed, because only the response to a request can "
    "set a cookie: change it in a view, use channel_session, or choose another SESSION_ENGINE"
)
_FIXED_KEY: Final = (
    "a consumer cannot change the key of an HTTP session, because only the response to a request can set the cookie "
    "that holds it: log in and out, and change passwords, in a view or in the connect consumer"
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


def browser_session(request: HttpRequest, key: str | None) -> SessionBase:
    """Return the session under ``key`` as the project's session middleware makes it for ``request``."""
    middleware = _custom_middleware(tuple(settings.MIDDLEWARE), settings.SESSION_ENGINE)
    if middleware is None:
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    else:
        if key is not None:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = key
        middleware.process_request(request)
    return request.session


def guard(session: SessionBase, kind: type[HttpSession | HandshakeSession]) -> None:
    """Let ``session`` do what a consumer may do with it: what ``kind`` says, or only be read if it is in its cookie."""
    store = type(session)
    session.__class__ = _guarded(store, CookieSession if issubclass(store, SignedCookies) else kind)


@cache
def _guarded(store: type[SessionBase], kind: type[SessionBase]) -> type[SessionBase]:
    return type("SessionStore", (kind, store), {})


def has_custom_middleware() -> bool:
    """Return whether sessions are made by a middleware of the project's own, which may look at the whole request."""
    return _custom_middleware(tuple(settings.MIDDLEWARE), settings.SESSION_ENGINE) is not None


@cache
def _custom_middleware(paths: tuple[str, ...], engine: str) -> Any:
    """Return the session middleware among ``paths`` that is not Django's own, which only looks for the cookie."""
    for path in paths:
        kind = import_string(path)
        if isinstance(kind, type) and (issubclass(kind, SessionMiddleware) or kind.__name__ == "SessionMiddleware"):
            return None if kind is SessionMiddleware else kind(lambda request: HttpResponse())
    return None


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

    def finish(self) -> None:
        """Save what was changed. One that was flushed has neither key nor data, and there is nothing to save."""
        if self.modified and not self.is_empty():
            self.save()

    async def afinish(self) -> None:
        """As :meth:`finish`."""
        if self.modified and not self.is_empty():
            await self.asave()

    def save(self, must_create: bool = False) -> None:
        """Save the data; raise :exc:`ValueError` if the session is gone."""
        with _updating(self):
            super().save(must_create)

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        with _updating(self):
            await super().asave(must_create)


class HandshakeSession(SessionBase):
    """A browser's session in an engine of Django, as a connect consumer has it: with a response that sets cookies.

    It can be begun and its key can change; ``tell`` is called with a new key as soon as there is one, and with
    ``None`` at the end if the session of the browser's cookie is gone. A key that was found to name nothing does not
    begin a session by itself.
    """

    tell: Callable[[SessionBase, str | None], None]
    told: str | None
    _is_loading = False

    def load(self) -> dict[str, Any]:
        """Return the data that are stored."""
        self._is_loading = True
        try:
            return super().load()
        finally:
            self._is_loading = False

    async def aload(self) -> dict[str, Any]:
        """As :meth:`load`."""
        self._is_loading = True
        try:
            return await super().aload()
        finally:
            self._is_loading = False

    def create(self) -> None:
        """Begin a session under a new key; an engine that wants to replace one it does not find begins none."""
        if self._is_loading:
            self._session_key = None
        else:
            super().create()

    async def acreate(self) -> None:
        """As :meth:`create`."""
        if self._is_loading:
            self._session_key = None
        else:
            await super().acreate()

    def save(self, must_create: bool = False) -> None:
        """Save the data, and let the browser know a new key; raise :exc:`ValueError` if the session is gone."""
        with _saving(self):
            super().save(must_create)
        self._tell()

    async def asave(self, must_create: bool = False) -> None:
        """As :meth:`save`."""
        with _saving(self):
            await super().asave(must_create)
        self._tell()

    def finish(self) -> None:
        """Save what was changed, or let the browser forget a session that was flushed."""
        if self.modified and not self.is_empty():
            self.save()
        elif self.modified:
            self._tell()

    async def afinish(self) -> None:
        """As :meth:`finish`."""
        if self.modified and not self.is_empty():
            await self.asave()
        elif self.modified:
            self._tell()

    def _tell(self) -> None:
        if self.session_key != self.told:
            self.told = self.session_key
            self.tell(self, self.session_key)


class CookieSession(HttpSession):
    """A browser's session that is in its cookie: it can only be read."""

    def cycle_key(self) -> None:
        """Raise :exc:`ValueError`."""
        raise ValueError(_READ_ONLY)

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
def _saving(session: SessionBase) -> Iterator[None]:
    try:
        yield
    except UpdateError as error:
        raise ValueError(_GONE) from error
    session.modified = False


@contextmanager
def _updating(session: SessionBase) -> Iterator[None]:
    if session.session_key is None:
        raise ValueError(_GONE)
    with _saving(session):
        yield
