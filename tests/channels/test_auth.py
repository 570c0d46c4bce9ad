from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as CacheSession
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.test import Client, override_settings
from django.utils.functional import SimpleLazyObject

from channels.auth import (
    USER_KEYS,
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from channels.message import Message
from channels.sessions import channel_session, enforce_ordering
from tests.channels.connection import Connection

CACHE = "django.contrib.sessions.backends.cache"
FROM_HTTP = [http_session_user, channel_session_user_from_http, channel_and_http_session_user_from_http]


class Backend(BaseBackend):
    """Knows users that are in no database, and notes whom it was asked for."""

    users: ClassVar[dict[int, User]] = {}
    asked: ClassVar[list[int]] = []

    def get_user(self, user_id: int) -> User | None:
        self.asked.append(user_id)
        return self.users.get(user_id)


@pytest.fixture(autouse=True)
def backend(empty_cache: None) -> Iterator[type[Backend]]:
    """Users of the backend above, and HTTP sessions in the cache."""
    Backend.users = {n: User(pk=n, username=name, password=name) for n, name in enumerate(("ada", "bob"), 1)}
    Backend.asked = []
    with override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Backend"], SESSION_ENGINE=CACHE):
        yield Backend


def login(session: SessionBase, user_id: int = 1) -> SessionBase:
    """Put into ``session`` what a login leaves there."""
    session[SESSION_KEY] = str(user_id)
    session[BACKEND_SESSION_KEY] = f"{__name__}.Backend"
    session[HASH_SESSION_KEY] = Backend.users[user_id].get_session_auth_hash()
    return session


def browser(user_id: int | None = 1) -> dict[str, Any]:
    """Return headers of a handshake from a browser that is logged in, or has a session without login."""
    session = CacheSession()
    session["color"] = "red"
    if user_id is not None:
        login(session, user_id)
    session.save()
    return cookie(session)


def cookie(session: SessionBase) -> dict[str, Any]:
    """Return headers of a handshake with the session cookie."""
    return {"headers": [[b"cookie", f"sessionid={session.session_key}".encode()]]}


def nothing(message: Message) -> None:
    """Leave the user alone."""


async def nothing_async(message: Message) -> None:
    """Leave the user alone."""


def logged_in(user_id: int = 1) -> Connection:
    """Return a connection whose channel session has a login."""
    connection = Connection()
    connection.run(channel_session(lambda message: login(message.channel_session, user_id)))
    return connection


def username(message: Message) -> str:
    """Return the name of the message's user, empty for an anonymous one."""
    return message.user.get_username()


def change_password(user_id: int = 1) -> None:
    """Do what overtakes the logins of a user."""
    Backend.users[user_id].password = "changed"


# -- transfer_user -----------------------------------------------------------------------------------------------------


def test_login_is_copied() -> None:
    """The three keys of Django are copied and nothing else."""
    source, target = login(CacheSession()), CacheSession()
    source["color"] = "red"
    transfer_user(source, target)
    assert dict(target.items()) == {key: source[key] for key in USER_KEYS}
    assert target.modified


@pytest.mark.parametrize("missing", USER_KEYS)
def test_login_in_part_is_not_copied(missing: str) -> None:
    """Where one of the keys is missing the target stays as it is."""
    source, target = login(CacheSession()), login(CacheSession(), 2)
    del source[missing]
    before = dict(target.items())
    transfer_user(source, target)
    assert dict(target.items()) == before


def test_login_that_is_there_already_changes_nothing() -> None:
    """A session that has the same login is not marked as modified."""
    source, target = login(CacheSession()), login(CacheSession())
    target.modified = False
    transfer_user(source, target)
    assert not target.modified
    transfer_user(login(CacheSession(), 2), target)
    assert target.modified
    assert target[SESSION_KEY] == "2"


# -- channel_session_user ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
def test_user_is_that_of_the_channel_session(consumer: Callable[..., Any]) -> None:
    """The user is the one whose login is in the connection's session."""
    message = logged_in(2).run(channel_session_user(consumer))
    assert username(message) == "bob"
    assert message.user.is_authenticated


def test_user_is_loaded_when_it_is_used() -> None:
    """A consumer that does not look at the user costs no query, and does not read the session."""
    message = logged_in().run(channel_session_user(nothing))
    assert Backend.asked == []
    assert not message.channel_session.accessed
    assert (username(message), username(message)) == ("ada", "ada")
    assert Backend.asked == [1]


def test_async_consumer_has_the_user_itself() -> None:
    """An async def consumer gets a user that is loaded, because using it may not block the loop."""
    message = logged_in().run(channel_session_user(nothing_async))
    assert not isinstance(message.user, SimpleLazyObject)
    assert Backend.asked == [1]


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
@pytest.mark.parametrize("decorator", [channel_session_user, *FROM_HTTP])
def test_nobody_is_anonymous(decorator: Any, consumer: Any) -> None:
    """Without any session the user is an AnonymousUser."""
    message = Connection().run(decorator(consumer))
    assert message.user == AnonymousUser()
    assert Backend.asked == []


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
def test_changed_password_ends_the_login(consumer: Any) -> None:
    """The session's hash is verified for each message; one that has been overtaken flushes the session."""
    connection = logged_in()
    change_password()

    @channel_session_user
    def look(message: Message) -> None:
        assert not message.user.is_authenticated

    message = connection.run(channel_session_user(consumer) if consumer is nothing_async else look)
    assert message.user == AnonymousUser()
    assert dict(connection.run(channel_session(nothing)).channel_session.items()) == {}


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
def test_unknown_backend_or_user_is_anonymous(consumer: Any) -> None:
    """A backend that is no longer in the settings, or a user who is gone, is nobody."""
    connection = logged_in()
    with override_settings(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"]):
        assert connection.run(channel_session_user(consumer)).user == AnonymousUser()
    del Backend.users[1]
    assert connection.run(channel_session_user(consumer)).user == AnonymousUser()


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
def test_login_is_renewed_for_a_new_secret_key(consumer: Any) -> None:
    """A login of a former SECRET_KEY is good while that is a fallback, and is signed anew."""
    connection = logged_in()
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["for tests only"]):
        decorated = channel_session_user(consumer)
        look = channel_session_user(lambda message: message.user.username)
        connection.run(look if consumer is nothing else decorated)
    with override_settings(SECRET_KEY="new"):
        assert username(connection.run(channel_session_user(nothing))) == "ada"


# -- users of the HTTP session -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
@pytest.mark.parametrize("decorator", FROM_HTTP)
def test_user_is_that_of_the_browser(decorator: Any, consumer: Any) -> None:
    """The user of a handshake is the one whom the browser is logged in as."""
    message = Connection().run(decorator(consumer), "websocket.connect", **browser(2))
    assert username(message) == "bob"
    assert message.http_session is not None


@pytest.mark.parametrize("decorator", FROM_HTTP)
def test_browser_without_login_is_anonymous(decorator: Any) -> None:
    """A session without a login is not enough, and gives the channel session none."""
    connection = Connection()
    assert connection.run(decorator(nothing), **browser(None)).user == AnonymousUser()
    assert connection.run(channel_session_user(nothing)).user == AnonymousUser()


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
@pytest.mark.parametrize("decorator", FROM_HTTP)
def test_overtaken_login_leaves_the_http_session_alone(decorator: Any, consumer: Any) -> None:
    """A login whose password has changed is nobody's; a consumer flushes no session for it."""
    headers = browser()
    change_password()
    assert Connection().run(decorator(consumer), **headers).user == AnonymousUser()
    key = headers["headers"][0][1].decode().partition("=")[2]
    assert CacheSession(key)["color"] == "red"


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
@pytest.mark.parametrize("decorator", FROM_HTTP)
def test_renewed_login_leaves_the_browser_its_key(decorator: Any, consumer: Any) -> None:
    """A login of a former SECRET_KEY is good, and the key in the browser's cookie stays good too."""
    headers = browser()
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["for tests only"]):
        for _ in range(2):
            assert username(Connection().run(decorator(consumer), **headers)) == "ada"


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
@pytest.mark.parametrize("decorator", FROM_HTTP)
@pytest.mark.parametrize("valid", [True, False])
def test_user_of_a_signed_cookie(decorator: Any, consumer: Any, valid: bool) -> None:
    """Sessions in signed cookies have users like all others; one that has been overtaken is no error."""
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        session = login(SignedCookies())
        session.save()
        if not valid:
            change_password()
        message = Connection().run(decorator(consumer), **cookie(session))
        assert username(message) == ("ada" if valid else "")


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
@pytest.mark.parametrize("decorator", FROM_HTTP[1:])
def test_channel_session_remembers_the_login(decorator: Any, consumer: Any) -> None:
    """After connect the later messages know the user without the browser's cookie."""
    connection = Connection()
    connection.run(decorator(consumer), "websocket.connect", **browser())
    assert username(connection.run(channel_session_user(consumer))) == "ada"
    assert connection.run(channel_session(nothing)).channel_session.get("color") is None


