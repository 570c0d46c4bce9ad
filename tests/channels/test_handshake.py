import asyncio
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY, login, logout
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheSession
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.test import override_settings
from django.utils import translation

from channel_layers import codec
from channel_layers.envelope import MESSAGE
from channel_layers.memory import MemoryChannelLayer
from channels.auth import channel_and_http_session_user_from_http, channel_session_user, channel_session_user_from_http
from channels.exceptions import DenyConnection
from channels.handshake import ConsumerRequest, LaterRequest
from channels.message import Message
from channels.routing import CONNECT, RECEIVE, Route
from channels.sessions import channel_and_http_session, channel_session, http_session, keep_handshake
from tests.channels.browsers import begun, cookie, nothing, stored
from tests.channels.connection import Connection
from tests.channels.workers import Bench, Socket, layer_of

CACHE = "django.contrib.sessions.backends.cache"


class Backend(BaseBackend):
    """Knows users that are in no database."""

    users: ClassVar[dict[int, User]] = {}

    def get_user(self, user_id: int) -> User | None:
        return self.users.get(user_id)


@pytest.fixture(autouse=True)
def _users(cached: None) -> Iterator[None]:
    """Ada and Bob, and sessions in the cache."""
    Backend.users = {n: User(pk=n, username=name, password=name) for n, name in enumerate(("ada", "bob"), 1)}
    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Backend"]), pytest.MonkeyPatch.context() as patch:
        patch.setattr(User, "save", lambda *args, **kwargs: None)  # the time of a login
        yield


class Stage:
    """A connection to a worker, and the browser at the other end."""

    def __init__(self, layer: MemoryChannelLayer | None = None) -> None:
        self.layer = layer_of(layer=layer)
        self.socket = Socket(self.layer)
        self.session: bytes | None = None

    def run(self, consumer: Any, channel: str = CONNECT, **content: Any) -> SimpleCookie:
        """Run ``consumer`` with the next event; return the cookies it has set."""
        layer = layer_of(Route([CONNECT, RECEIVE, "jobs"], consumer), layer=self.layer.channel_layer)
        event = {"path": "/lobby/", **content}
        Bench(layer).run(self.socket.event(event, channel=channel, session=self.session))
        self.cookies = SimpleCookie()
        for envelope in self.socket.received():
            if envelope.session is not None:
                self.session = envelope.session
            for name, value in codec.decode(envelope.content).get("headers", ()) if envelope.kind == MESSAGE else ():
                assert name == b"Set-Cookie"
                self.cookies.load(value.decode())
        return self.cookies


def username(user: Any) -> str:
    """Return the name of a user, empty for an anonymous one."""
    return str(user.get_username())


def logged_in(user_id: int = 1, **data: Any) -> SessionBase:
    """Return a session of a browser that is logged in."""
    request = HttpRequest()
    request.session = CacheSession()
    login(request, Backend.users[user_id], f"{__name__}.Backend")
    request.session.update(data)
    request.session.save()
    return request.session


# -- connect -----------------------------------------------------------------------------------------------------------


def test_a_connect_has_a_real_request() -> None:
    """Path, parameters, cookies, headers, addresses, session and user, as a view has them."""
    session = logged_in(2, color="red")
    headers = [
        [b"cookie", f"sessionid={session.session_key}; theme=dark".encode()],
        [b"accept-language", b"de"],
        [b"host", b"testserver"],
    ]
    seen = []

    def consumer(message: Message) -> None:
        seen.append(message.request)

    Stage().run(consumer, query_string=b"page=2", headers=headers, client=["192.0.2.7", 5], scheme="wss")
    (request,) = seen
    assert isinstance(request, HttpRequest)
    assert (request.method, request.path, request.GET["page"], request.COOKIES["theme"]) == (
        "GET",
        "/lobby/",
        "2",
        "dark",
    )
    assert (request.headers["Accept-Language"], request.META["REMOTE_ADDR"]) == ("de", "192.0.2.7")
    assert (request.is_secure(), request.get_host()) == (True, "testserver")
    assert (request.session["color"], username(request.user)) == ("red", "bob")
    assert translation.get_language_from_request(request) == "de"


def test_request_and_decorators_agree() -> None:
    """The session is the decorator's, and so is the user."""

    @channel_session_user_from_http
    def consumer(message: Message) -> None:
        assert message.request.session is message.http_session
        assert message.request.user is message.user
        assert username(message.request.user) == "ada"

    Stage().run(consumer, **cookie(logged_in()))


