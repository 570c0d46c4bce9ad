"""The request that opened the connection of a message: ``message.request``.

The connect of a WebSocket carries all of it, as an HTTP request does. Later messages carry the path, and their sessions
name the user. The rest is kept by the layer, where the connect consumer wants that
(:func:`channels.sessions.keep_handshake`), and fetched when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, aget_user, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject, cached_property

from channel_layers import codec
from channel_layers.messages import WebSocketConnect
from channel_layers.notes import EXTENSION, HANDSHAKE
from channels.request import AsgiRequest, environment, path_info_of, script_name_of
from channels.session_engines import HandshakeSession, HttpSession, guard
from channels.session_sources import channel_session_of, kept_http_session, key_in, open_http_session

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

    from channels.message import Message

USER_KEYS: Final = (BACKEND_SESSION_KEY, SESSION_KEY, HASH_SESSION_KEY)
"""What Django keeps of a login in a session."""
_VERSION: Final = b"1:"
"""A handshake is kept once, so there is no second one."""


class ConsumerRequest(AsgiRequest):
    """The request of a connect or of an HTTP request, with session and user as Django's middleware would set them.

    ``session`` is ``message.http_session`` where a decorator has found one; else that of the cookie, or a new one. A
    connect consumer can begin it, and log in: the cookie goes with the 101. What was changed is saved when the consumer
    returns. ``user`` is ``message.user`` where a decorator has set it; else it is loaded when it is first used.
    """

    @cached_property
    def session(self) -> SessionBase:  # type: ignore[override]  # Django's is set by its middleware
        """The session of the browser."""
        found: SessionBase | None = self.message.__dict__.get("http_session")
        return open_http_session(self, key_in(self)) if found is None else found

    @cached_property
    def user(self) -> AbstractBaseUser | AnonymousUser:  # type: ignore[override]  # as above
        """The user of the browser, or of the connection."""
        found: AbstractBaseUser | AnonymousUser | None = self.message.__dict__.get("user")
        if found is None:  # compared, because a lazy one would be loaded to know whether it is true
            found = cast("AnonymousUser", SimpleLazyObject(lambda: get_user(login_request(self._login_session))))
        return found

    async def auser(self) -> AbstractBaseUser | AnonymousUser:
        """As :attr:`user`, loaded."""
        found: AbstractBaseUser | AnonymousUser | None = self.message.__dict__.get("user")
        if found is None:
            await self._login_session.akeys()
            found = await aget_user(login_request(self._login_session))
        return found

    def finish(self) -> None:
        """Save what the consumer has changed in the session, once it has returned."""
        session = self.__dict__.get("session")
        if isinstance(session, HttpSession | HandshakeSession):
            session.finish()

    @property
    def _login_session(self) -> SessionBase:
        return self.session


class LaterRequest(ConsumerRequest):
    """What a message after the first still has of its request.

    ``path`` comes with the message, ``user`` from the session of the connection, ``session`` from the key that is kept
    there by :func:`~channels.sessions.channel_and_http_session`. All else raises :exc:`ValueError` unless the connect
    consumer has had it kept.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.reply_channel = message.reply_channel
        self.method = "GET"
        self.resolver_match = None
        self._post_parse_error = False
        self._read_started = False
        self._upload_error = None

    @cached_property
    def path(self) -> str:  # type: ignore[override]  # Django's are attributes, here and below
        """The path of the handshake."""
        return str(self.message.content["path"] if "path" in self.message.content else self._opening["path"])

    @cached_property
    def script_name(self) -> str:  # type: ignore[override]  # see above
        """Where the application is mounted."""
        return script_name_of(self._opening)

    @cached_property
    def path_info(self) -> str:  # type: ignore[override]  # see above
        """The part of the path below that."""
        return path_info_of(self.path, self.script_name)

    @cached_property
    def META(self) -> dict[str, Any]:  # type: ignore[override]  # noqa: N802 - named as Django's
        """Headers and addresses of the handshake."""
        own = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": self.script_name, "PATH_INFO": self.path_info}
        return own | environment(self._opening)

    @cached_property
    def session(self) -> SessionBase:  # type: ignore[override]  # see above
        """The session of the browser; an empty one where its key was not kept."""
        found: SessionBase | None = self.message.__dict__.get("http_session")
        found = kept_http_session(self.message) if found is None else found
        if found is None:
            found = SessionBase()
            guard(found, HttpSession)
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.message.get('path')!r}>"

    def _get_scheme(self) -> str:
        return "https" if self._opening.get("scheme") == "wss" else "http"

    @property
    def _login_session(self) -> SessionBase:
        return channel_session_of(self.message)

    @cached_property
    def _opening(self) -> dict[str, Any]:
        """The connect message, as far as it is kept."""
        layer, channel = self.message.channel_layer, self.message.content.get("reply_channel")
        kept = layer.read_note(channel, HANDSHAKE) if channel and EXTENSION in layer.extensions else None
        if kept is None:
            raise ValueError(
                f"a message on {self.message.channel_name!r} does not carry the headers, cookies and parameters of its "
                "handshake: decorate the connect consumer with channels.sessions.keep_handshake, or put what is needed "
                "later into message.channel_session"
            )
        content: dict[str, Any] = codec.decode(kept.removeprefix(_VERSION))
        return content


class LoginCopy(SessionBase):
    """The login in a session, or none.

    Django renews the key of a session, or flushes it, when the login in it has been overtaken. Only the response to a
    request can send the cookie that belongs to that, so it is done to a copy.
    """

    def __init__(self, session: SessionBase | None) -> None:
        super().__init__()
        if session is not None:
            self.update({key: session[key] for key in USER_KEYS if key in session})

    def create(self) -> None:
        """Do nothing: a copy is stored nowhere."""

    def delete(self, session_key: str | None = None) -> None:
        """As :meth:`create`."""


def request_of(message: Message) -> ConsumerRequest:
    """Return the request behind ``message``."""
    content = message.content
    if "path" in content and ("headers" in content or "query_string" in content or "method" in content):
        return ConsumerRequest(message)
    if message.channel_name in ("websocket.connect", "http.request"):
        return ConsumerRequest(message)
    return LaterRequest(message)


def login_request(session: SessionBase | None) -> HttpRequest:
    """Return as much of a request as Django looks for a user in, without a session that it could change."""
    request = HttpRequest()
    request.session = LoginCopy(session)
    return request


def kept_handshake(content: dict[str, Any]) -> bytes:
    """Return what is kept of a connect message, for :class:`LaterRequest`."""
    keys = WebSocketConnect.__annotations__.keys() - {"reply_channel", "order", "subprotocols"}
    return _VERSION + codec.encode({key: content[key] for key in keys & content.keys()})