def test_login_of_a_handshake_is_judged_later_as_well() -> None:
    """What the channel session remembers is verified like any login."""
    connection = Connection()
    connection.run(channel_session_user_from_http(nothing), **browser())
    change_password()
    assert not connection.run(channel_session_user(nothing)).user.is_authenticated


@pytest.mark.parametrize("consumer", [nothing, nothing_async])
def test_both_sessions_give_the_user_on_every_message(consumer: Any) -> None:
    """With both sessions a later message asks the HTTP session, so a logout in a view is seen at once."""
    connection, headers = Connection(), browser()
    decorated = channel_and_http_session_user_from_http(consumer)
    connection.run(decorated, "websocket.connect", **headers)
    before = connection.session
    message = connection.run(decorated)
    assert username(message) == "ada"
    assert connection.session == before
    assert message.http_session is not None
    message.http_session.flush()
    assert connection.run(decorated).user == AnonymousUser()


def test_decorators_can_be_stacked_as_generic_consumers_do() -> None:
    """From the outside in: anonymous for want of an HTTP session, then the user of the channel session."""
    stacked = channel_session_user_from_http(channel_session_user(nothing))
    connection = Connection()
    assert username(connection.run(stacked, "websocket.connect", **browser())) == "ada"
    assert username(connection.run(stacked)) == "ada"