@pytest.mark.parametrize("content", [{}, {"query_string": "session_key=" + "a" * 32}])
def test_nobody_is_anonymous(content: dict[str, Any]) -> None:
    """Without a session, or with a key that names nothing, the user is anonymous, and no session is begun for that."""

    def consumer(message: Message) -> None:
        assert message.request.user == AnonymousUser()
        assert asyncio.run(message.request.auser()) == AnonymousUser()
        assert message.request.session.get("color") is None

    assert not Stage().run(consumer, **content)


def test_async_consumers_have_the_user_loaded() -> None:
    """By auser(), as in a view; what a decorator has loaded is taken."""
    seen = []

    async def consumer(message: Message) -> None:
        seen.append(username(await message.request.auser()))
        seen.append(username(message.request.user))

    Stage().run(consumer, **cookie(logged_in()))
    Stage().run(channel_session_user_from_http(consumer), **cookie(logged_in(2)))
    assert seen == ["ada", "ada", "bob", "bob"]


def test_a_login_that_was_overtaken_is_nobodys() -> None:
    """And reading the user does nothing to the session of the browser."""
    session = logged_in(color="red")
    Backend.users[1].password = "changed"
    cookies = Stage().run(lambda message: username(message.request.user), **cookie(session))
    assert not cookies
    assert stored(session.session_key)["color"] == "red"


# -- cookies -----------------------------------------------------------------------------------------------------------


def test_a_connect_consumer_sets_cookies() -> None:
    """With the options that responses of Django have."""

    def consumer(message: Message) -> None:
        message.set_cookie("theme", "dark mode", max_age=60, samesite="Lax", httponly=True)
        message.delete_cookie("old", path="/lobby/")

    cookies = Stage().run(consumer)
    assert (cookies["theme"].value, cookies["theme"]["max-age"], cookies["theme"]["samesite"]) == (
        "dark mode",
        "60",
        "Lax",
    )
    assert (cookies["old"].value, cookies["old"]["max-age"], cookies["old"]["path"]) == ("", "0", "/lobby/")


def test_later_messages_set_no_cookies() -> None:
    """There is no response to come; the error says where."""
    for message in (Connection().message(), Message({"path": "/"}, CONNECT, layer_of())):
        with pytest.raises(ValueError, match="set them in the connect consumer"):
            message.set_cookie("theme", "dark")
        with pytest.raises(ValueError, match="cannot set cookies"):
            message.delete_cookie("theme")


def test_a_refusal_sets_no_cookies() -> None:
    """What the consumer has sent is discarded when it denies the connection."""

    def consumer(message: Message) -> None:
        message.set_cookie("theme", "dark")
        raise DenyConnection

    assert not Stage().run(consumer)


# -- logging in and out ------------------------------------------------------------------------------------------------


def log_in(message: Message) -> None:
    """Log Ada in, as a view would."""
    login(message.request, Backend.users[1], f"{__name__}.Backend")


async def log_in_async(message: Message) -> None:
    """Log Ada in, as a view of either kind would."""
    await asyncio.to_thread(log_in, message)


@pytest.mark.parametrize(
    "consumer", [log_in, log_in_async, http_session(log_in), channel_session_user_from_http(log_in)]
)
def test_a_login_begins_a_session(consumer: Callable[..., Any]) -> None:
    """Its key travels in a cookie with the attributes of the settings, and it is saved when the consumer returns."""
    with override_settings(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_AGE=600):
        cookies = Stage().run(consumer)
    morsel = cookies["sessionid"]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["max-age"]) == (
        True,
        True,
        "Strict",
        "600",
    )
    assert stored(morsel.value)[SESSION_KEY] == "1"


def test_a_cookie_may_end_with_the_browser() -> None:
    """As the settings say."""
    with override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=True):
        assert Stage().run(log_in)["sessionid"]["max-age"] == ""


@pytest.mark.parametrize("decorate", [lambda consumer: consumer, http_session])
def test_a_login_changes_the_key(decorate: Any) -> None:
    """An anonymous session goes on under another one, as in a view."""
    session = begun(color="red")
    key = Stage().run(decorate(log_in), **cookie(session))["sessionid"].value
    assert key != session.session_key
    assert (stored(key)["color"], stored(key)[SESSION_KEY], stored(session.session_key)) == ("red", "1", {})


def test_the_cookie_is_sent_before_the_consumer_accepts() -> None:
    """Else it would come too late: a class consumer accepts in the end."""
    order = []

    def consumer(message: Message) -> None:
        log_in(message)
        assert message.reply_channel is not None
        message.reply_channel.send({"accept": True})

    stage = Stage()
    Bench(layer_of(Route(CONNECT, consumer), layer=stage.layer.channel_layer)).run(
        stage.socket.event({"path": "/"}, channel=CONNECT)
    )
    order = [sorted(codec.decode(e.content)) for e in stage.socket.received() if e.content]
    assert order == [["headers"], ["accept"]]


@pytest.mark.parametrize("decorate", [lambda consumer: consumer, http_session])
def test_a_logout_deletes_the_cookie(decorate: Any) -> None:
    """And the session."""
    session = logged_in()
    cookies = Stage().run(decorate(lambda message: logout(message.request)), **cookie(session))
    assert (cookies["sessionid"].value, cookies["sessionid"]["max-age"]) == ("", "0")
    assert stored(session.session_key) == {}


def test_a_session_of_a_parameter_leaves_the_cookie() -> None:
    """The page that gave its key has the cookie elsewhere."""
    session = logged_in()
    cookies = Stage().run(lambda message: logout(message.request), query_string=f"session_key={session.session_key}")
    assert not cookies
    assert stored(session.session_key) == {}


def test_changes_are_saved_without_a_decorator() -> None:
    """When the consumer returns, and not when it raises; what was only read is not."""

    def change(message: Message) -> None:
        message.request.session["n"] = message.request.session.get("n", 0) + 1
        if message.get("text") == "raise":
            raise KeyError("nick")

    session = begun(n=0)
    assert not Stage().run(change, **cookie(session))
    Stage().run(change, text="raise", **cookie(session))
    assert stored(session.session_key) == {"n": 1}


def test_an_async_session_is_begun_and_flushed() -> None:
    """By Django's coroutines, with the decorator."""

    @http_session
    async def change(message: Message) -> None:
        await message.request.session.aset("n", 1)
        await message.request.session.asave()

    @http_session
    async def flush(message: Message) -> None:
        assert message.http_session is not None
        await message.http_session.aflush()

    @http_session
    async def cycle(message: Message) -> None:
        assert message.http_session is not None
        await message.http_session.acycle_key()

    key = Stage().run(change)["sessionid"].value
    assert stored(key) == {"n": 1}
    headers: Any = {"headers": [[b"cookie", f"sessionid={key}".encode()]]}
    renewed = Stage().run(cycle, **headers)["sessionid"].value
    assert (stored(key), stored(renewed)) == ({}, {"n": 1})
    headers = {"headers": [[b"cookie", f"sessionid={renewed}".encode()]]}
    assert Stage().run(flush, **headers)["sessionid"].value == ""
    assert stored(renewed) == {}


def test_a_session_that_vanishes_meanwhile_is_an_error() -> None:
    """A logout elsewhere is not undone."""
    session = begun(color="red")

    @http_session
    def consumer(message: Message) -> None:
        assert message.http_session is not None
        message.http_session["shape"] = "round"
        session.delete()

    with pytest.raises(ValueError, match=r"message\.request\.session"):
        consumer(Connection().message(CONNECT, **cookie(session)))