def test_keyword_arguments_pass() -> None:
    """What the route has captured reaches the consumer, as in the guide."""
    rooms: list[tuple[str, str]] = []

    @channel_session_user_from_http
    def ws_add(message: Message, room: str) -> None:
        """Add them to the right group."""
        rooms.append((username(message), room))

    ws_add(Connection().message("websocket.connect", **browser()), room="lobby")
    assert rooms == [("ada", "lobby")]
    assert (ws_add.__name__, ws_add.__doc__) == ("ws_add", "Add them to the right group.")


def test_ordered_consumers_have_users() -> None:
    """The guide's chat with ordering: the user of the handshake is known on all later messages."""
    names: list[str] = []

    @enforce_ordering(slight=True)
    @channel_session_user_from_http
    def ws_add(message: Message) -> None:
        names.append(username(message))

    @enforce_ordering(slight=True)
    @channel_session_user
    def ws_message(message: Message) -> None:
        names.append(username(message))

    connection = Connection()
    connection.run(ws_add, "websocket.connect", **browser())
    connection.run(ws_message)
    connection.run(ws_message, "websocket.disconnect")
    assert names == ["ada", "ada", "ada"]


def test_methods_have_users() -> None:
    """The decorators are for methods as well."""

    class Chat:
        @channel_session_user
        def receive(self, message: Message) -> str:
            return username(message)

    assert Chat().receive(logged_in().message()) == "ada"


def test_users_of_a_database(database: None) -> None:
    """With Django's own engine and backend the user comes from the database."""
    user = User.objects.create_user("eve", password="sesame")
    with override_settings(
        AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"],
        SESSION_ENGINE="django.contrib.sessions.backends.db",
    ):
        client = Client()
        client.force_login(user)
        connection = Connection()
        headers = {"headers": [[b"cookie", f"sessionid={client.session.session_key}".encode()]]}
        connection.run(channel_session_user_from_http(nothing), "websocket.connect", **headers)
        assert connection.run(channel_session_user(nothing)).user == user
        user.set_password("changed")
        user.save()
        assert connection.run(channel_session_user(nothing)).user == AnonymousUser()
    user.delete()