def test_a_session_in_a_cookie_is_read_only() -> None:
    """Here as everywhere: the error says what to do."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        session = SignedCookies()
        session["color"] = "red"
        session.save()
        message = Connection().message(CONNECT, **cookie(session))
        assert message.request.session["color"] == "red"
        with pytest.raises(ValueError, match="choose another SESSION_ENGINE"):
            log_in(message)


def test_expired_files_begin_no_session(tmp_path: Any) -> None:
    """An engine that would replace what it does not find does not do so for a connect."""
    backend = "django.contrib.sessions.backends.file"
    with override_settings(SESSION_ENGINE=backend), pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{backend}.SessionStore._storage_path", str(tmp_path), raising=False)
        session = begun(color="red")
        session.set_expiry(-1)
        session.save()
        assert not Stage().run(http_session(lambda message: message.http_session.get("color")), **cookie(session))
        asyncio.run(_read(Connection().message(CONNECT, **cookie(session))))
        assert list(tmp_path.iterdir()) == []


async def _read(message: Message) -> None:
    assert await message.request.session.aget("color") is None
    await message.request.session.aload()


# -- later messages ----------------------------------------------------------------------------------------------------


def test_a_later_message_has_path_and_user() -> None:
    """Without a decorator of its own, and without a change to any session."""
    seen: list[Any] = []

    def consumer(message: Message) -> None:
        request = message.request
        assert isinstance(request, LaterRequest)
        seen.extend([request.path, username(request.user), username(asyncio.run(request.auser())), repr(request)])
        assert request.method == "GET"

    stage = Stage()
    stage.run(channel_session_user_from_http(nothing), **cookie(logged_in(2)))
    before = stage.session
    stage.run(consumer, RECEIVE)
    assert seen == ["/lobby/", "bob", "bob", "<LaterRequest: '/lobby/'>"]
    Backend.users[2].password = "changed"
    stage.run(lambda message: seen.append(username(message.request.user)), RECEIVE)
    assert (seen[-1], stage.session) == ("", before)


def test_a_later_message_has_the_session_whose_key_was_kept() -> None:
    """Decorated or not; its changes are saved, and it is empty where there is none."""
    session, stage = logged_in(color="red"), Stage()
    stage.run(channel_and_http_session(nothing), **cookie(session))

    def change(message: Message) -> None:
        message.request.session["n"] = message.request.session.get("n", 0) + 1

    stage.run(change, RECEIVE)
    stage.run(channel_and_http_session(change), RECEIVE)
    assert stored(session.session_key)["n"] == 2
    Stage().run(lambda message: message.request.session.get("color"), RECEIVE)
    message = Connection().message()
    message.request.session["n"] = 1
    with pytest.raises(ValueError, match="begin it in a view"):
        message.request.finish()


@pytest.mark.parametrize("decorate", [lambda consumer: consumer, channel_session_user])
def test_the_rest_is_kept_on_demand(decorate: Any) -> None:
    """Where the connect consumer says so, the layer has it; it costs a round trip where it is used."""
    stage, seen = Stage(), list[Any]()

    def consumer(message: Message) -> None:
        request = message.request
        seen.extend([request.GET["page"], request.COOKIES["theme"], request.headers["Accept-Language"]])
        seen.extend([request.is_secure(), request.get_full_path(), request.path_info, request.META["REMOTE_ADDR"]])

    stage.run(
        keep_handshake(nothing),
        query_string=b"page=2",
        headers=[[b"cookie", b"theme=dark"], [b"accept-language", b"de"]],
        scheme="wss",
        root_path="/lobby",
        client=["192.0.2.7", 5],
    )
    stage.run(decorate(consumer), RECEIVE)
    assert seen == ["2", "dark", "de", True, "/lobby/?page=2", "/", "192.0.2.7"]


def test_a_message_from_elsewhere_has_the_request_of_its_connection() -> None:
    """All that it needs is the reply channel."""
    stage = Stage()
    stage.run(keep_handshake(nothing), query_string=b"page=2")
    sent_on = Message({"reply_channel": stage.socket.name}, "jobs", stage.layer)
    seen = [sent_on.request.path, sent_on.request.GET["page"], sent_on.request.user]
    assert seen == ["/lobby/", "2", AnonymousUser()]


@pytest.mark.parametrize("attribute", ["GET", "COOKIES", "headers", "META", "scheme"])
def test_what_was_not_kept_is_an_error(attribute: str) -> None:
    """It is not taken for empty; the error says what to do."""
    message = Message({"reply_channel": Stage().socket.name, "path": "/"}, "jobs", layer_of())
    with pytest.raises(ValueError, match="keep_handshake"):
        getattr(message.request, attribute)


def test_a_layer_without_notes_keeps_no_handshake() -> None:
    """That is said where it is to be kept."""

    class Plain(MemoryChannelLayer):
        extensions: ClassVar[list[str]] = ["groups"]

    layer = Plain()
    connect = Message({"reply_channel": "websocket.send.x!1", "path": "/"}, CONNECT, layer)
    with pytest.raises(ValueError, match="keeps no handshakes"):
        keep_handshake(nothing)(connect)
    with pytest.raises(ValueError, match="keep_handshake"):
        _ = Message({"reply_channel": "websocket.send.x!1"}, RECEIVE, layer).request.META


def test_only_the_connect_keeps_a_handshake() -> None:
    """On other messages, and without a way back, the decorator does nothing."""
    keep_handshake(nothing)(Message({"path": "/"}, CONNECT, layer_of()))
    keep_handshake(nothing)(Message({"reply_channel": "no channel"}, RECEIVE, layer_of()))


def test_an_http_request_has_its_request_too() -> None:
    """A consumer of http.request sets cookies with its own response, so it begins no session here."""
    message = Message({"path": "/", "method": "POST", "body": b"a=1"}, "http.request", layer_of())
    assert isinstance(message.request, ConsumerRequest)
    assert (message.request.method, message.request.body, message.request.user) == ("POST", b"a=1", AnonymousUser())
    with pytest.raises(ValueError, match="log in and out"):
        message.request.session.cycle_key()


# -- sessions of a project's own ---------------------------------------------------------------------------------------


class SeenSession(CacheSession):
    """A store that wants to know the browser, as some that list a user's sessions do."""

    def __init__(self, session_key: str | None, user_agent: str, address: str) -> None:
        super().__init__(session_key)
        self.user_agent = user_agent
        self.address = address

    def save(self, must_create: bool = False) -> None:
        self["seen"] = [self.user_agent, self.address]
        super().save(must_create)


class SeenMiddleware(SessionMiddleware):
    """Makes that store of a request."""

    def process_request(self, request: HttpRequest) -> None:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        request.session = SeenSession(key, request.META["HTTP_USER_AGENT"], request.META.get("REMOTE_ADDR", ""))


BROWSER: dict[str, Any] = {"client": ["192.0.2.7", 5]}


@pytest.fixture
def _seen() -> Iterator[None]:
    """A project whose sessions are made by that middleware."""
    with override_settings(MIDDLEWARE=["django.middleware.common.CommonMiddleware", f"{__name__}.SeenMiddleware"]):
        yield


@pytest.mark.usefixtures("_seen")
@pytest.mark.parametrize("by", ["cookie", "parameter"])
def test_a_store_of_ones_own_sees_the_request(by: str) -> None:
    """It is made by the project's middleware, from the handshake."""
    session = begun(color="red")
    headers = [[b"user-agent", b"tests/1"]]
    query = f"session_key={session.session_key}" if by == "parameter" else ""
    headers += cookie(session)["headers"] if by == "cookie" else []

    @http_session
    def change(message: Message) -> None:
        assert isinstance(message.http_session, SeenSession)
        message.http_session["shape"] = message.http_session["color"]

    Stage().run(change, headers=headers, query_string=query, **BROWSER)
    assert stored(session.session_key) == {"color": "red", "shape": "red", "seen": ["tests/1", "192.0.2.7"]}


@pytest.mark.usefixtures("_seen")
def test_a_store_of_ones_own_sees_the_browser_on_later_messages() -> None:
    """What it wants to know is kept with the key."""
    session, stage = begun(color="red"), Stage()
    headers = [[b"user-agent", b"tests/1"], *cookie(session)["headers"]]

    @channel_and_http_session_user_from_http
    def change(message: Message) -> None:
        assert message.http_session is not None
        message.http_session["n"] = message.http_session.get("n", 0) + 1

    for channel, content in ((CONNECT, {"headers": headers, **BROWSER}), (RECEIVE, {})):
        stage.run(change, channel, **content)
    assert stored(session.session_key) == {"color": "red", "n": 2, "seen": ["tests/1", "192.0.2.7"]}


@pytest.mark.usefixtures("_seen")
def test_a_store_of_ones_own_begins_sessions() -> None:
    """As with Django's own, in the connect consumer."""
    cookies = Stage().run(log_in, headers=[[b"user-agent", b"tests/1"]], **BROWSER)
    assert stored(cookies["sessionid"].value)["seen"] == ["tests/1", "192.0.2.7"]


def test_the_channel_session_is_not_made_by_the_middleware() -> None:
    """It belongs to a connection and to no browser."""
    with override_settings(MIDDLEWARE=[f"{__name__}.SeenMiddleware"]):
        stage = Stage()
        stage.run(channel_session(lambda message: message.channel_session.update({"a": 1})), RECEIVE)
        assert stage.session is not None
